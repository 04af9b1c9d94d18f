"""Histograms that are not as they should be: read right, or inconclusive for their server, and never quietly left out.

The matrices follow https://prometheus.io/docs/prometheus/latest/querying/api/ ; the truth is in the counts.
"""

from __future__ import annotations

import itertools

import pytest

from pytest_deploygate.checks.load.judge.server_histograms import Criterion, judge_histogram
from pytest_deploygate.checks.load.probe import native_histograms
from pytest_deploygate.checks.load.probe.server_histograms import parse
from pytest_deploygate.checks.load.section import ServerHistograms
from pytest_deploygate.model import CannotTell, Judgement, Verdict

P99 = Criterion(0.99, 0.5, 0.05)
STEP_S, SCRAPES = 15, 42
#: The window is 10 minutes, and the first of 42 scrapes is at its start.
NOW = STEP_S * (SCRAPES - 1.0)
INF = "+Inf"


def histograms(**more: object) -> ServerHistograms:
    return ServerHistograms.model_validate({"url": "http://127.0.0.1:9090"} | more)


def server(name: str, grows: dict[str, float], *, first: int = 0, begins: dict[str, float] | None = None):
    """One server: each of its buckets grows by so many at each scrape, from its scrape `first` on."""
    begins = begins or {}
    return [
        {
            "metric": {"le": bound, "instance": name},
            "values": [
                [n * STEP_S, str(begins.get(bound, 0) + by * (n - first))] for n in range(first, SCRAPES)
            ],
        }
        for bound, by in grows.items()
    ]


def judged(*servers: list, **more: object) -> Judgement:
    return judge_histogram(parse(histograms(**more), list(itertools.chain(*servers)), NOW), P99)


QUICK = {"0.25": 300.0, "0.5": 300.0, "1": 300.0, INF: 300.0}
SLOW = {"0.25": 0.0, "0.5": 0.0, "1": 0.0, INF: 100.0}
HALF_SLOW = {"0.25": 50.0, "0.5": 50.0, "1": 100.0, INF: 100.0}


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        ({"0.25": 0.0, "0.5": 0.0, "1": 0.0}, r'has no bucket le="+Inf"'),
        ({"0.5": 100.0}, r'has no bucket le="+Inf"'),
        ({"0.25": 100.0, "0.5": 20.0, "1": 60.0, INF: 180.0}, "not cumulative"),
        ({"0.5": 200.0, "1": 0.0, INF: 2.0}, "not cumulative"),
        ({"0.5": 100.0, INF: 60.0}, "not cumulative"),
    ],
)
def test_a_server_that_cannot_be_read_is_not_left_out(odd: dict[str, float], words: str) -> None:
    """Beside a quick server it is no pass, and the reason names it; alone nothing can be told."""
    found = judged(server("a", QUICK), server("b", odd))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert '1 of 2 servers cannot be read, so their requests are unknown: {instance="b"}' in found.reason
    assert words in found.reason
    with pytest.raises(CannotTell, match="cannot be read"):
        parse(histograms(), server("b", odd), NOW)


def test_a_slow_server_fails_beside_one_that_cannot_be_read() -> None:
    found = judged(server("a", HALF_SLOW), server("b", {"0.5": 100.0}))
    assert found.verdict is Verdict.FAIL
    assert any("cannot be read" in note for note in found.notes)


