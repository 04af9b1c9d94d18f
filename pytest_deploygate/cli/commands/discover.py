"""Look at what you have and write an inventory of it, read-only."""

from __future__ import annotations

import json
import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from pytest_deploygate.cli.shared import checkable, discovering, options
from pytest_deploygate.cli.shared.discovering import NothingFoundError, Sources
from pytest_deploygate.cli.shared.refusals import Command, Refused
from pytest_deploygate.cli.shared.root import find_root
from pytest_deploygate.cli.show import discovered
from pytest_deploygate.discovery import writer
from pytest_deploygate.discovery.found import Found
from pytest_deploygate.files import write_whole
from pytest_deploygate.inventory.loader import InventoryError, load
from pytest_deploygate.model import parse_size
from pytest_deploygate.redaction import redact, redact_values

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_FILES = click.Path(exists=True, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(cls=Command)
@click.argument("name", required=False)
@click.option(
    "--dsn", metavar="DSN|env:NAME", help="PostgreSQL: a URI, key=value text, or the variable that has it."
)
@click.option("--replica", "replicas", multiple=True, metavar="HOST[:PORT]", help="A replica; repeatable.")
@click.option("--pooler", "poolers", multiple=True, metavar="HOST[:PORT]", help="A PgBouncer; repeatable.")
@click.option(
    "--usual-ports", is_flag=True, help="Look for PgBouncer on the usual ports of the primary's host."
)
@click.option(
    "--migrations",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="The migration tool's folder.",
)
@click.option("--memory", metavar="SIZE", help="Memory of the database's machine, e.g. 16GB.")
@click.option(
    "--domain", "domains", multiple=True, metavar="NAME[:PORT]", help="DNS and certificate; repeatable."
)
@click.option("--resolver", metavar="ADDRESS[:PORT]", help="The DNS server to ask. Default: the machine's.")
@click.option("--prometheus", metavar="URL", help="Its targets, alerts and Alertmanagers.")
@click.option(
    "--ansible", multiple=True, type=_FILES, metavar="FILE", help="An Ansible inventory; repeatable."
)
@click.option("--compose", multiple=True, type=_FILE, metavar="FILE", help="A Compose file; repeatable.")
@click.option(
    "--kubernetes", multiple=True, type=_FILE, metavar="FILE", help="What `kubectl get … -o json` printed."
)
@click.option(
    "--terraform", multiple=True, type=_FILE, metavar="FILE", help="A state, or `terraform show -json`."
)
@click.option("--ask/--no-ask", "ask", default=None, help="Ask for what is missing. Default: at a terminal.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the inventory to this file, not to inventories/NAME.yml.",
)
@click.option("--no-snapshot", is_flag=True, help="Do not write the structure of the tables.")
@click.option("--force", is_flag=True, help="Overwrite the files if they exist.")
@options.as_json
def discover(
    name: str | None, *, ask: bool | None, output: Path | None, force: bool, as_json: bool, **given: Any
) -> None:
    """Look at what you have and write inventories/NAME.yml, each value with a comment where it was seen.

    Everything is read-only, and no password is written. What was seen is not yet what should be: the inventory lists it in
    `discovered`, and the report counts it like weakenings, until `deploygate confirm` takes it out.

    \b
    Exit codes: 0 written; 1 no source said anything, nothing is written; 4 a mistake in the command line, a file that
    exists already, or an inventory that needs to be completed by hand.

    \b
    deploygate discover prod --dsn postgresql://deploygate@db1.example.com/platform
    deploygate discover prod --dsn env:DATABASE_URL --memory 16GB --json
    """
    asking = (sys.stdin.isatty() and sys.stdout.isatty() and not as_json) if ask is None else ask
    try:
        sources = _sources(given, asking=asking)
    except ValueError as error:
        raise Refused(str(error)) from None
    name = _name(name, asking=asking)
    file = output or Path("inventories") / f"{name}.yml"
    snapshot = None if given["no_snapshot"] or sources.dsn is None else file.parent / f"{name}.tables.json"
    if (present := [str(path) for path in (file, snapshot) if path and path.exists()]) and not force:
        raise Refused(f"nothing was written: {' and '.join(present)} exists already (--force overwrites)")
    sources = _with(sources, folder=file.parent, snapshot=snapshot)
    says = (lambda _: None) if as_json else lambda text: click.echo(redact(text), err=True)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        found = discovering.look(sources, says)
        written = f"Written by `deploygate discover` on {datetime.now(UTC):%Y-%m-%d}: what it saw, and where."
        write_whole(file, writer.text(name, found, written))
    except NothingFoundError as nothing:
        raise click.ClickException(redact(f"nothing was written:\n{nothing}")) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename or file} cannot be written: {error.strerror}") from None
    except ValueError as error:
        raise Refused(redact(str(error))) from None
    _report(name, file, snapshot if snapshot and snapshot.exists() else None, found, as_json=as_json)


