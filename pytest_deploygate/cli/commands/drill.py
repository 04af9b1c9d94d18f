"""Plan and run failover drills through the manager."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import click

from pytest_deploygate.checks.replication.probe.managed import drill as managed_drill
from pytest_deploygate.checks.replication.probe.managed import planning
from pytest_deploygate.checks.replication.section import InDatabase, Managed
from pytest_deploygate.cli.shared import options, stops
from pytest_deploygate.cli.shared.inventories import read
from pytest_deploygate.cli.shared.refusals import Refused
from pytest_deploygate.clients import stopping
from pytest_deploygate.clients.budget import Ended
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import CannotTell
from pytest_deploygate.problems import nearest

#: The exit code of a drill that was stopped.
_STOPPED = 21


@click.group()
def drill() -> None:
    """Failover drills: see the plan, run one, take back what a killed one left.

    \b
    deploygate drill plan --inventory staging
    deploygate drill run killed --inventory staging --allow-disruptive staging
    deploygate drill restore --inventory staging --allow-disruptive staging
    """


@drill.command("plan")
@options.inventory
def plan(inventory: str) -> None:
    """Print what the drills would disturb, and for how long. Nothing is changed.

    \b
    deploygate drill plan --inventory staging
    """
    with _opened(inventory, None) as (about, managed):
        for line in planning.plan(managed, about.cluster):
            click.echo(line)


@drill.command("run")
@click.argument("fault")
@options.inventory
@click.option(
    "--allow-disruptive", "allowed", required=True, metavar="NAME", help="The inventory's name, once more."
)
@options.change
@options.out
def run(fault: str, inventory: str, allowed: str, change: str, out: Path | None) -> None:
    """Run the drill of one FAULT. Exits 1 if it did not end well.

    The stop file of --change, `deploygate stop` and the signal USR1 end it: what it changed is taken back first. Exit 21 then.

    \b
    deploygate drill run killed --inventory staging --allow-disruptive staging
    """
    with _opened(inventory, allowed) as (about, managed):
        known = [each.fault for each in managed.faults]
        if fault not in known:
            raise click.UsageError(f"the inventory has no fault {fault!r}{nearest(fault, list(known))}")
        for line in planning.plan(managed, about.cluster):
            click.echo(line)
        chosen = next(each for each in managed.faults if each.fault == fault)
        try:
            with stops.obeyed(change, out), stopping.ending():
                record = managed_drill.run(about, chosen, say=click.echo)
        except Ended as ended:
            click.echo(f"Error: {ended}", err=True)
            raise SystemExit(_STOPPED) from None
    if record.outcome != "good":
        raise SystemExit(1)


@drill.command("restore")
@options.inventory
@click.option(
    "--allow-disruptive", "allowed", required=True, metavar="NAME", help="The inventory's name, once more."
)
def restore(inventory: str, allowed: str) -> None:
    """Take back what a killed drill left: the fault, and who leads.

    \b
    deploygate drill restore --inventory staging --allow-disruptive staging
    """
    with _opened(inventory, allowed) as (about, _):
        number = managed_drill.restore(about, click.echo)
    many = "change was" if number == 1 else "changes were"
    click.echo(f"{number} {many} taken back" if number else "no drill left anything")


@contextlib.contextmanager
def _opened(name: str, allowed: str | None) -> Iterator[tuple[planning.Context, Managed]]:
    inventory = read(name).inventory
    if allowed is not None and allowed != inventory.name:
        raise click.UsageError(f"--allow-disruptive names {allowed!r}, the inventory is {inventory.name!r}")
    if inventory.database is None:
        raise Refused("the inventory has no `database` section, so there is nothing to drill")
    bounds = inventory.database.of(InDatabase).replication
    if bounds.managed_failover is None:
        raise Refused(
            "the inventory has no `managed_failover` under `database.replication`, so there is nothing to drill"
        )
    schema = inventory.writes.schema_ if inventory.writes else None
    with contextlib.closing(Cluster(inventory.database, schema)) as cluster:
        try:
            yield (
                planning.context(cluster, bounds.managed_failover, bounds.load, inventory.name),
                bounds.managed_failover,
            )
        except CannotTell as unknown:
            raise click.ClickException(str(unknown)) from None
