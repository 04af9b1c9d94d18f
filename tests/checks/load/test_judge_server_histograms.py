"""Counts at the server's own bounds: resets are handled, a limit inside a bucket is inconclusive, old samples too.

The answers follow Prometheus' documented format; a real one is queried in tests/checks/load/test_probe_prometheus.py.
"""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.load.judge.server_histograms import Criterion, judge_histogram
from pytest_deploygate.checks.load.probe.server_histograms import parse
from pytest_deploygate.checks.load.section import ServerHistograms
from pytest_deploygate.model import CannotTell, Verdict

WHERE = ServerHistograms.model_validate({"url": "http://127.0.0.1:9090"})
P99 = Criterion(0.99, 0.5, 0.05)


def series(bound, values):
    return {
        "metric": {"le": bound, "job": "api"},
        "values": [[100.0 + 15 * n, str(v)] for n, v in enumerate(values)],
    }


def matrix(quick, total, bound="0.5"):
    return [series(bound, quick), series("+Inf", total)]


def judged(found, now=175.0):
    return judge_histogram(parse(WHERE, found, now), P99)


def test_counts_at_the_limit_decide():
    total = [0, 1000, 2000, 3000, 4000, 5000]
    assert judged(matrix(total, total)).verdict is Verdict.PASS
    slow = judged(matrix([n * 0.97 for n in total], total))
    assert slow.verdict is Verdict.FAIL
    assert "150 of 5000 requests" in slow.reason


def test_a_reset_counts_what_came_after_it():
    found = parse(WHERE, matrix([100, 1100, 50, 1050], [100, 1100, 50, 1050]), 150.0)
    assert found.resets == 1
    assert sum(scrape.at_or_below[-1] for scrape in found.scrapes) == 2050


def test_a_limit_inside_a_bucket_is_inconclusive():
    total = [0, 1000, 2000, 3000, 4000, 5000]
    found = [series("0.25", [n * 0.9 for n in total]), series("1", total), series("+Inf", total)]
    answer = judged(found)
    assert answer.verdict is Verdict.INCONCLUSIVE
    assert "inside the bucket 0.25 s to 1 s, which holds 500 of 5000" in answer.reason


def test_nothing_and_old_samples_are_inconclusive():
    assert judged(matrix([5, 5], [5, 5]), 120.0).verdict is Verdict.INCONCLUSIVE
    assert "newest sample" in judged(matrix([0, 5000], [0, 5000]), 9000.0).reason
    with pytest.raises(CannotTell, match="no samples"):
        parse(WHERE, [], 0.0)


def test_a_server_that_is_not_scraped_any_more_is_not_passed_over():
    """Two servers, one of them last seen 300 s ago: its requests since then are not counted. Slow ones still fail."""

    def two(slow):
        gone = matrix([0, 3000 * slow], [0, 3000])
        there = matrix([n * 1000 for n in range(25)], [n * 1000 for n in range(25)])
        for name, found in (("a", gone), ("b", there)):
            for one in found:
                one["metric"]["instance"] = name
        return gone + there

    found = judged(two(1), now=475.0)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert '1 of 2 servers have not been scraped for over 2 min (instance="a", job="api")' in found.reason
    assert judged(two(0), now=475.0).verdict is Verdict.FAIL


def test_what_is_no_number_is_not_counted():
    with pytest.raises(CannotTell, match="not a finite number"):
        judged(matrix([0, "NaN"], [0, 5000]))
