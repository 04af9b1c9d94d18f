"""An incident's clock and its events, as commands print them."""

from __future__ import annotations

from rich.text import Text

from pytest_deploygate.decision.incidents import Event, Incident
from pytest_deploygate.model import words_for
from pytest_deploygate.moments import present


def clock(incident: Incident) -> Text:
    """Return an incident's state with the time that is left."""
    left = incident.left_s(present())
    text = Text(f"{incident.id}: {incident.state.value}", style="bold")
    text.append(f"  {', '.join(incident.items[:6])}", style="")
    if left is not None and incident.clock is not None:
        name = incident.clock[0]
        over = f"over by {words_for(-left)}" if left < 0 else f"{words_for(left)} left"
        text.append(f"  to {name}: {over}", style="red" if left < 60 else "yellow")
    return text


def line(event: Event) -> Text:
    """Return an event as people read it."""
    said = f" {event.says}" if event.says else ""
    late = f" ({words_for(event.late_s)} late)" if event.late_s >= 1 else ""
    who = f"{event.name} ({event.by})" if event.name else event.by
    return Text(
        f"  {event.at.wall:%H:%M:%S} UTC  {event.what.value}{said} by {who}{late}{f': {event.reason}' if event.reason else ''}"
    )
