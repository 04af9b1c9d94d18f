"""Regenerate a change's result files from its journal, or export it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from pytest_deploygate.cli.shared import interrupted, journals, options
from pytest_deploygate.files import holds, write_whole
from pytest_deploygate.report import from_journal, results
from pytest_deploygate.report.exports.formats import FORMATS
from pytest_deploygate.report.record import Record
from pytest_deploygate.signoff import aside


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
    folder = journals.folder_of(change, out)
    entries = journals.read(folder)
    with journals.plainly():
        record = from_journal.build(entries)
    try:
        if form:
            written = _export(record, form, output)
        else:
            record, written = _results(folder)
    except OSError as error:
        raise journals.Damaged(
            f"{error.filename or output or folder} cannot be written: {error.strerror}"
        ) from None
    decision = record.decision.outcome.value if record.decision else "none"
    if as_json:
        click.echo(json.dumps({"folder": str(folder), "files": written, "decision": decision}))
    elif not form:
        click.echo(f"{folder / results.REPORT}: decision {decision}")
    elif output:
        click.echo(f"{output}: {form}, decision {decision}", err=True)


def _results(folder: Path) -> tuple[Record, list[str]]:
    """Write the results while no run writes, after what a killed command left half done. Raises OSError."""
    interrupted.finish(folder)
    with journals.held(folder) as writer:
        record = from_journal.build(writer.entries)
        rendered = results.render(record)
        if any(not holds(folder / name, text) for name, text in rendered.items()):
            writer.note_signatures()  # in case another version wrote what was signed
            record = from_journal.build(writer.entries)
            rendered = results.render(record)
            aside.keep_signed(folder)
        for name, text in rendered.items():
            write_whole(folder / name, text)
    return record, list(results.NAMES)


def _export(record: Record, form: str, output: Path | None) -> list[str]:
    text = FORMATS[form](record)
    if output is None:
        click.echo(text, nl=False)
        return []
    write_whole(output, text)
    return [str(output)]
