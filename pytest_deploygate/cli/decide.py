"""`deploygate decide`: where an incident stands, and a person's decision about it."""

from __future__ import annotations

import getpass
import json
import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from pytest_deploygate.checklist.parser import slug
from pytest_deploygate.cli import assess, changes
from pytest_deploygate.decision import incident_log
from pytest_deploygate.decision.incidents import Event, Incident, What
from pytest_deploygate.model import words_for
from pytest_deploygate.moments import present
from pytest_deploygate.redaction import redact
from pytest_deploygate.rollback import situation
from pytest_deploygate.rollback.situation import Now

_TICK_S = 1.0
#: Exit codes of `decide`, as a run's: GO, held, rollback.
_EXIT = {"go": 0, "hold": 21, "rollback": 22}


@click.command("decide", short_help="Show where an incident stands, or decide about it.")
@click.argument("what", required=False, type=click.Choice(["go", "hold", "rollback"]))
@changes.options
@click.option("--role", metavar="ROLE", help="The role that decides, e.g. deployment-lead.")
@click.option("--name", default="", help="Who decides, when not the person logged in here.")
@click.option("--reason", default="", help="Why; it stands in the record.")
@click.option("--wait", is_flag=True, help="Watch the clock; at its end do what the policy says.")
@click.option(
    "--quick-fix", "fix", is_flag=True, help="Try a quick fix of the inventory, then measure again."
)
@click.option("--fix-name", help="Which one; else the first that is for the red items.")
@click.option(
    "--rerun", is_flag=True, help="Measure again what is red, what depends on it, and the invariants."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def decide(
    what: str | None,
    *,
    change: str,
    out: Path | None,
    role: str | None,
    name: str,
    reason: str,
    wait: bool,
    fix: bool,
    fix_name: str | None,
    rerun: bool,
    as_json: bool,
) -> None:
    """Show the incident of a change and its clock; decide GO, HOLD or ROLLBACK; or wait for the end of the clock.

    An incident opens when a critical or major item fails in a phase in which users are on the new system. There are
    15 minutes to decide (`rollback.decide_within`); the clock survives crashes and is never reset by a re-run. At its
    end the policy's action is written down, by whoever comes next.

    \b
    deploygate decide --change CHG-1234
    deploygate decide hold --change CHG-1234 --role deployment-lead --reason "cache was cold, looking again"
    deploygate decide rollback --change CHG-1234 --role deployment-lead --reason "logins fail for everybody"
    deploygate decide --wait --change CHG-1234
    deploygate decide --quick-fix --change CHG-1234
    """
    folder = changes.folder_of(change, out)
    if fix or fix_name:
        raise SystemExit(assess.quick_fix(folder, change, fix_name))
    if rerun:
        raise SystemExit(assess.rerun(folder, change))
    if what is not None:
        _decide(folder, what, role, name, reason, as_json=as_json)
    elif wait:
        _wait(folder)
    else:
        with changes.writing(folder) as writer:
            late = situation.write_due(writer, present())
            found = situation.now(writer.entries)
        for event in late:
            changes.notify("deadline", f"{found.change}, {event.incident}: {event.reason}")
        _show(found, late, as_json=as_json)


def _decide(folder: Path, what: str, role: str | None, name: str, reason: str, *, as_json: bool) -> None:
    if not role:
        raise click.UsageError("say who decides: --role deployment-lead")
    if len(reason.split()) < 2:
        raise click.UsageError('say why: --reason "logins fail for everybody" (it stands in the record)')
    with changes.writing(folder) as writer:
        situation.write_due(writer, present())
        found = situation.now(writer.entries)
        if found.incident is None or found.incident.over:
            raise click.ClickException(
                f"there is no open incident in the change {found.change!r}: nothing to decide"
            )
        event = Event(
            found.incident.id,
            What.DECIDED,
            present(),
            slug(role),
            what.upper(),
            redact(reason),
            redact(name) or getpass.getuser(),
        )
        writer.append(incident_log.KIND, incident_log.to_json(event))
        found = situation.now(writer.entries)
    changes.notify("decided", f"{found.change}: {what.upper()} by {event.by}: {event.reason}")
    _show(found, [], as_json=as_json)
    raise SystemExit(_EXIT[what])


def _wait(folder: Path) -> None:
    """Draw the clock until the incident is over or a person decided; write down what its end asks for."""
    console = Console(highlight=False)
    with Live(console=console, refresh_per_second=2, transient=True) as live:
        while True:
            found = _tick(folder, console)
            if found is None or found.incident is None or found.incident.over:
                break
            if found.incident.state.value in ("rolling back", "after", "rollback failed"):
                break
            live.update(_clock(found.incident))
            time.sleep(_TICK_S)
    entries = changes.read(folder)
    _show(situation.now(entries), [], as_json=False)


def _tick(folder: Path, console: Console) -> Now | None:
    """Write down what is due, and read where the incident stands; while a run holds the journal, only read."""
    try:
        with changes.writing(folder) as writer:
            for event in situation.write_due(writer, present()):
                console.print(_line(event))
                changes.notify("deadline", f"{event.incident}: {event.reason}")
            return situation.now(writer.entries)
    except click.ClickException:
        return situation.now(changes.read(folder))


def _show(found: Now, late: list[Event], *, as_json: bool) -> None:
    incident = found.incident
    if as_json:
        click.echo(json.dumps(_plain(found), indent=1))
        return
    console = Console(highlight=False)
    if incident is None:
        said = found.decision.outcome.value if found.decision else "none"
        console.print(f"change {found.change}: no incident; the last run's decision is {said}")
        return
    for event in late:
        console.print(_line(event))
    console.print(_clock(incident))
    for event in incident.events[-6:]:
        console.print(_line(event))
    if not incident.over and incident.state.value in ("assessing", "held"):
        console.print(
            f"next: deploygate decide go|hold|rollback --change {found.change} --role ROLE --reason TEXT"
            f" (the rules recommend {found.recommended.value})"
        )
    if incident.state.value == "rolling back":
        console.print(
            f"next: deploygate rollback --plan --change {found.change}, then --execute --confirm {found.inventory}"
        )


def _clock(incident: Incident) -> Text:
    left = incident.left_s(present())
    text = Text(f"{incident.id}: {incident.state.value}", style="bold")
    text.append(f"  {', '.join(incident.items[:6])}", style="")
    if left is not None and incident.clock is not None:
        name = incident.clock[0]
        over = f"over by {words_for(-left)}" if left < 0 else f"{words_for(left)} left"
        text.append(f"  to {name}: {over}", style="red" if left < 60 else "yellow")
    return text


def _line(event: Event) -> Text:
    said = f" {event.says}" if event.says else ""
    late = f" ({words_for(event.late_s)} late)" if event.late_s >= 1 else ""
    who = f"{event.name} ({event.by})" if event.name else event.by
    return Text(f"  {event.at.wall:%H:%M:%S} UTC  {event.what.value}{said} by {who}{late}: {event.reason}")


def _plain(found: Now) -> dict[str, Any]:
    incident = found.incident
    return {
        "change": found.change,
        "inventory": found.inventory,
        "recommended": found.recommended.value,
        "incident": None
        if incident is None
        else {
            "id": incident.id,
            "state": incident.state.value,
            "items": list(incident.items),
            "opened": incident.opened.wall.isoformat(),
            "clock": incident.clock[0] if incident.clock else None,
            "left_s": round(left, 1) if (left := incident.left_s(present())) is not None else None,
            "recommended": incident.recommended,
            "events": [incident_log.to_json(event) for event in incident.events],
        },
    }
