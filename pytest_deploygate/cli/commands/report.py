"""Regenerate a change's result files from its journal, or export it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from pytest_deploygate import journal
from pytest_deploygate.cli.shared import folders, options
from pytest_deploygate.cli.shared.root import find_root
from pytest_deploygate.files import write_whole
from pytest_deploygate.report import from_journal, results
from pytest_deploygate.report.exports.formats import FORMATS
from pytest_deploygate.report.record import Record


@click.command()
@options.change
@options.out
@click.option("--format", "form", type=click.Choice(list(FORMATS)), help="Export in this format only.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The file to export to. Default: standard output.",
)
@options.as_json
def report(change: str, out: Path | None, form: str | None, output: Path | None, as_json: bool) -> None:
    """Regenerate signoff.html, verdicts.json and junit.xml from the journal, which is the only record.

    With --format, one format is exported and the folder stays as it is. Nothing but a pass is exported as a pass.

    \b
    deploygate report --change CHG-1234
    deploygate report --change CHG-1234 --format markdown >> "$GITHUB_STEP_SUMMARY"
    deploygate report --change CHG-1234 --format sarif --output deploygate.sarif
    """
    if output and not form:
        raise click.UsageError("--output needs --format")
    if form and not output and as_json:
        raise click.UsageError("--json and --format cannot share standard output: add --output FILE")
    folder = folders.of(change, out, find_root(Path.cwd()))
    try:
        entries, _ = journal.read(folder)
        record = from_journal.build(entries)
        written = _export(record, form, output) if form else _results(record, folder)
    except journal.JournalError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(
            f"{error.filename or output or folder} cannot be written: {error.strerror}"
        ) from None
    decision = record.decision.outcome.value if record.decision else "none"
    if as_json:
        click.echo(json.dumps({"folder": str(folder), "files": written, "decision": decision}))
    elif not form:
        click.echo(f"{folder / results.REPORT}: decision {decision}")
    elif output:
        click.echo(f"{output}: {form}, decision {decision}", err=True)


def _results(record: Record, folder: Path) -> list[str]:
    for name, text in results.render(record).items():
        write_whole(folder / name, text)
    return list(results.NAMES)


def _export(record: Record, form: str, output: Path | None) -> list[str]:
    text = FORMATS[form](record)
    if output is None:
        click.echo(text, nl=False)
        return []
    write_whole(output, text)
    return [str(output)]
