"""The servers' histogram against that of the run before: counts at bounds, and what cannot be compared."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from pytest_deploygate.checks.load.facts import Scrape, ServerHistogram
from pytest_deploygate.checks.performance import judge, probe
from pytest_deploygate.checks.performance.section import Performance
from pytest_deploygate.clients import budget as budgets
from pytest_deploygate.model import CannotTell, Judgement, Verdict

BOUNDS = (0.1, 0.2, 0.25, 0.5, 1.0, math.inf)
USUAL = (9000, 9950, 9960, 9990, 10_000, 10_000)


def performance(**more: Any) -> Performance:
    client = {"target": {"host": "app.example.com"}, "endpoints": [{"path": "/"}]}
    return Performance.model_validate({"server": {"window": "12h"}, "client": client} | more)


def histogram(
    counts: tuple[int, ...] = USUAL, bounds: tuple[float, ...] = BOUNDS, **more: Any
) -> ServerHistogram:
    scrapes = tuple(Scrape(1000.0 + n, counts, counts) for n in range(10))
    found = ServerHistogram("took", "", 43_200.0, 1.0, 120.0, 1, 0, bounds, scrapes)
    return replace(found, **more)


def saved(folder: Path, found: ServerHistogram, name: str = "a.json") -> Path:
    (folder / "evidence").mkdir(exist_ok=True)
    (folder / "evidence" / name).write_text(json.dumps({"measurement": asdict(found)}))
    return folder


def judged(folder: Path, now: ServerHistogram, **more: Any) -> Judgement:
    pair = judge.Compared(now, probe.server_before(folder, now))
    return judge.judge_server_regression(pair, performance(**more))


def test_as_before_passes(tmp_path: Path) -> None:
    found = judged(saved(tmp_path, histogram()), histogram())
    assert found.verdict is Verdict.PASS
    assert "p99 by the servers' histogram took against the run before: not slower by 25%" in found.reason


def test_slower_over_the_mark_fails_with_its_counts(tmp_path: Path) -> None:
    slow = (9000, 9800, 9850, 9920, 10_000, 10_000)
    found = judged(saved(tmp_path, histogram()), histogram(slow))
    assert found.verdict is Verdict.FAIL
    assert (
        "slower by more than 25%: 1500 of 100000 requests (1.50%) took longer than 0.25 s, 500 of 100000 (0.50%) longer than 0.2 s"
        in found.reason
    )


@pytest.mark.parametrize(
    ("now", "says"),
    [
        (histogram(newest_age_s=600.0), "its newest sample is 10 min old"),
        (histogram(silent=("b",), series=2), "1 of 2 servers cannot be read: b"),
        (histogram((1, 1, 1, 1, 1, 1)), "are too few"),
        (histogram((9000, 9950, 10_000), (0.1, 0.2, math.inf)), "there is no bucket beyond 0.25 s"),
        (histogram(metric="other"), "contains no record of the histogram other"),
    ],
)
def test_what_cannot_be_compared_is_inconclusive(tmp_path: Path, now: ServerHistogram, says: str) -> None:
    found = judged(saved(tmp_path, histogram()), now)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert says in found.reason


def test_run_before_with_other_buckets_or_over_all_bounds_is_inconclusive(tmp_path: Path) -> None:
    unlike = replace(histogram(), scrapes=(Scrape(1.0, USUAL, tuple(n + 1 for n in USUAL)),))
    assert "had different buckets" in judged(saved(tmp_path, unlike), histogram()).reason
    over = histogram((9000, 9000, 9000, 9000, 9000, 10_000))
    assert "was over the largest bound" in judged(saved(tmp_path, over), histogram()).reason


def test_without_a_run_before_it_is_inconclusive(tmp_path: Path) -> None:
    nothing = judge.judge_server_regression(
        judge.Compared(histogram(), probe.server_before(None, histogram())), performance()
    )
    assert nothing.verdict is Verdict.INCONCLUSIVE
    assert "add `performance.baseline`" in nothing.reason
    assert "there is no file or folder" in judged(tmp_path / "absent", histogram()).reason
    (tmp_path / "odd.json").write_text('{"measurement": {"bounds_s": "x"}}')
    assert "contains no record" in judged(tmp_path, histogram()).reason


def test_night_is_compared_with_a_night(tmp_path: Path) -> None:
    saved(tmp_path, histogram())
    newer = tuple(Scrape(9000.0, USUAL, USUAL) for _ in range(3))
    saved(tmp_path, histogram(window_s=600.0, scrapes=newer), "b.json")
    assert probe.server_before(tmp_path, histogram()).window_s == 43_200.0
    assert probe.server_before(tmp_path, histogram(window_s=600.0)).window_s == 600.0


def test_evidence_of_a_pair_is_a_record_too(tmp_path: Path) -> None:
    (tmp_path / "pair.json").write_text(
        json.dumps({"measurement": {"now": asdict(histogram()), "before": {"source": ""}}})
    )
    assert probe.server_before(tmp_path / "pair.json", histogram()).counts[-1] == 100_000


def test_no_request_of_our_own_without_leave() -> None:
    with pytest.raises(CannotTell, match=r"set `performance.client.allow: prod`"):
        probe.visited(performance(), "prod", budgets.unrecorded("golive.performance"))
    other = {"target": {"host": "app.example.com"}, "endpoints": [{"path": "/"}], "allow": "staging"}
    with pytest.raises(CannotTell, match="no request of our own was sent"):
        probe.visited(performance(client=other), "prod", budgets.unrecorded("golive.performance"))


def test_limits_by_the_servers_histogram() -> None:
    assert judge.judge_server(histogram(), performance()).verdict is Verdict.PASS
    slow = judge.judge_server(histogram((9000, 9500, 9600, 9700, 10_000, 10_000)), performance())
    assert slow.verdict is Verdict.FAIL
    assert "3000 of 100000 requests (3.00%) took longer; 1% allowed" in slow.reason
