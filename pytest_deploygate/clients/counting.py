"""What counters counted in windows that end now, read from Prometheus as raw samples."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from pytest_deploygate.clients import prometheus
from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.judging.counters import (
    Counted,
    Found,
    Scraped,
    Target,
    blocks_for,
    counted,
    interval,
    target_of,
)
from pytest_deploygate.model import CannotTell, words_for

#: Longer windows are read at so many steps: three days of raw samples would be millions. A step without a sample has no
#: value. A plain range query repeats an old one for five minutes, and what was counted meanwhile would all come at once.
_RAW_AT_MOST = timedelta(hours=6)
_STEPS = 720
#: A step has room for so many scrapes, so that one that comes late is no gap. Their distance is that of the last hour.
_SCRAPES_IN_A_STEP = 2
_RATHER_RARE = timedelta(minutes=5)
_MOST_SAMPLES = 2_000_000


def read(
    server: Prometheus,
    selectors: Iterable[str],
    windows: Iterable[timedelta],
    end: datetime | None = None,
    parts: int | None = None,
    *,
    spread: bool = False,
) -> dict[tuple[str, timedelta], Counted]:
    """Return what each selector counted in each window until `end` (now). One without series is a value with none.

    A window is divided into `parts`, by default as many as scrapes allow; `spread` as in `counted`.

    Raises CannotTell where Prometheus does not answer, or has more samples than can be read.
    """
    end = end or prometheus.now(server)
    selectors, windows = list(dict.fromkeys(selectors)), list(dict.fromkeys(windows))
    long = [window for window in windows if window > _RAW_AT_MOST]
    found: dict[tuple[str, timedelta], Counted] = {}
    for group in filter(None, ([w for w in windows if w not in long], *([w] for w in long))):
        widest = max(group)
        step = _step(server, selectors, end, widest) if widest in long else None
        of = {selector: _series(server, selector, end, widest, step) for selector in selectors}
        scraped = _scraped(server, [labels for some in of.values() for labels, _ in some], end, widest, step)
        for window in group:
            limits = ((end - window).timestamp(), end.timestamp())
            # The same parts for all, so that errors and requests can be compared part by part.
            slowest_s = max(
                (interval(samples for _, samples in some) for some in of.values() if some),
                default=step.total_seconds() if step else 60.0,
            )
            every_s = slowest_s if step else 0.0
            number = parts or blocks_for(window.total_seconds(), slowest_s)
            for selector in selectors:
                found[selector, window] = counted(
                    selector, of[selector], scraped, limits, every_s, number, spread=spread
                )
    return found


def _step(server: Prometheus, selectors: Iterable[str], end: datetime, window: timedelta) -> timedelta:
    """Return how far the steps of a long window are apart."""
    apart = [timedelta(0)]
    for selector in selectors:
        query = f"max(count_over_time({selector}[1h] @ {end.timestamp():.3f}))"
        apart += [timedelta(hours=1) / s.value for s in prometheus.finite(server, query) if s.value >= 1]
    return max(window / _STEPS, _SCRAPES_IN_A_STEP * min(max(apart), _RATHER_RARE))


def _series(
    server: Prometheus, selector: str, end: datetime, window: timedelta, step: timedelta | None
) -> list[Found]:
    if step is not None:
        within = f"last_over_time({selector}[{round(1000 * step.total_seconds())}ms])"
        series = prometheus.over(server, within, end - window, end, step)
    else:
        _bounded(server, selector, window)
        series = prometheus.raw(server, selector, window, end)
    return [(s.labels, [(at.timestamp(), value) for at, value in s.samples]) for s in series]


def _bounded(server: Prometheus, selector: str, window: timedelta) -> None:
    query = f"sum(count_over_time({selector}[{round(window.total_seconds())}s]))"
    samples = sum(sample.value for sample in prometheus.finite(server, query))
    if samples > _MOST_SAMPLES:
        raise CannotTell(
            f"{selector} has {samples:.0f} samples in {words_for(window)} (limit {_MOST_SAMPLES}): narrow it, or name a "
            "counter that a recording rule sums up"
        )


def _scraped(
    server: Prometheus,
    found: Sequence[Mapping[str, str]],
    end: datetime,
    window: timedelta,
    step: timedelta | None,
) -> Scraped:
    """Read when the targets of these series were scraped, and since when their processes run, where they tell."""
    targets: set[Target] = {target for labels in found if (target := target_of(labels))}
    if not targets:
        return Scraped({}, {})
    jobs = json.dumps("|".join(re.escape(job) for job in sorted({job for job, _ in targets})))
    up = _series(server, f"up{{job=~{jobs}}}", end, window, step)
    query = f"min_over_time(process_start_time_seconds{{job=~{jobs}}}[{round(window.total_seconds())}s])"
    starts = {target_of(s.labels): s.value for s in prometheus.finite(server, query)}
    return Scraped(
        {target: samples for labels, samples in up if (target := target_of(labels)) in targets and target},
        {target: at for target, at in starts.items() if target in targets and target},
    )
