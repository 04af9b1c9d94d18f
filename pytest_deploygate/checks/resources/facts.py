"""What is used of resources over time, as frozen values: no I/O, no limit of a criterion."""

from __future__ import annotations

from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Point:
    """What is used at a moment (seconds since 1970), and of how much; None where that was not seen."""

    at: float
    used: float | None
    limit: float | None


@dataclass(frozen=True)
class Use:
    """One series: `of` are its labels. `points` are at equal steps, the last one is now.

    `age_s` is how old its newest sample is; None if Prometheus has none that still counts. `odd` is how many values are
    no finite numbers; they count as not seen. `silent` names a target that it came from, or may have come from, whose
    scrapes fail now: it may go on unseen.
    """

    of: str
    points: tuple[Point, ...]
    age_s: float | None
    odd: int = 0
    silent: str = ""


@dataclass(frozen=True)
class Happened:
    """What must not happen and did: to what (`of`), and how often; `hides` if it leaves the use unknown."""

    of: str
    what: str
    times: int
    hides: bool = False


@dataclass(frozen=True)
class Bound:
    """What a group at `path` uses of something that it may have a limit for; `limit` is None for none.

    `what` is memory (bytes, without file pages that can be dropped) or processes (a number).
    """

    path: str
    what: str
    used: float
    limit: float | None


@dataclass(frozen=True)
class Group:
    """A control group on a host: its bounds and those of the groups above it, the nearest first.

    `cores` is the least number of processors that it and those above it may use; None for no limit. `periods`,
    `throttled` and `kills` are counts while it was watched, of the group that was throttled most; None where the host does
    not tell. `killed_before` are kills since the group was made. `problem` says why nothing could be read.
    """

    host: str
    version: int
    bounds: tuple[Bound, ...] = ()
    cores: float | None = None
    periods: int | None = None
    throttled: int | None = None
    kills: int | None = None
    killed_before: int = 0
    problem: str = ""


@dataclass(frozen=True)
class Used:
    """What is used of one resource, by all of its series, and `now` in seconds since 1970 by Prometheus' clock.

    `series` names what was asked for. `clock_off_s` is how far Prometheus' clock is ahead of ours. `lacking` are the
    expected instances without a series.
    """

    name: str
    series: str
    now: float
    window_s: float
    step_s: float
    uses: tuple[Use, ...]
    clock_off_s: float = 0.0
    lacking: tuple[str, ...] = ()
    happened: tuple[Happened, ...] = ()
