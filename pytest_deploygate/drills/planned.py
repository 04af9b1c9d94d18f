"""A drill that an inventory describes, ready to run. Each subject names its own in `checks/<subject>/drills`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pytest_deploygate.drills.record import Record
from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Drill:
    """A drill with its name as people say it (`failover drill`).

    `run` writes the record and returns it, or None if there is none; it raises CannotTell if the drill could not begin.
    `disturbs` is what stands still meanwhile: drills of the same thing run one after the other. `after` is a subject
    whose drills must come first.
    """

    name: str
    disturbs: str
    run: Callable[[], Record[Any] | None]
    after: str = ""