@pytest.mark.parametrize(
    ("bounds", "verdict"),
    [
        ([{"0.5": 10.0, INF: 10.0}, {"0.25": 30.0, "1": 30.0, INF: 30.0}], Verdict.PASS),
        ([{"0.5": 10.0, INF: 10.0}, {"0.1": 30.0, INF: 30.0}], Verdict.PASS),
        ([{"0.5": 10.0, INF: 10.0}, {"0.5": 30.0, "0.7": 30.0, INF: 30.0}], Verdict.PASS),
        ([{"0.5": 100.0, INF: 100.0}, {"0.25": 20.0, "1": 30.0, INF: 30.0}], Verdict.INCONCLUSIVE),
        ([{"0.5": 100.0, INF: 100.0}, {"1": 30.0, INF: 30.0}], Verdict.INCONCLUSIVE),
        ([{"0.5": 100.0, INF: 100.0}, {"0.25": 5.0, "1": 5.0, INF: 30.0}], Verdict.FAIL),
        ([{"0.25": 50.0, "1": 50.0, INF: 50.0}, {"0.3": 50.0, "2": 50.0, INF: 50.0}], Verdict.PASS),
    ],
)
def test_each_server_has_its_own_bounds(bounds: list[dict[str, float]], verdict: Verdict) -> None:
    """What a server has no bucket for lies between the two that it has."""
    found = judged(*(server(f"s{n}", each) for n, each in enumerate(bounds)))
    assert found.verdict is verdict, found.reason
    if verdict is Verdict.INCONCLUSIVE:
        assert "add a bucket at 0.5 s to the histogram of each server" in found.reason


def test_slow_requests_before_the_first_scrape_of_a_new_server_are_not_dropped() -> None:
    """900 slow ones of 1,000 were there when the server was first scraped, in the window."""
    slow = server("b", QUICK, first=30, begins={"0.25": 100, "0.5": 100, "1": 1000, INF: 1000})
    found = judged(server("a", QUICK), slow)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert (
        '1000 requests were counted before the first scrape of 1 of 2 servers (instance="b")' in found.reason
    )


@pytest.mark.parametrize(
    ("first", "begins"),
    [
        (30, {"0.25": 1000, "0.5": 1000, "1": 1000, INF: 1000}),
        (30, {}),
        (0, {"0.25": 0, "0.5": 0, "1": 900, INF: 90000}),
        (1, {"0.25": 0, "0.5": 0, "1": 900, INF: 90000}),
    ],
)
def test_a_healthy_new_server_and_an_old_one_pass(first: int, begins: dict[str, float]) -> None:
    """Quick from its first request; or slow long ago, before the window, which its first count still shows."""
    found = judged(server("a", QUICK), server("b", QUICK, first=first, begins=begins))
    assert found.verdict is Verdict.PASS, found.reason


def test_a_server_seen_once_is_not_a_pass_by_itself() -> None:
    found = judged(server("a", QUICK, first=SCRAPES - 1, begins=dict.fromkeys(QUICK, 5000)))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "before the first scrape of 1 of 1 servers" in found.reason


def counted(samples: list[dict[str, float]]) -> tuple[int, int, int]:
    """Return resets, requests and those over the limit of one server with these samples."""
    values = [
        {
            "metric": {"le": bound, "instance": "a"},
            "values": [[n * STEP_S, str(each[bound])] for n, each in enumerate(samples) if bound in each],
        }
        for bound in dict.fromkeys(bound for each in samples for bound in each)
    ]
    found = parse(histograms(window="50s"), values, (len(samples) - 1) * STEP_S)
    at = found.bounds_s.index(0.5)
    total = sum(scrape.at_or_below[-1] for scrape in found.scrapes)
    return found.resets, total, total - sum(scrape.at_or_below[at] for scrape in found.scrapes)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        # Restarted, and all that it counted since was slow: fewer quick ones, but more in all.
        ([{"0.5": 100, INF: 100}, {"0.5": 0, INF: 300}], (1, 300, 300)),
        # Restarted, and busier than before: each bucket is larger, but they grew by what no histogram can hold.
        ([{"0.5": 10, INF: 100}, {"0.5": 150, INF: 150}], (1, 150, 0)),
        # Restarted with fewer of each.
        ([{"0.5": 90, INF: 100}, {"0.5": 5, INF: 7}], (1, 7, 2)),
        # Restarted by a version with other buckets.
        ([{"0.25": 90, "0.5": 90, INF: 100}, {"0.5": 5, "2": 6, INF: 7}], (1, 7, 2)),
        # Not restarted.
        ([{"0.5": 90, INF: 100}, {"0.5": 95, INF: 107}], (0, 7, 2)),
        ([{"0.5": 90, INF: 100}, {"0.5": 90, INF: 100}], (0, 0, 0)),
    ],
)
def test_buckets_of_one_server_are_followed_together(samples, expected) -> None:
    assert counted(samples) == expected


