"""Hosts that gave no facts: why, and how a reason names many of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from enum import StrEnum

from pytest_deploygate.lazy import dataclass

#: Reasons name this many hosts of one cause; the evidence has all of them.
_NAMED = 5


class Cause(StrEnum):
    """Why a host gave no facts."""

    DOWN = "down"
    """Nothing answered, or the connection was refused."""
    ROUTE = "route"
    """Its name does not resolve here, or no route leads there from here."""
    LOGIN = "login"
    """It answered, but did not let us in: key, host key, or a password is asked for."""
    ANSWER = "answer"
    """We were let in, but the commands did not run to their end."""


@dataclass(frozen=True)
class Failure:
    """Why a host gave no facts: the kind of cause, and what was said (without the host's name)."""

    cause: Cause
    said: str


def by_cause(silent: Iterable[tuple[str, Failure]]) -> dict[Failure, list[str]]:
    """Group the names of hosts by why they gave no facts."""
    found: dict[Failure, list[str]] = defaultdict(list)
    for name, failure in silent:
        found[failure].append(name)
    return found


def listed(names: Sequence[str]) -> str:
    """Return the names as a reason gives them: all, or the first few and how many more there are."""
    if len(names) <= _NAMED:
        return ", ".join(names)
    return f"{', '.join(names[:_NAMED])} and {len(names) - _NAMED} more"
