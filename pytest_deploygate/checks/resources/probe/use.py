"""Asks Prometheus what is used of a resource at each step of a window, and how old the newest samples are.

Each step has a value only if there was a sample within it. A plain range query would repeat a sample for five minutes and
so hide gaps and the end of a series.
"""

from __future__ import annotations

import itertools
import math
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from pytest_deploygate.checks.resources.facts import Happened, Point, Use, Used
from pytest_deploygate.checks.resources.kinds import Event
from pytest_deploygate.checks.resources.probe import queries
from pytest_deploygate.checks.resources.section import Resource, Resources
from pytest_deploygate.clients import prometheus, scrapes
from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell, words_for

#: Into how many steps a window is divided, if the scrape interval allows it; with many series into fewer.
_MOST_STEPS, _FEWEST_STEPS = 360, 60
_MOST_VALUES = 400_000
#: A step holds at least this many scrapes, so that one that comes late is no gap.
_SCRAPES = 2
_MOST_SERIES = 10_000
_NO_LIMIT = 2.0**63
#: Labels that say where a series comes from; and those that do so for what a cluster has placed somewhere.
_ASIDE = {"job", "image", "id", "metrics_path", "endpoint", "service", "prometheus"}
_PLACES = {"instance", "node"}
_OF_A_CLUSTER = {"container", "persistentvolumeclaim"}
Labels = Mapping[str, str]


@dataclass(frozen=True)
class _Window:
    """The steps at which values are asked for, in seconds since 1970."""

    first: float
    step_s: float
    steps: int

    @property
    def last(self) -> float:
        return self.first + (self.steps - 1) * self.step_s

    def number(self, at: datetime) -> int:
        return round((at.timestamp() - self.first) / self.step_s)


def course(server: Prometheus, resources: Resources, resource: Resource) -> Used:
    """Read what was used at each step of `resources.window`, up to now. Raises CannotTell."""
    return _read(server, resources, resource, resources.window, peaks=False)


def peaks(server: Prometheus, resources: Resources, resource: Resource) -> Used:
    """Read the most that was used within each step of `resources.headroom.window`. Raises CannotTell."""
    return _read(server, resources, resource, resources.headroom.window, peaks=True)


