"""What the change's ticket said when a run began, and whether the run was inside an approved change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pytest_deploygate.lazy import dataclass

#: Values of `policy.change_state`.
IGNORED, LISTED, REQUIRED = "ignored", "listed", "required"


@dataclass(frozen=True)
class ChangeState:
    """The state of a ticket at one moment.

    `said` are the ticket's own words (`state Implement, approval approved`). `approved` and `scheduled` are None where the
    inventory does not say how this system shows them, `window` is None where the system has no such fields; a window whose
    ends are None is one that nobody filled in. `unknown` says why nothing was read; all else is empty then.
    """

    ticket: str
    read_at: datetime
    said: str = ""
    approved: bool | None = None
    scheduled: bool | None = None
    window: tuple[datetime | None, datetime | None] | None = None
    unknown: str = ""


@dataclass(frozen=True)
class Judged:
    """What is said of a run and its ticket. `good` is None if it could not be told."""

    text: str
    good: bool | None


def judge(state: ChangeState, times: Sequence[datetime]) -> Judged:
    """Say whether a run was inside an approved change at all of these times."""
    if state.unknown:
        return Judged(f"the state of the change is unknown: {state.unknown}", None)
    bad = []
    if state.approved is False:
        bad.append("it is not approved")
    if state.scheduled is False:
        bad.append("it is not scheduled or being implemented")
    outside = _outside(state.window, times)
    if outside and outside.good is False:
        bad.append(outside.text)
    if bad:
        text = (
            f"this run is outside an approved change: {state.ticket}: {', and '.join(bad)} ({state.said}); have the ticket "
            "brought into that state, then run again"
        )
        return Judged(text, False)
    if outside and outside.good is None:
        return Judged(f"the state of the change is unknown: {state.ticket}: {outside.text}", None)
    if state.approved is None and state.scheduled is None:
        text = (
            f"the state of the change is unknown: {state.ticket} says {state.said}, and the inventory does not say what that "
            "means; add `approved` to its entry in `tickets`"
        )
        return Judged(text, None)
    return Judged(f"{state.ticket}: {state.said}{_inside(state.window)}", True)


def _outside(
    window: tuple[datetime | None, datetime | None] | None, times: Sequence[datetime]
) -> Judged | None:
    """Say why the times are not inside a window; None if they are, or the system has none."""
    if window is None:
        return None
    start, end = window
    if start is None or end is None:
        return Judged("it has no planned start and end; fill them in, then run again", None)
    words = f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"
    if end <= start:
        return Judged(f"its window {words} ends before it starts", None)
    if any(at < start for at in times):
        return Judged(f"its window {words} has not begun", False)
    if any(at > end for at in times):
        return Judged(f"its window {words} is over", False)
    return None


def _inside(window: tuple[datetime | None, datetime | None] | None) -> str:
    if window is None or window[1] is None:
        return "; the system has no window for it"
    return f", in its window until {window[1]:%Y-%m-%d %H:%M} UTC"
