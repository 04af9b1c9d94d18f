"""A server's own latency histogram, from Prometheus' HTTP API.

Raw samples are read (`metric_bucket{…}[10m]`) and not `increase()`, which extrapolates to counts that never occurred.
The buckets of one server are followed together: if one of them decreases, or if they grew by what no histogram can hold,
the server was restarted, and its values are what it counted since.
"""

from __future__ import annotations

import itertools
import math
import re
import statistics
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_deploygate.checks.load.facts import Scrape, ServerHistogram
from pytest_deploygate.checks.load.probe import native_histograms
from pytest_deploygate.checks.load.section import Histogram
from pytest_deploygate.clients import prometheus, scrapes
from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell, words_for

_MOST_SERIES = 20_000
#: A longer window is read at so many steps.
_RAW_AT_MOST_S = 2 * 3600
_STEPS = 360
#: A bound that no response time has: a histogram with it is not in seconds.
_NO_SECONDS = 1000.0
_MILLISECONDS = re.compile(r"_(ms|msec|millis|milliseconds?)(_|$)")
_UNKNOWN_INTERVAL_S = 60.0
_FEWEST_NATIVE = 2
#: Counts are whole numbers; sums of rates, and values beyond 2^53, are not quite.
_SAME = 1e-6
#: What a server has counted at one moment: bound in seconds to count, ascending.
Buckets = Mapping[float, float]


@dataclass(frozen=True)
class _Server:
    """The samples of one server in order of time."""

    name: str
    samples: tuple[tuple[float, Buckets], ...]


def server_histogram(histograms: Histogram, server: Prometheus | None = None) -> ServerHistogram:
    """Read the histogram's window from `server`, or from the one that the histograms name themselves.

    Raises CannotTell with where, why and what to do.
    """
    asked = server or histograms
    if not isinstance(asked, Prometheus):
        raise CannotTell(
            "no Prometheus is named that has the histogram: add `monitoring: {prometheus: {url: …}}`"
        )
    window = round(histograms.window.total_seconds())
    if window > _RAW_AT_MOST_S:
        scrapes.missed(asked)  # the newest sample is asked for, and there is none until the next scrape
    now = prometheus.now(asked).timestamp()
    names = (f"{histograms.metric}{suffix}{{{histograms.selector}}}" for suffix in ("_bucket", ""))
    # A native histogram has no buckets of its own series. Its server would be passed over.
    classic, native = (_series(asked, name, window, now) for name in names)
    if len(classic) > _MOST_SERIES:
        raise CannotTell(
            f"{histograms.metric}_bucket has {len(classic)} series (limit {_MOST_SERIES}): narrow it with `selector`"
        )
    found = [*classic, *(series for series in native if "histograms" in series)]
    newest = _newest(asked, histograms) if window > _RAW_AT_MOST_S else None
    return parse(histograms, found, now, newest, where=asked.url)


def _series(server: Prometheus, name: str, window_s: int, now: float) -> list[Any]:
    """Return the samples of a window as they were scraped; a longer one at so many steps, as a night has millions."""
    if window_s <= _RAW_AT_MOST_S:
        return list(prometheus.ask(server, {"query": f"{name}[{window_s}s]", "time": f"{now:.3f}"}, "matrix"))
    span = {"start": f"{now - window_s:.3f}", "end": f"{now:.3f}", "step": f"{window_s / _STEPS:.3f}"}
    data = prometheus.api(server, "query_range", {"query": name, **span})
    return list(data.get("result") or []) if isinstance(data, dict) else []


def _newest(server: Prometheus, histograms: Histogram) -> float | None:
    """Return when the newest sample was scraped: at steps, an old value stands for five minutes."""
    names = (f"{histograms.metric}{suffix}{{{histograms.selector}}}" for suffix in ("_bucket", ""))
    found = [s.value for name in names for s in prometheus.finite(server, f"max(timestamp({name}))")]
    return max(found, default=None)


def parse(
    histograms: Histogram,
    found: Sequence[Any],
    now: float,
    newest: float | None = None,
    where: str = "",
) -> ServerHistogram:
    """Turn Prometheus' matrix (https://prometheus.io/docs/prometheus/latest/querying/api/) into counts.

    `newest` is the time of the newest sample where the matrix does not tell it. Raises CannotTell.
    """
    name = f"{histograms.metric}_bucket{{{histograms.selector}}}"
    if not found:
        raise CannotTell(
            f"Prometheus{where and f' at {where}'} has no samples of {name} in the last {histograms.window}: "
            "check the metric's name, and that the server is scraped"
        )
    servers, unread = _servers(found, histograms)
    if not servers:
        raise CannotTell(f"{name} cannot be read: {'; '.join(unread[:3])}")
    bounds = tuple(sorted({bound for s in servers for _, buckets in s.samples for bound in buckets}))
    _check_unit(histograms, bounds)
    window_s, within_s = histograms.window.total_seconds(), histograms.newest_within.total_seconds()
    steps = [b[0] - a[0] for server in servers for a, b in itertools.pairwise(server.samples)]
    interval_s = statistics.median(steps) if steps else _UNKNOWN_INTERVAL_S
    new = [server for server in servers if server.samples[0][0] > now - window_s + 2 * interval_s]
    grown = [growth for server in servers for growth in _growth(server)]
    last = max(server.samples[-1][0] for server in servers)
    return ServerHistogram(
        histograms.metric,
        histograms.selector,
        window_s,
        now - (last if newest is None else newest),
        within_s,
        len(servers) + len(unread),
        sum(reset for _, _, reset in grown),
        bounds,
        _together([(at, buckets) for at, buckets, _ in grown], bounds),
        silent=tuple(
            sorted(s.name for s in servers if last - s.samples[-1][0] > max(within_s, 2 * interval_s))
        ),
        appeared=_together([server.samples[0] for server in new], bounds),
        new=tuple(sorted(server.name for server in new if any(server.samples[0][1].values()))),
        unread=tuple(unread),
    )


