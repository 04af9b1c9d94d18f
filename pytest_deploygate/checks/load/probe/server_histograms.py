"""A server's own latency histogram, from Prometheus' HTTP API.

Raw samples are read (`metric_bucket{…}[10m]`) and not `increase()`, which extrapolates to counts that never occurred. A
counter that decreases was reset: its value is then what was counted since.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from pytest_deploygate.checks.load.facts import Scrape, ServerHistogram
from pytest_deploygate.checks.load.section import ServerHistograms
from pytest_deploygate.clients import prometheus
from pytest_deploygate.model import CannotTell

_MOST_SERIES = 20_000


def server_histogram(histograms: ServerHistograms) -> ServerHistogram:
    """Read the histogram's window. Raises CannotTell with where, why and what to do."""
    window = round(histograms.window.total_seconds())
    query = f"{histograms.metric}_bucket{{{histograms.selector}}}[{window}s]"
    found, now = _ask(histograms, query, "matrix"), float(_ask(histograms, "time()", "scalar")[1])
    if len(found) > _MOST_SERIES:
        raise CannotTell(f"{query} has {len(found)} series (limit {_MOST_SERIES}): narrow it with `selector`")
    return parse(histograms, found, now)


def parse(histograms: ServerHistograms, found: Sequence[Any], now: float) -> ServerHistogram:
    """Turn Prometheus' matrix (https://prometheus.io/docs/prometheus/latest/querying/api/) into counts. Raises CannotTell."""
    name = f"{histograms.metric}_bucket{{{histograms.selector}}}"
    if not found:
        raise CannotTell(
            f"Prometheus at {histograms.url} has no samples of {name} in the last {histograms.window}: "
            "check the metric's name, and that the server is scraped"
        )
    growth: dict[float, dict[float, int]] = defaultdict(lambda: defaultdict(int))
    resets, newest_of = 0, dict[str, float]()
    for series in found:
        bound, samples = _bound(series), [(float(t), prometheus.number(v)) for t, v in series["values"]]
        server = _server(series)
        newest_of[server] = max(newest_of.get(server, 0.0), samples[-1][0])
        for (_, before), (at, value) in itertools.pairwise(samples):
            resets += value < before and math.isinf(bound)
            growth[at][bound] += round(value if value < before else value - before)
    bounds = tuple(sorted({_bound(series) for series in found}))
    if not math.isinf(bounds[-1]):
        raise CannotTell(f'{name} has no bucket le="+Inf", so the number of requests is unknown')
    newest, within_s = max(newest_of.values()), histograms.newest_within.total_seconds()
    scrapes = tuple(Scrape(at, tuple(growth[at].get(b, 0) for b in bounds)) for at in sorted(growth))
    return ServerHistogram(
        histograms.metric,
        histograms.selector,
        histograms.window.total_seconds(),
        now - newest,
        within_s,
        len(newest_of),
        resets,
        bounds,
        scrapes,
        silent=tuple(sorted(name for name, at in newest_of.items() if newest - at > within_s)),
    )


def _server(series: Any) -> str:
    """Return the labels that identify the server of these buckets."""
    labels = sorted((k, v) for k, v in series["metric"].items() if k not in ("le", "__name__"))
    return ", ".join(f'{k}="{v}"' for k, v in labels)


def _bound(series: Any) -> float:
    try:
        return float(series["metric"]["le"])
    except (KeyError, ValueError):
        raise CannotTell(
            "a series of the histogram has no bound `le`: check that the metric is a histogram"
        ) from None


def _ask(histograms: ServerHistograms, query: str, wanted: str) -> Any:
    return prometheus.ask(histograms, {"query": query}, wanted)
