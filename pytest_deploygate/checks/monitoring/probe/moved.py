"""Causes a metric to move, and observes whether Prometheus sees it."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Sequence
from datetime import timedelta

import requests

from pytest_deploygate.checks.monitoring.facts import Movement
from pytest_deploygate.checks.monitoring.section import Moved
from pytest_deploygate.clients import prometheus
from pytest_deploygate.clients.budget import Budget
from pytest_deploygate.clients.http import sending
from pytest_deploygate.clients.prometheus import Series
from pytest_deploygate.fields.prometheus import Prometheus

_EVERY_S = 0.5
_TIMEOUT_S = 10.0
#: How far back the counter is looked at, to see how it moves without us, and how many times as long as our requests took.
_BEFORE = timedelta(minutes=10)
_TIMES = 8
Samples = Sequence[tuple[float, float]]


def moved(asked: Prometheus, section: Moved, budget: Budget) -> Movement:
    """Send the requests, and wait until the counter rose by as many, or the time is over. Raises CannotTell."""
    began_s, _, _ = prometheus.clock(asked)
    answered = 0
    with budget.probe("requests", unwatched="they are harmless themselves, and few") as spending:
        began = time.monotonic()
        for _ in range(section.requests):
            with spending.request(connects=True) as request:
                good = _sent(section, dict(spending.headers))
                request.answered(0, wrong=not good)
                answered += good
        until = time.monotonic() + section.within.total_seconds()
        while True:
            series = _read(asked, section)
            rise = sum(_rise(samples, began_s) for samples in series)
            took_s = time.monotonic() - began
            if rise >= section.requests or time.monotonic() >= until:
                break
            spending.check()
            time.sleep(_EVERY_S)
    return Movement(
        section.metric,
        section.url,
        section.requests,
        answered,
        rise if series else None,
        _alone(series, began_s, took_s),
        took_s,
        len(series),
    )


def _sent(section: Moved, headers: dict[str, str]) -> bool:
    """Send one request; return whether it was answered as declared."""
    timeout_s = section.timeout.total_seconds() if section.timeout else _TIMEOUT_S
    try:
        answer = sending.send(section, section.url, timeout_s, headers=headers)
    except (requests.RequestException, OSError):
        return False
    return answer.status_code in section.status


def _read(asked: Prometheus, section: Moved) -> list[Samples]:
    found: list[Series] = prometheus.raw(asked, section.metric, _BEFORE + section.within)
    return [[(at.timestamp(), prometheus.number(value)) for at, value in series.samples] for series in found]


def _rise(samples: Samples, since_s: float) -> float:
    """Return by how much a counter rose after a moment; a reset counts from zero, and so does a series born after it."""
    before = [value for at, value in samples if at <= since_s]
    after = [value for at, value in samples if at > since_s]
    known = [before[-1] if before else 0.0, *after]
    return sum(b - a if b >= a else b for a, b in itertools.pairwise(known))


def _alone(series: Sequence[Samples], until_s: float, took_s: float) -> float:
    """Return by how much the counters rise without us in as long a time: the lower quartile of the last times before.

    Not the most: an earlier run of the gate sent its requests, too. A time has two samples at least.
    """
    rises = sorted(
        (b[0], max(0.0, b[1] - a[1]))
        for samples in series
        for a, b in itertools.pairwise(samples)
        if b[0] <= until_s
    )
    if not rises:
        return 0.0
    steps = [b[0] - a[0] for samples in series for a, b in itertools.pairwise(samples)]
    span_s = max(took_s, 2 * statistics.median(steps))
    totals, total, first = [], 0.0, 0
    for at, rise in rises:
        total += rise
        while rises[first][0] <= at - span_s:
            total -= rises[first][1]
            first += 1
        if max(rises[0][0], until_s - _TIMES * span_s) <= at - span_s:
            totals.append(total)
    totals.sort()
    return totals[len(totals) // 4] if totals else 0.0
