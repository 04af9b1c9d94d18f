"""Counts and samples of a running load: exact counts over each limit, raw samples up to a bound.

Beyond the bound, past seconds are folded into an HdrHistogram for each endpoint, which keeps three digits.
"""

from __future__ import annotations

import itertools
import math
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import field, replace

from hdrh.histogram import HdrHistogram

from pytest_deploygate.checks.load.facts import Connected, Latencies, Second
from pytest_deploygate.lazy import dataclass

MOST_RAW = 1_000_000
_MOST_CONNECTED = 200_000
_MICROSECONDS = 1e6
_LONGEST_US = 3_600_000_000
_DIGITS = 3
_BUCKET_BITS = 11
#: Shares of the requests at which a distribution is drawn; closer together towards the tail, as HdrHistogram's plots are.
SHARES = tuple(1 - 10 ** (-i / 40) for i in range(1, 201))


def new_histogram() -> HdrHistogram:
    """Return an empty histogram of microseconds, from 1 µs to an hour."""
    return HdrHistogram(1, _LONGEST_US, _DIGITS)


@dataclass()
class _Bucket:
    """The samples of one endpoint in one second; a failed request's latency is infinite."""

    samples: array[float] = field(default_factory=lambda: array("d"))
    over: list[int] = field(default_factory=list)


@dataclass()
class _Connected:
    """What is counted of one endpoint's requests on new connections, or on kept ones."""

    over: list[int]
    overtaken: list[int]
    requests: int = 0
    samples: array[float] = field(default_factory=lambda: array("d"))


