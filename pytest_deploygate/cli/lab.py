"""`deploygate lab …`: the demo platform, up and down, broken and mended."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import ClassVar

import click
from rich.console import Console
from rich.table import Table

from pytest_deploygate.fields.sources.lab import lab_folder
from pytest_deploygate.lab import client, cluster, faults, nodes, services, sql, status, up
from pytest_deploygate.lab.state import NODES, Lab, LabError, load, locked
from pytest_deploygate.problems import nearest

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
_node = click.argument("name", type=click.Choice(NODES))


@contextmanager
def _plainly() -> Iterator[None]:
    """Turn what the lab cannot do into one sentence and exit 1."""
    try:
        yield
    except LabError as error:
        raise click.ClickException(str(error)) from None


@contextmanager
def _alone() -> Iterator[Lab]:
    """Give the running lab, with nobody else changing it meanwhile."""
    with _plainly():
        found = load()
        with locked(found.folder):
            yield found


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


class _Lazy(click.Group):
    """Imports the story's commands when they are asked for: those of the drills must begin quickly."""

    _OF_THE_STORY: ClassVar[dict[str, str]] = {
        "story": "lab_story",
        "deploy": "lab_deploy",
        "lost-writes": "lab_lost_writes",
        "rehearse": "lab_rehearse",
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted({*self._OF_THE_STORY, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; None where there is none of that name."""
        if cmd_name not in self._OF_THE_STORY:
            return super().get_command(ctx, cmd_name)
        module = importlib.import_module("pytest_deploygate.cli.story")
        found: click.Command = getattr(module, self._OF_THE_STORY[cmd_name])
        return found


@click.group(cls=_Lazy)
def lab() -> None:
    """Run a small manufacturing platform for real on this machine, break it and mend it.

    \b
    deploygate lab up
    deploygate lab fault receiver-frozen
    pytest -m phase2 --inventory lab
    deploygate lab heal
    deploygate lab down
    """


@lab.command("up")
def lab_up() -> None:
    """Start the lab. Nothing happens when it runs.

    \b
    deploygate lab up
    DEPLOYGATE_NO_APT=1 deploygate lab up   # only what comes in wheels
    """
    console = Console(highlight=False)

    def say(what: str, seconds: float) -> None:
        console.print(f"  [green]✓[/] {what}  [dim]{seconds:.1f} s[/]", soft_wrap=True)

    with _plainly(), ThreadPoolExecutor(1) as pool:
        folder = lab_folder()
        console.print(f"lab in {folder}", soft_wrap=True)
        # Only here, since the drills' commands (`lab node stop`) must begin quickly; and while the first servers start.
        drills = pool.submit(importlib.import_module, "pytest_deploygate.cli.rehearsal")
        found, started = up.up(folder, say, lambda _: drills.result().rehearse(say))
        console.print("the lab is up" if started else "the lab runs already", style="bold")
        for line in found.missing:
            console.print(f"  [yellow]–[/] {line}", soft_wrap=True)
        for name in found.faults():
            console.print(f"  [red]![/] the fault {name} is in it; `deploygate lab heal` mends it")


@lab.command("down")
def lab_down() -> None:
    """End everything that belongs to the lab and remove its folder.

    \b
    deploygate lab down
    """
    with _plainly():
        click.echo("the lab is down" if up.down(lab_folder()) else "no lab was running")


@lab.command("status")
@_as_json
@click.pass_context
def lab_status(context: click.Context, as_json: bool) -> None:
    """Tell what runs where. Exit 3 when the lab is not running.

    \b
    deploygate lab status
    deploygate lab status --json
    """
    folder = lab_folder()
    try:
        state = status.as_json(folder)
    except LabError as error:
        reason = str(error)
        if folder.exists() and (folder / "state.json").exists():
            reason = f"the lab is not running; what is left in {folder} is from an earlier one: `deploygate lab up`"
        click.echo(
            json.dumps({"running": False, "folder": str(folder), "reason": reason}) if as_json else reason
        )
        context.exit(3)
    if as_json:
        click.echo(json.dumps(state, indent=1))
        return
    console = Console(highlight=False)
    console.print(f"lab in {state['folder']}", soft_wrap=True)
    table = _table("name", "what", "state", "port", "pid", "where")
    for place in state["servers"]:
        colour = "green" if place["state"] in ("running", "scheduled") else "red"
        cells = [place["name"], place["what"], f"[{colour}]{place['state']}[/]", place["port"], place["pid"]]
        where = place["where"].removeprefix(f"{state['folder']}/")
        table.add_row(*("" if c is None else str(c) for c in cells), where)
    console.print(table)
    for line in state["missing"]:
        console.print(f"[yellow]–[/] {line}", soft_wrap=True)
    for name in state["faults"]:
        console.print(f"[red]![/] fault {name}; `deploygate lab heal` mends it")


@lab.command("fault")
@click.argument("name", required=False)
@click.option("--also", is_flag=True, help="Break it further although a fault is in it.")
@_as_json
def lab_fault(name: str | None, also: bool, as_json: bool) -> None:
    """List the faults, or put the fault NAME into the lab.

    \b
    deploygate lab fault                      # what can be broken, and which items must notice
    deploygate lab fault receiver-frozen
    deploygate lab fault index-invalid --also # beside the fault that is in it
    """
    known = faults.all_faults()
    if name is None:
        _list_faults(as_json)
        return
    if name not in known:
        raise click.UsageError(f"there is no fault {name!r}{nearest(name, known)}")
    with _alone() as found:
        faults.put_in(found, known[name], also=also)
    click.echo(f"{name}: {known[name].what}")
    for item, verdict in known[name].items.items():
        click.echo(f"  {item} must become {verdict}")
    click.echo(f"look: pytest --items {','.join(known[name].items)} --inventory {known[name].inventory}")


def _list_faults(as_json: bool) -> None:
    known = faults.all_faults().values()
    if as_json:
        listed = [{"name": f.name, "items": dict(f.items), "what": f.what} for f in known]
        click.echo(json.dumps(listed, indent=1))
        return
    table = _table("fault", "items it must change", "what it does")
    for fault in known:
        table.add_row(fault.name, "\n".join(f"{i} → {v}" for i, v in fault.items.items()), fault.what)
    Console(highlight=False).print(table)


@lab.command("heal")
@click.argument("name", required=False)
def lab_heal(name: str | None) -> None:
    """Mend the fault NAME, or everything.

    \b
    deploygate lab heal
    deploygate lab heal receiver-frozen
    """
    known = faults.all_faults()
    if name is not None and name not in known:
        raise click.UsageError(f"there is no fault {name!r}{nearest(name, known)}")
    with _alone() as found:
        healed = faults.heal(found, name)
    click.echo(f"mended: {', '.join(healed)}" if healed else "nothing was broken by us; the cluster is whole")


@lab.command("reset", hidden=True)
def lab_reset() -> None:
    """Bring the lab back to what it was when it came up: data, backups, schedule."""
    with _alone() as found:
        cluster.reset(found)
    click.echo("the lab is as it was when it came up")


@lab.command("rebuild")
@click.option("--from", "source", type=click.Choice(NODES), required=True, help="Node whose data is kept.")
@click.option("--check", is_flag=True, help="Do nothing; exit 1 where the replicas do not stream from db1.")
def lab_rebuild(source: str, *, check: bool) -> None:
    """Bring the roles back (db1 primary) with the data of one node, e.g. after a failover to it.

    \b
    deploygate lab rebuild --from db2
    deploygate lab rebuild --from db2 --check
    """
    if check:
        with _plainly():
            sql.wait_streaming(load(), within_s=5.0)
        click.echo("db2 and db3 stream from db1")
        return
    with _alone() as found:
        cluster.rebuild(found, source)
    click.echo(f"db1 is primary, db2 and db3 stream from it; the data is that of {source}")


@lab.group("node")
def lab_node() -> None:
    """Stop and start single database nodes.

    \b
    deploygate lab node stop db3
    deploygate lab node start db3
    """


@lab_node.command("stop")
@_node
@click.option("--crash", is_flag=True, help="At once, as a crash would: nothing is flushed.")
def node_stop(name: str, crash: bool) -> None:
    """Stop the node NAME.

    \b
    deploygate lab node stop db3
    deploygate lab node stop db3 --crash
    """
    with _alone() as found:
        nodes.stop(found, name, crash=crash)
    click.echo(f"{name} has stopped")


@lab_node.command("start")
@_node
def node_start(name: str) -> None:
    """Start the node NAME.

    \b
    deploygate lab node start db3
    """
    with _alone() as found:
        nodes.start(found, name)
    click.echo(f"{name} is running")


@lab.group("server")
def lab_server() -> None:
    """Stop and start the servers beside the database, e.g. edge-app.

    \b
    deploygate lab server stop edge-app
    deploygate lab server start edge-app
    """


def _other(name: str, found: Lab) -> str:
    known = [server for service in services.running(found) for server in service.servers]
    if name not in known:
        raise click.UsageError(f"the lab has no server {name!r}{nearest(name, known)}")
    return name


@lab_server.command("stop")
@click.argument("name")
def server_stop(name: str) -> None:
    """Stop the server NAME.

    \b
    deploygate lab server stop edge-app
    """
    with _alone() as found:
        client.stop(found, _other(name, found))
    click.echo(f"{name} has stopped")


@lab_server.command("start")
@click.argument("name")
def server_start(name: str) -> None:
    """Start the server NAME.

    \b
    deploygate lab server start edge-app
    """
    with _alone() as found:
        client.start(found, _other(name, found))
    click.echo(f"{name} is running")
