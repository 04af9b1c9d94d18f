"""Write the follow-up: issues, plan, whom to call, the next try."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import click

from pytest_deploygate.checklist.records import parse_time
from pytest_deploygate.checks.way_back import section as way_back
from pytest_deploygate.checks.way_back.section.rollback import Rollback
from pytest_deploygate.cli.shared import changes, journals, options, outcome, records
from pytest_deploygate.cli.shared.refusals import Command, Refused
from pytest_deploygate.decision import incident_log
from pytest_deploygate.decision.incidents import Event, State, What
from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.journal import utcnow
from pytest_deploygate.moments import present
from pytest_deploygate.rollback import aftermath, situation
from pytest_deploygate.rollback.aftermath import After


@click.command(cls=Command)
@options.change
@options.out
@options.inventory_of_last_run
@click.option("--retry", metavar="TIME", help="When the next try is, e.g. 2026-12-02T20:00Z.")
@click.option("--done", is_flag=True, help="The follow-up is done: close the incident.")
@options.as_json
def after(
    *, change: str, out: Path | None, inventory: str | None, retry: str | None, done: bool, as_json: bool
) -> None:
    """Write the follow-up of a rollback: issues, a plan with owners and times, whom to call, a calendar entry.

    \b
    deploygate rollback after --change CHG-1234
    deploygate rollback after --retry 2026-12-02T20:00Z --change CHG-1234
    deploygate rollback after --done --change CHG-1234
    """
    folder = journals.folder_of(change, out)
    wanted = changes.inventory_of(journals.read(folder), inventory).inventory
    when = _retry(retry, wanted)
    with changes.writing(folder) as writer:
        changes.act_on_clocks(writer, folder)
        found = situation.after(writer.entries, wanted.of(way_back.Keys).rollback or Rollback(), when)
        if found is None:
            raise Refused("this change has no incident, so there is nothing to follow up")
        if done and found.incident.state is not State.AFTER:
            raise Refused(
                f"{found.incident.id} is {found.incident.state.value}: --done is for an incident that was rolled back"
            )
        texts = aftermath.render(found)
        for name, text in texts.items():
            records.write(folder / "after" / name, text)
        writer.append(aftermath.KIND, aftermath.to_json(found))
        if done:
            event = Event(found.incident.id, What.AFTER_DONE, present(), "deploygate")
            writer.append(incident_log.KIND, incident_log.to_json(event))
        report = outcome.render(writer, folder)
    records.look_again({folder / "after" / name: text for name, text in texts.items()})
    if as_json:
        _print_json(found, [folder / "after" / name for name in texts])
        return
    for task in aftermath.tasks(found):
        click.echo(f"  {task.title}\n    {task.owner}, until {task.due:%Y-%m-%d %H:%M} UTC")
    for number, call in enumerate(found.calls, start=1):
        click.echo(f"  call {number}. {call}")
    click.echo(f"wrote {', '.join(texts)} to {folder / 'after'}")
    click.echo(report)


def _print_json(found: After, files: list[Path]) -> None:
    tasks = [
        {"title": task.title, "owner": task.owner, "due": task.due.isoformat()}
        for task in aftermath.tasks(found)
    ]
    click.echo(json.dumps({"files": [*map(str, files)], "tasks": tasks, "call": [*found.calls]}, indent=1))


def _retry(text: str | None, inventory: Inventory) -> datetime | None:
    """Read the time of the next try, which must be in the future and not in a freeze."""
    if text is None:
        return None
    try:
        when = parse_time(text)
    except ValueError as error:
        raise Refused(f"--retry {text}: {error}; write for example 2026-12-02T20:00Z") from None
    if when <= utcnow():
        raise Refused(f"--retry {text} is in the past")
    for freeze in inventory.timetable.freezes if inventory.timetable else ():
        if freeze.start <= when < freeze.end:
            raise Refused(
                f"--retry {text} is in a freeze until {freeze.end:%Y-%m-%d %H:%M} UTC ({freeze.reason}):"
                " choose another time"
            )
    return when
