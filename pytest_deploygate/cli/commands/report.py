"""`deploygate report`: make the result files again from a change's journal, or export it in a format of others."""

from __future__ import annotations

import json
from pathlib import Path

import click

from pytest_deploygate import journal
from pytest_deploygate.cli.shared import folders
from pytest_deploygate.cli.shared.repository import find_root
from pytest_deploygate.report import from_journal, results
from pytest_deploygate.report.exports.formats import FORMATS
from pytest_deploygate.report.record import Record


@click.command()
@click.option("--change", metavar="ID", default="local", show_default=True, help="Change whose report it is.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="Its folder, when not deploygate-out/ID."
)
@click.option("--format", "form", type=click.Choice(list(FORMATS)), help="Write this format only.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where the format goes; standard output otherwise.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def report(change: str, out: Path | None, form: str | None, output: Path | None, as_json: bool) -> None:
    """Make signoff.html, verdicts.json and junit.xml again from the journal, which alone is the record.

    With --format one format is written and the folder stays as it is. What is not a pass never exports as one.

    \b
    deploygate report --change CHG-1234
    deploygate report --change CHG-1234 --format markdown >> "$GITHUB_STEP_SUMMARY"
    deploygate report --change CHG-1234 --format sarif --output deploygate.sarif
    """
    if output and not form:
        raise click.UsageError("--output needs --format: which format is it to be?")
    if form and not output and as_json:
        raise click.UsageError("--json and a format cannot share standard output: add --output FILE")
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
        _write(folder / name, text)
    return list(results.NAMES)


def _export(record: Record, form: str, output: Path | None) -> list[str]:
    text = FORMATS[form](record)
    if output is None:
        click.echo(text, nl=False)
        return []
    _write(output, text)
    return [str(output)]


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    unfinished = path.with_name(f".{path.name}.part")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)