def _servers(found: Sequence[Any], histograms: Histogram) -> tuple[list[_Server], list[str]]:
    """Return the servers whose buckets can be read, and why the others cannot."""
    by_server: defaultdict[str, defaultdict[float, dict[float, float]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    native: defaultdict[str, dict[float, Any]] = defaultdict(dict)
    for series in found:
        if "histograms" in series:
            native[_server(series)] |= {float(at): shape for at, shape in series["histograms"]}
        if "values" in series:
            bound = _bound(series) / (1000 if histograms.unit == "ms" else 1)
            for at, value in series["values"]:
                by_server[_server(series)][float(at)][bound] = prometheus.number(value)
    per_second = 1000 if histograms.unit == "ms" else 1
    servers, unread = [], []
    for name, samples in sorted(by_server.items()):
        server = _Server(name, tuple((at, dict(sorted(samples[at].items()))) for at in sorted(samples)))
        if why := _unreadable(server) or _became_native(server, [*native.get(name, ())], histograms):
            unread.append(f"{{{name}}} {why}")
        else:
            servers.append(server)
    for name in sorted(native.keys() - by_server.keys()):
        shapes = sorted(native[name].items())
        try:
            samples_of = native_histograms.cumulative([shape for _, shape in shapes], per_second)
        except (TypeError, ValueError, KeyError) as error:
            unread.append(f"{{{name}}} has a native histogram that cannot be read ({error})")
            continue
        servers.append(_Server(name, tuple(zip((at for at, _ in shapes), samples_of, strict=True))))
    return servers, unread


def _unreadable(server: _Server) -> str:
    """Return why a server's buckets are no histogram; empty if they are."""
    for _, buckets in server.samples:
        if math.inf not in buckets:
            return 'has no bucket le="+Inf", so the number of its requests is unknown'
        if not _cumulative(list(buckets.values())):
            low, high = next(
                (a, b) for a, b in itertools.pairwise(buckets) if buckets[b] < buckets[a] - _SAME
            )
            return (
                f"has buckets that are not cumulative: {buckets[low]:g} requests at or below {low:g} s, "
                f"{buckets[high]:g} at or below {high:g} s"
            )
    shapes = [tuple(shape) for shape, _ in itertools.groupby(tuple(buckets) for _, buckets in server.samples)]
    if len(set(shapes)) < len(shapes):
        return "has buckets that are missing at some of its scrapes"
    return ""


def _became_native(server: _Server, native: Sequence[float], histograms: Histogram) -> str:
    """Tell that Prometheus stores a server's histogram as a native one since some scrape; empty if it does not.

    The two are asked one after the other, so that one scrape may be between them.
    """
    since = [at for at in native if at > server.samples[-1][0]]
    if len(since) < _FEWEST_NATIVE:
        return ""
    return (
        "has a native histogram only since its last scrapes, and classic buckets before: run this again in "
        f"{words_for(histograms.window)}"
    )


def _growth(server: _Server) -> Iterator[tuple[float, Buckets, bool]]:
    """Yield what a server counted up to each scrape but the first, and whether it was restarted before."""
    for (_, before), (at, now) in itertools.pairwise(server.samples):
        grown = {bound: value - before.get(bound, math.inf) for bound, value in now.items()}
        reset = before.keys() != now.keys() or not _cumulative([0.0, *grown.values()])
        yield at, now if reset else grown, reset


def _cumulative(counts: Sequence[float]) -> bool:
    return all(after >= before - _SAME for before, after in itertools.pairwise(counts))


def _together(grown: Sequence[tuple[float, Buckets]], bounds: Sequence[float]) -> tuple[Scrape, ...]:
    """Add up what servers counted at the same moment, by the bounds of all of them."""
    sure: defaultdict[float, list[int]] = defaultdict(lambda: [0] * len(bounds))
    perhaps: defaultdict[float, list[int]] = defaultdict(lambda: [0] * len(bounds))
    for at, buckets in grown:
        own, counts = list(buckets), [round(value) for value in buckets.values()]
        for number, bound in enumerate(bounds):
            below = bisect_right(own, bound)
            sure[at][number] += counts[below - 1] if below else 0
            perhaps[at][number] += counts[bisect_left(own, bound)]
    return tuple(Scrape(at, tuple(sure[at]), tuple(perhaps[at])) for at in sorted(sure))


def _check_unit(histograms: Histogram, bounds: Sequence[float]) -> None:
    """Raise CannotTell if a histogram is in milliseconds by its name or its bounds, and the inventory does not say."""
    if "unit" in histograms.model_fields_set:
        return
    largest = max((bound for bound in bounds if math.isfinite(bound)), default=0.0)
    if _MILLISECONDS.search(histograms.metric) or largest >= _NO_SECONDS:
        raise CannotTell(
            f"the buckets of {histograms.metric} go up to {largest:g} and seem to be in milliseconds; add `unit: ms` to "
            "the histogram, or `unit: s` if they are seconds"
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