class Tally:
    """Counts one latency at a time. `names` are the endpoints, `limits_s` the limits that are counted."""

    def __init__(self, names: Sequence[str], limits_s: Sequence[float], most_raw: int = MOST_RAW) -> None:
        self.names, self.limits_s = tuple(names), tuple(limits_s)
        self.requests = self.failed = 0
        self.failures: list[Counter[str]] = [Counter() for _ in names]
        self._most_raw, self._raw = most_raw, 0
        self._open: list[defaultdict[int, _Bucket]] = [defaultdict(self._bucket) for _ in names]
        self._done: list[list[Second]] = [[] for _ in names]
        self._done_whole: list[Second] = []
        self._folded: list[HdrHistogram | None] = [None for _ in names]
        none = [0] * len(self.limits_s)
        self._connected = [(_Connected(none[:], none[:]), _Connected(none[:], none[:])) for _ in names]

    def add(self, endpoint: int, due_s: float, latency_s: float, failure: str = "") -> None:
        """Count a request by its due time. `failure` says what was wrong with it; it is then over every limit."""
        if failure:
            latency_s = math.inf
            self.failed += 1
            self.failures[endpoint][failure] += 1
        bucket = self._open[endpoint][int(due_s)]
        bucket.samples.append(latency_s)
        over = bucket.over
        for number, limit in enumerate(self.limits_s):
            if latency_s >= limit:
                over[number] += 1
        self.requests += 1
        self._raw += 1
        if self._raw > self._most_raw:
            self._fold(int(due_s))

    def add_connected(self, endpoint: int, latency_s: float, *, opened: bool, overtaken: bool) -> None:
        """Count on what connection a request was sent; see `Connected`. Percentiles are those of the first 200,000."""
        counts = self._connected[endpoint][0 if opened else 1]
        counts.requests += 1
        for number, limit in enumerate(self.limits_s):
            if latency_s >= limit:
                counts.over[number] += 1
                counts.overtaken[number] += overtaken
        if len(counts.samples) < _MOST_CONNECTED:
            counts.samples.append(latency_s)

    def blocks(self, endpoint: int | None, limit: int) -> list[tuple[int, int]]:
        """Return (requests, over) by second, of one endpoint or all (None), during the run."""
        found: dict[int, list[int]] = {}
        for number in range(len(self.names)) if endpoint is None else (endpoint,):
            for done in self._done[number]:
                _count(found, done.second, done.requests, done.over[limit])
            for second, bucket in self._open[number].items():
                _count(found, second, len(bucket.samples), bucket.over[limit])
        return [(n, over) for _, (n, over) in sorted(found.items())]

    def recent(self, second: int) -> tuple[int, float | None, float | None]:
        """Return count, p50 and p99 of the requests that were due in one second so far, for the live display."""
        samples = (
            sorted(x for buckets in self._open for x in list(buckets[second].samples))
            if self.requests
            else []
        )
        return len(samples), _quantile(samples, 0.5), _quantile(samples, 0.99)

    def result(self) -> tuple[Latencies, tuple[Latencies, ...]]:
        """Return the latencies of all requests and those of each endpoint."""
        raw = self._fold_all()
        histograms = []
        for number in range(len(self.names)):
            histogram = self._folded[number] or new_histogram()
            record_sorted(histogram, raw[number])
            histograms.append(histogram)
        each = tuple(
            replace(
                latencies(name, self._done[n], self.failures[n], self.limits_s, histograms[n]),
                opening=_together([self._connected[n][0]]),
                kept=_together([self._connected[n][1]]),
            )
            for n, name in enumerate(self.names)
        )
        if len(each) == 1:
            return _named(each[0]), each
        whole = new_histogram()
        for histogram in histograms:
            whole.add(histogram)
        failures = sum(self.failures, Counter())
        found = latencies(WHOLE, self._done_whole, failures, self.limits_s, whole)
        opening, kept = (_together(all_of) for all_of in zip(*self._connected, strict=True))
        return replace(found, opening=opening, kept=kept), each

    def _bucket(self) -> _Bucket:
        return _Bucket(over=[0] * len(self.limits_s))

    def _fold(self, now: int) -> None:
        """Fold seconds long past; late answers to a folded second get a second entry."""
        old = sorted({second for buckets in self._open for second in buckets if second < now - 10})
        for number, samples in enumerate(self._close(old or [now])):
            self._folded[number] = self._folded[number] or new_histogram()
            record_sorted(self._folded[number], samples)

    def _fold_all(self) -> list[list[float]]:
        return self._close(sorted({second for buckets in self._open for second in buckets}))

    def _close(self, seconds: Sequence[int]) -> list[list[float]]:
        """Summarise seconds and return their good samples for each endpoint, sorted."""
        kept: list[list[float]] = [[] for _ in self.names]
        for second in seconds:
            together: list[float] = []
            over = [0] * len(self.limits_s)
            for number, buckets in enumerate(self._open):
                if (bucket := buckets.pop(second, None)) is None or not bucket.samples:
                    continue
                samples = sorted(bucket.samples)
                self._raw -= len(samples)
                self._done[number].append(_second(second, samples, bucket.over))
                kept[number] += samples
                together += samples
                over = [a + b for a, b in zip(over, bucket.over, strict=True)]
            if together and len(self.names) > 1:
                together.sort()
                self._done_whole.append(_second(second, together, over))
        for samples in kept:
            samples.sort()
        return kept


#: The name of all endpoints together in findings.
WHOLE = "all endpoints"


def highest_equivalent(value: int) -> int:
    """Return the highest value of a bucket of three digits: 2,048 buckets of 1, then each 1,024 are twice as wide.

    Equal to the library's result, which takes ten times as long.
    """
    shift = max(0, value.bit_length() - _BUCKET_BITS)
    return (((value >> shift) + 1) << shift) - 1


def record_sorted(histogram: HdrHistogram, samples: Sequence[float]) -> None:
    """Record sorted seconds, one call for each bucket that they fall into; infinite ones are left out."""
    at, end = 0, bisect_left(samples, math.inf)
    while at < end:
        value = max(1, min(_LONGEST_US, round(samples[at] * _MICROSECONDS)))
        upper = highest_equivalent(value)
        after = max(at + 1, bisect_right(samples, (upper + 0.5) / _MICROSECONDS, at, end))
        histogram.record_value(value, after - at)
        at = after


