"""The state of a change that is an issue with labels: GitHub and GitLab."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pytest_deploygate.decision.change_state import ChangeState
from pytest_deploygate.fields.tickets import Tracker


def by_labels(
    tracker: Tracker, key: str, labels: Sequence[str], *, is_open: bool, at: datetime
) -> ChangeState:
    """Return what an issue's labels say. A closed issue is no change that may be carried out. It has no window."""
    shown = ", ".join(labels) if labels else "no label"
    approved = bool({*labels} & {*tracker.approved}) if tracker.approved else None
    scheduled = bool({*labels} & {*tracker.scheduled}) if tracker.scheduled else None
    return ChangeState(
        ticket=f"{tracker.called}:{key}",
        read_at=at,
        said=f"{'open' if is_open else 'closed'}, {shown}",
        approved=approved if is_open else False,
        scheduled=scheduled,
    )
