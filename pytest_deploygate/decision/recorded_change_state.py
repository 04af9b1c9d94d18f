"""The state of a change as the journal stores it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_deploygate.decision.change_state import ChangeState
from pytest_deploygate.moments import time_of


def to_json(state: ChangeState) -> dict[str, Any]:
    """Return a state as the journal stores it."""
    return {
        "ticket": state.ticket,
        "read_at": state.read_at.isoformat(),
        "said": state.said,
        "approved": state.approved,
        "scheduled": state.scheduled,
        "window": None if state.window is None else [at and at.isoformat() for at in state.window],
        "unknown": state.unknown,
    }


def from_json(plain: Mapping[str, Any] | None) -> ChangeState | None:
    """Read a state back; None if the run read none. Raises KeyError, TypeError or ValueError for anything else."""
    if plain is None:
        return None
    window = plain["window"]
    start, end = (at and time_of(at) for at in window) if window is not None else (None, None)
    return ChangeState(
        ticket=str(plain["ticket"]),
        read_at=time_of(plain["read_at"]),
        said=str(plain["said"]),
        approved=_flag(plain["approved"]),
        scheduled=_flag(plain["scheduled"]),
        window=None if window is None else (start, end),
        unknown=str(plain["unknown"]),
    )


def _flag(value: Any) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise TypeError(f"{value!r} is not true or false")
    return value
