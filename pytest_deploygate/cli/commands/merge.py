"""Make one record of all shards of a run, and decide."""

from __future__ import annotations

import gc
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from pytest_deploygate.cli.shared import journals, options
from pytest_deploygate.cli.shared.refusals import Command, Refused
from pytest_deploygate.decision.rules import EXIT_INCOMPLETE
from pytest_deploygate.journal import JournalError
from pytest_deploygate.report import beside, results, terminal
from pytest_deploygate.report.leaving import leaving
from pytest_deploygate.report.record import Record

if TYPE_CHECKING:
    from pytest_deploygate.session.pieces import Piece


@click.command(cls=Command)
@click.argument(
    "places",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR...",
)
@options.out
@click.option(
    "--inventory", metavar="NAME|PATH", help="The inventory of the shards. Default: as they were given it."
)
@click.option(
    "--ticked",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the checklist to FILE with its boxes ticked.",
)
@options.as_json
def merge(
    places: tuple[Path, ...], out: Path | None, inventory: str | None, ticked: Path | None, as_json: bool
) -> None:
    """Make one record of the shards of a run: pytest --shard 1/4 to 4/4.

    DIR is a shard's folder, or a folder that has some, at any depth. The record is appended to the change's folder, with
    each shard's journal beside it, and the decision is the one that a single run would have made. Run it where the shards
    ran: with the same inventory, checklist and records, and with the repository's hooks.

    Exit codes are those of a run. 25: a shard is missing, was killed or cut off, or its evidence is not there; nothing is
    recorded then. 4: the shards are not those of one run, one is there twice, or another inventory is here.

    \b
    deploygate merge deploygate-out/CHG-1234/shards
    deploygate merge artifacts/shard-1 artifacts/shard-2 --out deploygate-out/CHG-1234
    """
    # All that is read stays until the end: looking for garbage in it takes a sixth of the time.
    gc.disable()
    try:
        raise SystemExit(_merged(places, out, inventory, ticked, as_json=as_json))
    finally:
        gc.freeze()
        gc.enable()


def _merged(
    places: Sequence[Path], out: Path | None, inventory: str | None, ticked: Path | None, *, as_json: bool
) -> int:
    """Merge, print, and return the exit code."""
    from pytest_deploygate.session import merging, pieces  # noqa: PLC0415 (they import much, `--help` need not)

    try:
        found = [pieces.piece(folder) for folder in pieces.folders(places)]
        pieces.check(found)
        given = merging.options(found)
    except (pieces.Incomplete, JournalError) as error:
        raise journals.Damaged(leaving(str(error))) from None
    except pieces.Unlike as error:
        raise Refused(leaving(str(error))) from None
    given += [f"--inventory={inventory}"] if inventory else []
    given += [f"--deploygate-out={out}"] if out else []
    given += [f"--ticked={ticked.absolute()}"] if ticked else []
    return int(pytest.main([*given, "-q"], plugins=[_MergingRun(found, as_json=as_json)]))


class _MergingRun:
    """A pytest plugin that makes the record in place of a run: pytest finds the configuration and the hooks."""

    def __init__(self, found: Sequence[Piece], *, as_json: bool) -> None:
        self.found, self.as_json = found, as_json

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> int:
        """Merge, print, and return the exit code."""
        from pytest_deploygate.session import merging, pieces, reading  # noqa: PLC0415 (see `merge`)

        try:
            read = reading.read(config)
            run, record = merging.merge(read, self.found, config.pluginmanager)
        except pytest.UsageError as error:
            return _refused(str(error), Refused.exit_code)
        except pieces.Unlike as error:
            return _refused(str(error), Refused.exit_code)
        except (pieces.Incomplete, JournalError) as error:
            return _refused(str(error), journals.Damaged.exit_code)
        code = record.decision.exit_code if record.decision else EXIT_INCOMPLETE
        not_compared = pieces.secrets_compared(self.found)
        report = str(read.out / results.REPORT) if run.written else ""
        if self.as_json:
            click.echo(
                leaving(json.dumps(_plain(record, report, code, len(self.found), not_compared), indent=1))
            )
            return code
        number = len(self.found)
        click.echo(
            f"deploygate: {number} shards of change {read.change}, inventory {read.inventory.name}, are one record"
        )
        if not_compared:
            click.echo(f"deploygate: {not_compared}")
        width, colour = shutil.get_terminal_size().columns, sys.stdout.isatty()
        around = beside.look(read.out, record.provenance.journal_head)
        click.echo(
            terminal.text(
                record, report, width=min(width, 120), colour=colour, exit_code=code, beside=around
            ),
            nl=False,
        )
        for complaint in run.complaints:
            click.echo(f"{leaving(complaint)} (no verdict or decision improves because of it)")
        return code


def _refused(text: str, code: int) -> int:
    click.echo(f"Error: {leaving(text.strip())}", err=True)
    return code


def _plain(record: Record, report: str, code: int, shards: int, not_compared: str) -> dict[str, object]:
    """Return what was made as `--json` prints it; the keys are stable."""
    return {
        "change": record.change,
        "inventory": record.inventory,
        "scope": record.scope,
        "shards": shards,
        "not_compared": not_compared or None,
        "decision": record.decision.outcome.value if record.decision else None,
        "exit_code": code,
        "report": report or None,
        "journal_head": record.provenance.journal_head,
    }
