"""A server's own latency histogram, from Prometheus' HTTP API.

Raw samples are read (`metric_bucket{…}[10m]`) and not `increase()`, which extrapolates to counts that never were. A
counter that falls was reset: what it shows after that is what was counted since.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import requests

from pytest_deploygate.inventory.load import ServerHistograms
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact

_MOST_SERIES = 20_000


@dataclass(frozen=True, slots=True)
class Scrape:
    """What was counted up to one time since the scrape before: requests at or below each bound, cumulative."""

    at: float
    at_or_below: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ServerHistogram:
    """A histogram's increase over a window, summed over its series. `bounds_s` rise; the last is infinite."""

    metric: str
    selector: str
    window_s: float
    newest_age_s: float
    newest_within_s: float
    series: int
    resets: int
    bounds_s: tuple[float, ...]
    scrapes: tuple[Scrape, ...]


def read(histograms: ServerHistograms) -> ServerHistogram:
    """Read the histogram's window. Raises CannotTell with where, why and what to do."""
    window = round(histograms.window.total_seconds())
    query = f"{histograms.metric}_bucket{{{histograms.selector}}}[{window}s]"
    found, now = _ask(histograms, query), float(_ask(histograms, "time()", scalar=True)[1])
    if len(found) > _MOST_SERIES:
        raise CannotTell(
            f"{query} has {len(found)} series, {_MOST_SERIES} are read: narrow it with `selector`"
        )
    return parse(histograms, found, now)


def parse(histograms: ServerHistograms, found: Sequence[Any], now: float) -> ServerHistogram:
    """Turn Prometheus' matrix (https://prometheus.io/docs/prometheus/latest/querying/api/) into counts. Raises CannotTell."""
    name = f"{histograms.metric}_bucket{{{histograms.selector}}}"
    if not found:
        raise CannotTell(
            f"Prometheus at {histograms.url} has no samples of {name} in the last {histograms.window}: "
            "is the metric's name right, is the server scraped?"
        )
    growth: dict[float, dict[float, int]] = defaultdict(lambda: defaultdict(int))
    newest, resets, servers = 0.0, 0, set()
    for series in found:
        bound, samples = _bound(series), [(float(t), float(v)) for t, v in series["values"]]
        newest = max(newest, samples[-1][0])
        servers.add(tuple(sorted((k, v) for k, v in series["metric"].items() if k != "le")))
        for (_, before), (at, value) in itertools.pairwise(samples):
            resets += value < before and math.isinf(bound)
            growth[at][bound] += round(value if value < before else value - before)
    bounds = tuple(sorted({_bound(series) for series in found}))
    if not math.isinf(bounds[-1]):
        raise CannotTell(f'{name} has no bucket le="+Inf": how many requests there were is not known')
    scrapes = tuple(Scrape(at, tuple(growth[at].get(b, 0) for b in bounds)) for at in sorted(growth))
    return ServerHistogram(
        histograms.metric,
        histograms.selector,
        histograms.window.total_seconds(),
        now - newest,
        histograms.newest_within.total_seconds(),
        len(servers),
        resets,
        bounds,
        scrapes,
    )


def _bound(series: Any) -> float:
    try:
        return float(series["metric"]["le"])
    except (KeyError, ValueError):
        raise CannotTell("a series of the histogram has no bound `le`: is it a histogram?") from None


def _ask(histograms: ServerHistograms, query: str, *, scalar: bool = False) -> Any:
    headers = {"Authorization": f"Bearer {histograms.bearer.reveal()}"} if histograms.bearer else {}
    address = f"{histograms.url.rstrip('/')}/api/v1/query"
    try:
        answer = requests.get(
            address, {"query": query}, headers=headers, timeout=histograms.timeout.total_seconds()
        )
        content = answer.json()
    except requests.RequestException as error:
        why = type(error).__name__
        raise CannotTell(
            f"Prometheus at {histograms.url} does not answer ({why}): {redact(str(error))[:200]}"
        ) from None
    if content.get("status") != "success":
        said = redact(str(content.get("error", answer.status_code)))[:300]
        raise CannotTell(f"Prometheus at {histograms.url} refuses {query}: {said}")
    wanted = "scalar" if scalar else "matrix"
    if content["data"]["resultType"] != wanted:
        raise CannotTell(
            f"Prometheus answered {query} with {content['data']['resultType']}, expected {wanted}"
        )
    return content["data"]["result"]
