"""Compare the tables of a migration on both sides, row by row."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import click

from pytest_deploygate.checks.comparison import judge as comparison_judge
from pytest_deploygate.checks.comparison import probe
from pytest_deploygate.checks.comparison.facts import Compared
from pytest_deploygate.checks.migration import section as migration_section
from pytest_deploygate.checks.migration.section import Migration
from pytest_deploygate.cli.shared import options, stops
from pytest_deploygate.cli.shared.inventories import read
from pytest_deploygate.cli.shared.refusals import Refused
from pytest_deploygate.clients import stopping
from pytest_deploygate.clients.budget import Ended
from pytest_deploygate.comparison import engine, records
from pytest_deploygate.comparison.shards import CannotMerge
from pytest_deploygate.comparison.spec import Shard
from pytest_deploygate.fields.postgres import ConnectionSettings
from pytest_deploygate.model import CannotTell, Judgement, NotCovered, Verdict
from pytest_deploygate.redaction import redact_values

_EXITS = {Verdict.PASS: 0, Verdict.FAIL: 1}
_NOT_KNOWN = 21


@click.command()
@options.inventory
@click.option("--tables", multiple=True, metavar="NAME", help="Only this table of the source; repeatable.")
@click.option("--resume", is_flag=True, help="Go on with the comparison that was interrupted.")
@click.option("--shard", metavar="I/N", help="Only this share of the tables and ranges.")
@click.option(
    "--merge",
    "folders",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Merge the shards in these folders; repeatable.",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder for journal and differences, if not the inventory's.",
)
@options.change
@options.out
@options.as_json
def compare(
    inventory: str,
    tables: tuple[str, ...],
    resume: bool,
    shard: str | None,
    folders: tuple[Path, ...],
    folder: Path | None,
    change: str,
    out: Path | None,
    as_json: bool,
) -> None:
    """Compare every row of the migrated tables, and write what differs to a file.

    Both servers compute checksums of ranges of rows; only ranges that differ are looked at, down to rows and columns. It
    only reads. Progress is kept in a journal: after an interruption --resume goes on from there. The stop file of
    --change ends it, as Ctrl-C does. Exit 0: equal. 1: different. 21: could not tell. 4: refused.

    \b
    deploygate compare --inventory staging
    deploygate compare --inventory staging --tables legacy.orders --json
    deploygate compare --inventory staging --resume
    deploygate compare --inventory staging --shard 1/2 --folder one
    deploygate compare --inventory staging --merge one --merge two
    """
    database, migration = _sections(inventory)
    if folders and (tables or shard or resume):
        raise Refused("--merge goes with none of --tables, --shard and --resume")
    part = _shard(shard)
    bar = None if as_json else _bar()
    try:
        with stops.obeyed(change, out), stopping.ending():
            if folders:
                found = probe.merged(database, migration, folders, folder)
            else:
                found = probe.run(
                    database, migration, only=tables, folder=folder, shard=part, resume=resume, watch=bar
                )
    except NotCovered as missing:
        raise Refused(str(missing)) from None
    except CannotTell as unknown:
        if isinstance(unknown.__cause__, engine.CannotResume | CannotMerge):
            raise Refused(str(unknown)) from None
        click.echo(f"Error: {unknown}", err=True)
        raise SystemExit(_NOT_KNOWN) from None
    except Ended as ended:
        click.echo(f"Error: {ended}; --resume goes on from the journal", err=True)
        raise SystemExit(_NOT_KNOWN) from None
    finally:
        if bar is not None:
            bar.close()
    judged = comparison_judge.judge(found, migration)
    if as_json:
        click.echo(json.dumps(_as_json(found, judged), indent=2))
    else:
        _show(found, judged)
    raise SystemExit(_EXITS.get(judged.verdict, _NOT_KNOWN))


def _sections(inventory: str) -> tuple[ConnectionSettings | None, Migration]:
    loaded = read(inventory)
    migration = loaded.inventory.of(migration_section.Keys).migration
    if migration is None:
        raise Refused(
            f"{loaded.file} has no `migration`; add "
            "migration: {source: {name: …, user: …, primary: …}, tables: [{source: legacy.*}], folder: …}"
        )
    return loaded.inventory.database, migration


def _shard(given: str | None) -> Shard | None:
    if given is None:
        return None
    found = re.fullmatch(r"(\d{1,4})/(\d{1,4})", given)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise Refused(f"--shard {given!r} is not I/N with I from 1 to N, for example 1/4")
    return Shard(int(found[1]), int(found[2]))


def _bar() -> Any:
    from pytest_deploygate.cli.show.compare import Bar, Lines  # noqa: PLC0415 (not for --json)

    return Bar() if sys.stderr.isatty() else Lines()


def _show(found: Compared, judged: Judgement) -> None:
    from pytest_deploygate.cli.show.compare import show  # noqa: PLC0415 (not for --json)

    show(found.outcome, judged)


def _as_json(found: Compared, judged: Judgement) -> dict[str, Any]:
    """Return stable keys: verdict, reason, and the outcome as in the folder's result, with times."""
    said: dict[str, Any] = {
        "verdict": judged.verdict.value,
        "reason": judged.reason,
        "folder": found.folder,
        "file": found.outcome.file,
        **records.as_json(found.outcome),
        "not_named": list(found.not_named),
        "not_there": [list(pair) for pair in found.not_there],
        "left_out": dict(found.left_out),
        "large_objects": list(found.large_objects),
    }
    masked: dict[str, Any] = redact_values(said)
    return masked
