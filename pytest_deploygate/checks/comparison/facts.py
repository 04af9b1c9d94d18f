"""What is measured of two databases, as frozen values: no I/O, no limits."""

from __future__ import annotations

from pytest_deploygate.comparison.objects import Objects
from pytest_deploygate.comparison.outcome import Outcome
from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Compared:
    """A comparison: its outcome, and where its files are.

    `not_named` are tables of the source that neither a rule nor `left_out` names, `not_there` those whose table is not on
    the target. `left_out` are those that are not compared, with the reason. `large_objects` are those of source and target,
    `objects` what was found in them; None: they were not looked at.
    """

    outcome: Outcome
    folder: str
    not_named: tuple[str, ...] = ()
    not_there: tuple[tuple[str, str], ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    large_objects: tuple[int, int] = (0, 0)
    objects: Objects | None = None
