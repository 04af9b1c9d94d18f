"""What a comparison of large objects found, as frozen values: no I/O."""

from __future__ import annotations

from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Objects:
    """What was found. `differing` are the numbers of some that differ, with how; `differences` counts all of them.

    `problem` says why they were not compared, or not to the end.
    """

    compared: int = 0
    differences: int = 0
    differing: tuple[str, ...] = ()
    problem: str = ""