def _report(name: str, file: Path, snapshot: Path | None, found: Found, *, as_json: bool) -> None:
    root = find_root(Path.cwd())
    try:
        loaded = load(str(file), root, [])
    except InventoryError as error:
        raise Refused(f"{file} is written, and needs a hand:\n{error}") from None
    items = checkable.items(root, loaded)
    steps = _steps(name, file, root, found, snapshot)
    if as_json:
        files = {"inventory": str(file), "snapshot": str(snapshot) if snapshot else None}
        shown = redact_values(discovered.as_json(found, files, items, steps))
        click.echo(json.dumps(shown, indent=1, ensure_ascii=False))
        return
    for line in discovered.text(found, [file, *([snapshot] if snapshot else [])], items, steps):
        click.echo(redact(line))


def _steps(name: str, file: Path, root: Path, found: Found, snapshot: Path | None) -> list[str]:
    """Return the commands that come next."""
    usual = file.resolve() == (Path.cwd() / "inventories" / f"{name}.yml").resolve()
    called = name if usual else str(file)
    steps = (
        []
        if (root / "suites" / "checklist.md").is_file()
        else ["deploygate init            # suites and CI files, once"]
    )
    if any(fact.place == ("database", "password") for fact in found.facts):
        steps.append("export PGPASSWORD=…         # the inventory says env:PGPASSWORD")
    steps.append(f"pytest -m phase2 --inventory={called}")
    steps.append(
        f"deploygate confirm --inventory={called}   # shows what waits, then takes out what is right"
    )
    if snapshot is None and any(fact.place[0] == "database" for fact in found.facts):
        steps.append(f"deploygate snapshot --inventory={called}   # then database.tables: {{snapshot: FILE}}")
    steps.append(f"deploygate grants --inventory={called}   # the SQL for what the role may not see")
    return steps


def _sources(given: dict[str, Any], *, asking: bool) -> Sources:
    """Return what to look at; asks for a DSN if nothing is named. Raises ValueError."""
    sources = Sources(
        dsn=_dsn(given["dsn"]) if given["dsn"] is not None else None,
        replicas=discovering.servers(given["replicas"], 5432, "--replica"),
        poolers=discovering.servers(given["poolers"], 6432, "--pooler"),
        usual_ports=given["usual_ports"],
        migrations=given["migrations"],
        memory=given["memory"],
        **{key: given[key] for key in ("domains", "resolver", "prometheus")},
        **{key: given[key] for key in ("ansible", "compose", "kubernetes", "terraform")},
    )
    if sources.memory:
        parse_size(sources.memory)
    if not sources.any and asking:
        default = (
            ""
            if os.environ.get("PGHOST") or os.environ.get("PGSERVICE")
            else "postgresql://localhost/postgres"
        )
        said = click.prompt("DSN of the database (without a password: set PGPASSWORD)", default=default)
        sources = _with(sources, dsn=_dsn(said))
    if not sources.any and (os.environ.get("PGHOST") or os.environ.get("PGSERVICE")):
        sources = _with(sources, dsn="")
    if not sources.any:
        raise ValueError("name something to look at, for example --dsn postgresql://user@host/database")
    if sources.dsn is not None and asking:
        sources = _completed(sources)
    return sources


def _completed(sources: Sources) -> Sources:
    """Ask for what a database does not say of itself."""
    if not sources.replicas:
        said = click.prompt(
            "Replicas that the DSN does not name, HOST:PORT (blank: those it streams to)",
            default="",
            show_default=False,
        )
        sources = _with(
            sources, replicas=discovering.servers(said.replace(",", " ").split(), 5432, "replica")
        )
    if not sources.poolers and not sources.usual_ports:
        said = click.prompt("PgBouncers, HOST:PORT (blank: none)", default="", show_default=False)
        sources = _with(sources, poolers=discovering.servers(said.replace(",", " ").split(), 6432, "pooler"))
    if not sources.memory:
        said = click.prompt(
            "Memory of its machine, e.g. 16GB (blank: unknown)", default="", show_default=False
        )
        if said:
            parse_size(said)
        sources = _with(sources, memory=said or None)
    return sources


def _dsn(said: str) -> str:
    """Return the DSN itself, also from a variable. Raises ValueError."""
    if not said.startswith("env:"):
        return said
    name = said.removeprefix("env:")
    if not os.environ.get(name):
        raise ValueError(f"--dsn {said}: the variable {name} is not set")
    return os.environ[name]


def _name(name: str | None, *, asking: bool) -> str:
    if name is None:
        name = str(click.prompt("Name of the environment", default="staging")) if asking else "discovered"
    if not _NAME.fullmatch(name):
        raise Refused(f"{name!r} is no name for an inventory: letters, digits, dot, dash and underscore")
    return name


def _with(sources: Sources, **changed: Any) -> Sources:
    from dataclasses import replace  # noqa: PLC0415 (see `lazy`)

    return replace(sources, **changed)