def test_buckets_that_come_and_go_are_not_counted_again() -> None:
    whole, part = {"0.25": 10, "0.5": 10, INF: 10}, {"0.5": 10, INF: 10}
    with pytest.raises(CannotTell, match="missing at some of its scrapes"):
        counted([whole, part, whole])


NATIVE = {"count": "900", "sum": "2700", "buckets": [[0, "2.8", "3.1", "900"]]}


def native(*samples: tuple[float, dict[str, object]], instance: str = "b") -> dict[str, object]:
    return {"metric": {"instance": instance}, "histograms": [list(sample) for sample in samples]}


def test_a_native_histogram_beside_classic_ones_is_read() -> None:
    """Its requests count like others; one that also has classic buckets is read by those."""
    more = {"count": "1800", "sum": "5400", "buckets": [[0, "2.8", "3.1", "1800"]]}
    found = judged(server("a", QUICK), [native((15, NATIVE), (30, more))])
    assert found.verdict is Verdict.FAIL
    both = judged(server("a", QUICK), server("b", QUICK), [native((15, NATIVE), (30, NATIVE))])
    assert both.verdict is Verdict.PASS
    later = native((NOW + 1, NATIVE))
    assert judged(server("a", QUICK), server("b", QUICK), [later]).verdict is Verdict.PASS, (
        "asked a moment later"
    )
    later["histograms"].append([NOW + 2, NATIVE])  # type: ignore[attr-defined]
    became = judged(server("a", QUICK), server("b", QUICK), [later])
    assert became.verdict is Verdict.INCONCLUSIVE
    assert "native histogram only since its last scrapes" in became.reason


@pytest.mark.parametrize(
    "odd",
    [
        {"sum": "1", "buckets": []},
        {"count": "NaN", "sum": "NaN", "buckets": []},
        {"count": "5", "sum": "1", "buckets": [[0, "1", "2", "7"]]},
        {"count": "5", "sum": "1", "buckets": [["x"]]},
    ],
)
def test_a_native_histogram_that_is_none_is_named(odd: dict[str, object]) -> None:
    found = judged(server("a", QUICK), [native((15, odd), (30, odd))])
    assert found.verdict is Verdict.INCONCLUSIVE
    assert 'instance="b"} has a native histogram that cannot be read' in found.reason


def test_native_buckets_that_become_wider_leave_the_bounds_that_none_lies_across() -> None:
    """By documentation: the server halves the resolution when it has too many buckets."""
    fine = {"count": "3", "sum": "1", "buckets": [[0, "0.25", "0.35", "1"], [0, "0.35", "0.5", "2"]]}
    wide = {"count": "5", "sum": "1", "buckets": [[0, "0.25", "0.5", "4"], [0, "0.5", "1", "1"]]}
    assert native_histograms.cumulative([fine, wide]) == [
        {0.25: 0, 0.5: 3, 1.0: 3, float("inf"): 3},
        {0.25: 0, 0.5: 4, 1.0: 5, float("inf"): 5},
    ]


MILLISECONDS = {"5": 0.0, "250": 300.0, "500": 300.0, "10000": 300.0, INF: 300.0}


def test_milliseconds_have_to_be_named() -> None:
    with pytest.raises(CannotTell, match=r"go up to 10000 and seem to be in milliseconds; add `unit: ms`"):
        judged(server("a", MILLISECONDS))
    with pytest.raises(CannotTell, match="seem to be in milliseconds"):
        judged(server("a", {"5": 1.0, "500": 1.0, INF: 1.0}), metric="http_server_duration_milliseconds")
    assert judged(server("a", MILLISECONDS), unit="ms").verdict is Verdict.PASS
    slow = judged(server("a", MILLISECONDS | {"500": 200.0, "250": 200.0}), unit="ms")
    assert slow.verdict is Verdict.FAIL


@pytest.mark.parametrize("largest", ["10", "60", "300"])
def test_seconds_are_taken_for_seconds(largest: str) -> None:
    assert judged(server("a", {"0.5": 300.0, largest: 300.0, INF: 300.0})).verdict is Verdict.PASS