def _read(
    server: Prometheus, resources: Resources, resource: Resource, window: timedelta, *, peaks: bool
) -> Used:
    scrapes.missed(server)  # a series that is gone until the next scrape has not ended
    asked_at = time.time()
    now = prometheus.number(prometheus.ask(server, {"query": "time()"}, "scalar")[1])
    # The answer was made between the two.
    off_s = now - min(max(now, asked_at), time.time())
    every_s = resources.every.total_seconds()
    expression = queries.used(resource)
    newest = queries.first_series(expression, resource)
    ages = prometheus.finite(server, f"timestamp({newest})")
    wanted = min(_MOST_STEPS, max(_FEWEST_STEPS, _MOST_VALUES // (len(ages) or 1)))
    step_s = max(window.total_seconds() / wanted, _SCRAPES * every_s)
    steps = int(window.total_seconds() / step_s) + 1
    grid = _Window(now - (steps - 1) * step_s, step_s, steps)
    # What may be full for a moment is judged by its means.
    ask = queries.highest if peaks and not resource.of_kind.brief else queries.at_steps
    query = ask(expression, resource, step_s, every_s)
    found = _over(server, query, grid)
    if not found:
        raise CannotTell(
            f"Prometheus at {server.url} has no samples of {newest} in the last {words_for(window)}: check the metric's name"
            " and labels, and that its exporter is scraped"
        )
    limits = _Limits(server, resource, grid, every_s)
    known = _Ages(ages, now)
    silent = _Silent(server, newest, window) if any(known.of(labels) is None for labels, _ in found) else None
    names = _names([labels for labels, _ in found])
    uses = tuple(
        _use(name, labels, values, limits, known, silent, resource, grid)
        for name, (labels, values) in zip(names, found, strict=True)
    )
    here = {labels.get("instance", "") for labels, _ in found}
    return Used(
        resource.name,
        newest,
        now,
        window.total_seconds(),
        step_s,
        tuple(sorted(uses, key=lambda use: use.of)),
        clock_off_s=off_s,
        lacking=tuple(name for name in resource.instances if name not in here),
        happened=() if peaks else tuple(_happened(server, resource, grid)),
    )


def _over(server: Prometheus, query: str, grid: _Window) -> list[tuple[Labels, list[float | None]]]:
    """Return each series with its value at each step, None where there was none."""
    start, end = (datetime.fromtimestamp(at, UTC) for at in (grid.first, grid.last))
    series = prometheus.over(server, query, start, end, timedelta(seconds=grid.step_s))
    if len(series) > _MOST_SERIES:
        raise CannotTell(f"{query} has {len(series)} series (limit {_MOST_SERIES}): narrow it with `labels`")
    found: list[tuple[Labels, list[float | None]]] = []
    for each in series:
        values: list[float | None] = [None] * grid.steps
        for at, value in each.samples:
            if 0 <= (number := grid.number(at)) < grid.steps:
                values[number] = value
        labels = {name: value for name, value in each.labels.items() if name != "__name__"}
        found.append((labels, values))
    return found


class _Limits:
    """The limits of a resource's series. One belongs to a series that has the same labels, or the same of those in `by`."""

    def __init__(self, server: Prometheus, resource: Resource, grid: _Window, every_s: float) -> None:
        self._by = resource.by
        text = queries.limit(resource)
        try:
            self._fixed: float | None = float(text)
            self._known: dict[frozenset[tuple[str, str]], list[float | None] | None] = {}
        except ValueError:
            self._fixed = None
            query = queries.at_steps(text, resource, grid.step_s, every_s)
            self._known = self._indexed(_over(server, query, grid))
        self._names = {tuple(sorted(name for name, _ in key)) for key in self._known}
        self._steps = grid.steps

    def _indexed(
        self, found: Iterable[tuple[Labels, list[float | None]]]
    ) -> dict[frozenset[tuple[str, str]], list[float | None] | None]:
        known: dict[frozenset[tuple[str, str]], list[float | None] | None] = {}
        for labels, values in found:
            key = frozenset((k, v) for k, v in labels.items() if not self._by or k in self._by)
            # Which of two limits counts would be a guess.
            known[key] = values if key not in known else None
        return known

    def of(self, labels: Labels) -> Sequence[float | None]:
        """Return the limit at each step; None where it is not known, or where several could be meant."""
        nothing = [None] * self._steps
        if self._fixed is not None:
            return [self._fixed] * self._steps
        keys = [
            frozenset((name, labels[name]) for name in names)
            for names in self._names
            if all(name in labels for name in names)
        ]
        matching = sorted((key for key in keys if key in self._known), key=len)
        return (self._known[matching[-1]] or nothing) if matching else nothing


class _Ages:
    """How old the newest samples are, by the labels that they share with a series."""

    def __init__(self, found: Iterable[prometheus.Sample], now: float) -> None:
        self._samples = [(sample.labels, now - sample.value) for sample in found]
        self._by: dict[tuple[str, ...], dict[tuple[str, ...], float]] = {}

    def of(self, labels: Labels) -> float | None:
        """Return the greatest age of the samples that a series is made of, in seconds; None if none of them still counts."""
        names = tuple(sorted(labels))
        if names not in self._by:
            oldest: defaultdict[tuple[str, ...], float] = defaultdict(lambda: -1.0)
            for known, age in self._samples:
                key = tuple(known.get(name, "") for name in names)
                oldest[key] = max(oldest[key], age, 0.0)
            self._by[names] = dict(oldest)
        return self._by[names].get(tuple(labels[name] for name in names))


class _Silent:
    """The targets of a metric whose scrapes fail now: what has no samples because of that has not ended."""

    def __init__(self, server: Prometheus, newest: str, window: timedelta) -> None:
        self._down: set[tuple[str, str]] = set()
        if down := {_target(sample.labels) for sample in prometheus.vector(server, "up == 0")}:
            had = f"group by (job, instance) (last_over_time({newest}[{round(window.total_seconds())}s]))"
            self._down = down & {_target(sample.labels) for sample in prometheus.vector(server, had)}

    def of(self, labels: Labels) -> str:
        """Return the target in words; empty where the target of the series is not among them."""
        own = {name: labels[name] for name in ("job", "instance") if name in labels}
        fitting = [
            target
            for target in sorted(self._down)
            if own.items() <= dict(zip(("job", "instance"), target, strict=True)).items()
        ]
        return " ".join(fitting[0]) if fitting else ""


def _target(labels: Labels) -> tuple[str, str]:
    return labels.get("job", ""), labels.get("instance", "")


def _use(
    name: str,
    labels: Labels,
    values: Sequence[float | None],
    limits: _Limits,
    ages: _Ages,
    silent: _Silent | None,
    resource: Resource,
    grid: _Window,
) -> Use:
    bounds = [_finite(bound) for bound in limits.of(labels)]
    free = queries.is_free(resource)
    points, odd = [], sum(value is not None and not math.isfinite(value) for value in values)
    for number, (value, bound) in enumerate(zip(values, bounds, strict=True)):
        used = value if not free else None if value is None or bound is None else bound - value
        used = used if used is not None and math.isfinite(used) else None
        points.append(Point(round(grid.first + number * grid.step_s, 3), used, bound))
    age_s = ages.of(labels)
    return Use(name, tuple(points), age_s, odd, silent.of(labels) if silent and age_s is None else "")


def _finite(bound: float | None) -> float | None:
    """Return a limit; +Inf as the largest number, which exporters also use for no limit."""
    if bound == math.inf:
        return _NO_LIMIT
    return bound if bound is not None and math.isfinite(bound) else None


def _names(found: Sequence[Labels]) -> list[str]:
    """Return what each series is called: by the labels that people know it by, by all of them where that is not enough."""
    short = [
        named({name: value for name, value in labels.items() if not _is_aside(name, labels)})
        for labels in found
    ]
    return short if len(set(short)) == len(short) else [named(labels) for labels in found]


def _is_aside(name: str, labels: Labels) -> bool:
    return name in _ASIDE or (name in _PLACES and not _OF_A_CLUSTER.isdisjoint(labels))


def named(labels: Labels) -> str:
    """Return labels as PromQL writes them, those that tell most first."""
    order = {name: n for n, name in enumerate(("instance", "namespace", "pod", "container", "mountpoint"))}
    pairs = sorted(labels.items(), key=lambda pair: (order.get(pair[0], len(order)), pair))
    return "{" + ", ".join(f'{name}="{value}"' for name, value in pairs) + "}"


def _happened(server: Prometheus, resource: Resource, grid: _Window) -> Iterable[Happened]:
    for event in resource.of_kind.events:
        selector = queries.selected(event.metric, resource)
        if event.rises:
            yield from _rises(server, event, selector, grid)
        else:
            for sample in prometheus.vector(server, f"{selector} == 1"):
                labels = {name: value for name, value in sample.labels.items() if name != "__name__"}
                yield Happened(named(labels), event.what, 1, hides=event.hides)


def _rises(server: Prometheus, event: Event, selector: str, grid: _Window) -> Iterable[Happened]:
    """Count what a counter rose by, restarts accounted for: `increase()` would extrapolate."""
    for labels, values in _over(server, f"last_over_time({selector}[{round(grid.step_s * 1000)}ms])", grid):
        seen = [value for value in values if value is not None and math.isfinite(value)]
        rise = sum(after - before if after >= before else after for before, after in itertools.pairwise(seen))
        if rise > 0:
            yield Happened(named(labels), event.what, round(rise))
