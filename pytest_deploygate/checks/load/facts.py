"""Measurements of sent load and of servers' histograms as frozen values: no I/O, no limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pytest_deploygate.lazy import dataclass

#: Failures of our own side, as they are counted: the requests never left it.
NOT_RESOLVED = "name not resolved"
NOT_SENT = "no route from here"
#: The phase of a request that has nothing to do with its connection.
FIRST_BYTE = "first byte"


@dataclass(frozen=True)
class Second:
    """The requests that were due in one second of the run. Quantiles are None if they fall among failed ones."""

    second: int
    requests: int
    over: tuple[int, ...]  # requests at or over each of the run's limits, including failed ones
    p50_s: float | None
    p99_s: float | None
    max_s: float | None


@dataclass(frozen=True)
class Connected:
    """The requests that opened a connection, or those that were sent on a kept one; failed ones only if they timed out.

    `over` counts those at or over each of the run's limits. `overtaken` are those of them during which a request that was
    sent later, on a kept connection, was answered in a quarter of their time: the server did not stand still then.
    """

    requests: int
    over: tuple[int, ...]
    overtaken: tuple[int, ...]
    p50_s: float | None
    p99_s: float | None


@dataclass(frozen=True)
class Latencies:
    """The requests of one endpoint, or of all. A request that failed or was never sent is over every limit.

    `failures` counts them by cause. `points` are (seconds, share of all at or below). `histogram` is an
    HdrHistogram of the good answers in microseconds (V2 encoding, base64), which any HdrHistogram tool can read and merge.
    """

    name: str
    requests: int
    failed: int
    failures: Mapping[str, int]
    limits_s: tuple[float, ...]
    over: tuple[int, ...]
    seconds: tuple[Second, ...]
    p50_s: float | None
    p99_s: float | None
    max_s: float | None
    points: tuple[tuple[float, float], ...]
    histogram: str
    opening: Connected | None = None
    kept: Connected | None = None

    @property
    def ours(self) -> int:
        """How many requests never left our own side."""
        return sum(self.failures.get(cause, 0) for cause in (NOT_RESOLVED, NOT_SENT))

    def blocks(self, limit_s: float) -> list[tuple[int, int]]:
        """Return (requests, at or over the limit) of each second. Raises KeyError for a limit that was not counted."""
        if limit_s not in self.limits_s:
            raise KeyError(f"requests over {limit_s} s were not counted")
        at = self.limits_s.index(limit_s)
        return [(second.requests, second.over[at]) for second in self.seconds]


@dataclass(frozen=True)
class PhaseTimes:
    """How long one phase of the requests took; `count` is how many had it (a reused connection has no connect)."""

    name: str
    count: int
    p50_s: float
    p99_s: float


@dataclass(frozen=True)
class Floor:
    """What this client measures on its own no-op server: it cannot measure less."""

    requests: int
    rate: float
    p50_s: float
    p99_s: float


@dataclass(frozen=True)
class Client:
    """How well the client performed. `kept` is the share of requests begun by the end of the plan; `lag` is its own delay.

    `held` counts requests that waited because `max_in_flight` were open: caused by the server, and included in their latency.
    `cpu_wait_share` is the share of the run in which it was runnable while others had the CPU (None: unknown). `tool` is the
    other program that measured, such as k6: it does not tell its own lag and floor.
    """

    planned: int
    begun: int
    kept: float
    rate_planned: float
    rate_achieved: float
    lag_p50_s: float
    lag_p99_s: float
    lag_max_s: float
    held: int
    cpu_share: float
    floor: Floor | None
    problem: str = ""
    cpu_wait_share: float | None = None
    tool: str = ""


@dataclass(frozen=True)
class LoadRun:
    """A whole run, or with `part` (2, 4) the second of four that were sent at the same time from several machines.

    `stopped` says why it ended early; empty if it did not.
    """

    target: str
    started: str
    planned_s: float
    lasted_s: float
    greatest_rate: float
    stopped: str
    cut: int
    whole: Latencies
    endpoints: tuple[Latencies, ...]
    phases: tuple[PhaseTimes, ...]
    client: Client
    connections: str
    http_version: str
    part: tuple[int, int] | None = None

    def of(self, name: str) -> Latencies:
        """Return an endpoint's latencies by its name."""
        return next(found for found in (self.whole, *self.endpoints) if found.name == name)

    def only(self, name: str) -> LoadRun:
        """Return the run with only one endpoint's latencies: what a finding about it needs as evidence."""
        return replace(self, whole=self.of(name), endpoints=())


@dataclass(frozen=True)
class Baseline:
    """What an earlier run measured of one endpoint. `problem` says why there is none; the rest is then empty.

    `histogram` is an HdrHistogram of the good answers in microseconds (V2 encoding, base64).
    """

    source: str
    endpoint: str
    started: str = ""
    rate: float = 0.0
    requests: int = 0
    failed: int = 0
    histogram: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Scrape:
    """Requests counted between the previous scrape and this one, cumulative by the bounds of all servers.

    At least `at_or_below` of them were at or below a bound, and at most `perhaps`: where the server has no bucket of
    that bound they are those of its buckets on both sides.
    """

    at: float
    at_or_below: tuple[int, ...]
    perhaps: tuple[int, ...]


@dataclass(frozen=True)
class ServerHistogram:
    """A histogram's increase over a window, of all servers. `bounds_s` ascend; the last is infinite.

    `appeared` are the first counts of servers that were first scraped within the window, which are `new`: when these
    requests were is unknown. `silent` names servers that stopped being scraped longer ago than `newest_within_s`, while
    others still are; `unread` those whose buckets cannot be read, with the reason.
    """

    metric: str
    selector: str
    window_s: float
    newest_age_s: float
    newest_within_s: float
    series: int
    resets: int
    bounds_s: tuple[float, ...]
    scrapes: tuple[Scrape, ...]
    silent: tuple[str, ...] = ()
    appeared: tuple[Scrape, ...] = ()
    new: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spectrum:
    """What wrk2 printed: how many requests were answered within each of rising times. It tells no endpoint and no second.

    `rows` are (seconds, answers within them) of the `recorded` answers; wrk2 drops those of its first ten seconds. `due` are
    the requests that were due while it recorded. `answered` are all answers, `bad_status` those of them with 400 or above.
    `broken` counts by kind what its sockets met: how many requests that were is not known.
    """

    url: str
    label: str
    origin: str
    planned: int
    planned_s: float
    greatest_rate: float
    answered: int
    lasted_s: float
    rows: tuple[tuple[float, int], ...]
    recorded: int
    recorded_s: float
    due: int
    bad_status: int
    broken: Mapping[str, int]

    def over(self, limit_s: float) -> tuple[int, int]:
        """Return at least and at most how many of the recorded answers took the limit or longer.

        A row counts the answers up to its time: those between two rows may be on either side of a limit there.
        """
        under = max((within for value, within in self.rows if value < limit_s), default=0)
        perhaps = min((within for value, within in self.rows if value >= limit_s), default=self.recorded)
        return self.recorded - perhaps, self.recorded - under

    def within(self, share: float) -> float | None:
        """Return the time within which this share of the recorded answers came, as printed."""
        return next((value for value, within in self.rows if within >= share * self.recorded - 1e-9), None)
