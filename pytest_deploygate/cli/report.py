"""`deploygate report`: make the result files again from a change's journal."""

from __future__ import annotations

import json
from pathlib import Path

import click

from pytest_deploygate import journal
from pytest_deploygate.cli import folders
from pytest_deploygate.cli.repository import find_root
from pytest_deploygate.report import from_journal, results


@click.command()
@click.option("--change", metavar="ID", default="local", show_default=True, help="Change whose report it is.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="Its folder, when not deploygate-out/ID."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def report(change: str, out: Path | None, as_json: bool) -> None:
    """Make signoff.html, verdicts.json and junit.xml again from the journal, which alone is the record.

    \b
    deploygate report --change CHG-1234
    """
    folder = folders.of(change, out, find_root(Path.cwd()))
    try:
        entries, _ = journal.read(folder)
        record = from_journal.build(entries)
        for name, text in results.render(record).items():
            unfinished = folder / f".{name}.part"
            unfinished.write_text(text, encoding="utf-8")
            unfinished.replace(folder / name)
    except journal.JournalError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{folder} cannot be written: {error.strerror}") from None
    decision = record.decision.outcome.value if record.decision else "none"
    if as_json:
        click.echo(json.dumps({"folder": str(folder), "files": list(results.NAMES), "decision": decision}))
    else:
        click.echo(f"{folder / results.REPORT}: decision {decision}")
