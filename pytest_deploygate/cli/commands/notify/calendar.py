"""Write a calendar file with the window, the decision's deadline and the next attempt."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from pytest_deploygate.checklist.records import parse_time
from pytest_deploygate.cli.shared import noticing, options
from pytest_deploygate.cli.shared.refusals import Command, Refused
from pytest_deploygate.files import write_whole
from pytest_deploygate.journal import utcnow
from pytest_deploygate.notices import calendar as calendars
from pytest_deploygate.notices import message


@click.command(cls=Command)
@options.inventory
@options.change
@options.out
@click.option("--retry", metavar="TIME", help="When the next attempt is, e.g. 2026-12-08T20:00Z.")
@click.option(
    "--write",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("change.ics"),
    show_default=True,
    metavar="FILE",
    help="The file to write.",
)
@options.as_json
def calendar(
    *, inventory: str, change: str, out: Path | None, retry: str | None, write: Path, as_json: bool
) -> None:
    """Write an iCalendar file (RFC 5545) with alarms. An entry whose time changed replaces the one that people have.

    \b
    deploygate notify calendar --inventory prod --change CHG-1234
    deploygate notify calendar --inventory prod --change CHG-1234 --retry 2026-12-08T20:00Z
    """
    work = noticing.work(inventory, change, out)
    found = calendars.entries(work.section, change, _time(retry))
    if not found:
        raise Refused("there is nothing to put on a calendar: add `notices.window`, or name --retry TIME")
    with noticing.plainly():
        before = calendars.issued(work.folder)
        numbers = before | calendars.numbered(found, before, utcnow())
        content = calendars.rendered(found, numbers, change, *message.origin(work.section))
        calendars.keep(work.folder, numbers)
        try:
            write_whole(write, content)
        except OSError as error:
            raise Refused(f"{write} cannot be written: {error.strerror}") from None
    if as_json:
        entries = [
            {
                "title": one.title,
                "start": one.start.isoformat(),
                "end": one.end.isoformat(),
                "sequence": numbers[one.what].sequence,
            }
            for one in found
        ]
        click.echo(noticing.as_json({"file": str(write), "entries": entries}))
        return
    for one in found:
        click.echo(f"  {one.start:%Y-%m-%d %H:%M} UTC  {one.title}")
    click.echo(f"wrote {write}")


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError as error:
        raise Refused(f"--retry {text}: {error}; write for example 2026-12-08T20:00Z") from None
