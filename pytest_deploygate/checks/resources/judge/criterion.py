"""What is required of a resource, in plain numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_deploygate.lazy import dataclass

if TYPE_CHECKING:
    from pytest_deploygate.checks.resources.section import Resource, Resources

#: A sample must not be older than this many scrape intervals.
_SCRAPES = 2


@dataclass(frozen=True)
class Criterion:
    """How much of a resource may be used (`most_percent`), for how long its samples must be there, and what else is required.

    `usual_percent` is how much of its kind may be used where the inventory says nothing.

    `horizon_s` is None for what does not grow. `brief`: a moment in which all of it is used does no harm. `bounded`: it
    must have a limit of its own.
    """

    most_percent: float
    usual_percent: float
    window_s: float
    oldest_sample_s: float
    recent_s: float
    least_series: int
    horizon_s: float | None
    cycle_s: float | None
    may_end: bool
    brief: bool
    bounded: bool
    unit: str
    share: str
    next_step: str


def of_use(resources: Resources, resource: Resource) -> Criterion:
    """Return what is required now, and up to the horizon."""
    return _criterion(resources, resource, resource.most_used, resources.window.total_seconds())


def of_headroom(resources: Resources, resource: Resource) -> Criterion:
    """Return what is required of the busiest time: the headroom, or less use where even now less is allowed."""
    most = min(100 - resources.headroom.least, resource.most_used)
    return _criterion(resources, resource, most, resources.headroom.window.total_seconds())


def _criterion(resources: Resources, resource: Resource, most: float, window_s: float) -> Criterion:
    kind = resource.of_kind
    return Criterion(
        most,
        kind.most,
        window_s,
        _SCRAPES * resources.every.total_seconds(),
        resources.recent.total_seconds(),
        resource.least,
        resources.horizon.total_seconds() if resource.grows else None,
        resource.cycle.total_seconds() if resource.cycle else None,
        resource.may_end,
        kind.brief,
        kind.bounded,
        resource.unit or kind.unit,
        kind.share,
        kind.next_step,
    )
