"""A servers' histogram beside that of the run before."""

from __future__ import annotations

from pytest_deploygate.checks.load.facts import ServerHistogram
from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Earlier:
    """What the servers counted in the run before. `counts` are the requests at or below each of `bounds_s`.

    `perhaps` counts those that may have been. `problem` says why there is no earlier run; the rest is then empty. `until`
    is the time of the newest sample, in ISO 8601.
    """

    source: str
    metric: str = ""
    until: str = ""
    window_s: float = 0.0
    bounds_s: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    perhaps: tuple[int, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Compared:
    """The histogram now and that of the run before."""

    now: ServerHistogram
    before: Earlier