def _together(parts: Sequence[_Connected]) -> Connected:
    """Add up what was counted of several endpoints."""
    samples = sorted(itertools.chain.from_iterable(part.samples for part in parts))
    over, overtaken = ([part.over for part in parts], [part.overtaken for part in parts])
    return Connected(
        sum(part.requests for part in parts),
        tuple(map(sum, zip(*over, strict=True))),
        tuple(map(sum, zip(*overtaken, strict=True))),
        _quantile(samples, 0.5),
        _quantile(samples, 0.99),
    )


def _count(found: dict[int, list[int]], second: int, requests: int, over: int) -> None:
    entry = found.setdefault(second, [0, 0])
    entry[0] += requests
    entry[1] += over


def _second(second: int, samples: Sequence[float], over: Sequence[int]) -> Second:
    good = samples[bisect_left(samples, math.inf) - 1] if samples[0] < math.inf else None
    return Second(second, len(samples), tuple(over), _quantile(samples, 0.5), _quantile(samples, 0.99), good)


def _quantile(samples: Sequence[float], share: float) -> float | None:
    """Return the nearest-rank quantile of sorted samples; None if it is not a good answer's."""
    if not samples:
        return None
    value = samples[max(0, math.ceil(share * len(samples) - 1e-9) - 1)]
    return value if value < math.inf else None


def latencies(
    name: str,
    seconds: Sequence[Second],
    failures: Counter[str],
    limits_s: tuple[float, ...],
    histogram: HdrHistogram,
) -> Latencies:
    """Summarise what was counted; two entries of one second become one, with the higher of their quantiles."""
    merged = _merged(seconds)
    requests, failed = sum(s.requests for s in merged), sum(failures.values())
    good = requests - failed
    # Accumulated once: the library's own look-up iterates over all counts for each share.
    reached = list(itertools.accumulate(histogram.counts)) if good else []

    def at(share: float) -> float | None:
        """Return the quantile (nearest rank) among all requests, of which the failed ones are the slowest."""
        rank = max(1, math.ceil(share * requests - 1e-9))
        if rank > good:
            return None
        value = histogram.get_value_from_index(bisect_left(reached, rank))
        return float(histogram.get_highest_equivalent_value(value)) / _MICROSECONDS

    points = [(value, share) for share in SHARES if (value := at(share)) is not None]
    return Latencies(
        name=name,
        requests=requests,
        failed=failed,
        failures=dict(failures.most_common(10)),
        limits_s=limits_s,
        over=tuple(sum(s.over[i] for s in merged) for i in range(len(limits_s))),
        seconds=tuple(merged),
        p50_s=at(0.5),
        p99_s=at(0.99),
        max_s=max((s.max_s for s in merged if s.max_s is not None), default=None),
        points=_rising(points),
        histogram=histogram.encode().decode() if good else "",
    )


def _merged(seconds: Sequence[Second]) -> list[Second]:
    """Return one entry for each second: a folded one with late answers has two, and gets the higher quantiles."""
    found: dict[int, Second] = {}
    for s in sorted(seconds, key=lambda s: s.second):
        if (b := found.get(s.second)) is not None:
            s = Second(  # noqa: PLW2901 (both entries are one second)
                s.second,
                s.requests + b.requests,
                tuple(x + y for x, y in zip(s.over, b.over, strict=True)),
                _worse(s.p50_s, b.p50_s),
                _worse(s.p99_s, b.p99_s),
                max((x for x in (s.max_s, b.max_s) if x is not None), default=None),
            )
        found[s.second] = s
    return list(found.values())


def _worse(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else max(one, other)


def _rising(points: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Leave out points that repeat the previous value: the highest share of each value counts."""
    return tuple(dict(points).items())


def _named(found: Latencies) -> Latencies:
    return replace(found, name=WHOLE)
