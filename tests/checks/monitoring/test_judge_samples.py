"""Judgements of fresh samples, of a metric that was moved, and of databases' exporters, from values."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_deploygate.checks.monitoring import judge
from pytest_deploygate.checks.monitoring.facts import (
    Clock,
    Exporter,
    Exporters,
    Freshness,
    Movement,
    Newest,
    Sampled,
)
from pytest_deploygate.checks.monitoring.section import DatabaseExporters, Expected, Moved
from pytest_deploygate.model import Verdict

FAIL, UNKNOWN, PASS = Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS
EXPECTED = Expected.model_validate(
    {"targets": [{"job": "node", "instances": ["a"]}], "alerts": [{"name": "Down"}]}
)
NEWEST = Newest("node", "a", up=1.0, up_ago_s=10.0, samples=500.0, newest_ago_s=10.0, interval_s=15.0)
FRESH = Freshness("http://prometheus", Clock(0.0, 0.1), (NEWEST,), {})


@pytest.mark.parametrize(
    ("more", "verdict", "words"),
    [
        ({}, PASS, "all 1 targets have samples of their last 2 scrapes"),
        ({"newest_ago_s": 31.0}, FAIL, "the newest sample of a of node is 31 s old, more than 30 s"),
        ({"newest_ago_s": 30.0}, PASS, ""),
        ({"newest_ago_s": None}, FAIL, "is scraped, but has no series"),
        (
            {"up": 0.0},
            FAIL,
            "does not answer its scrapes as it should (up is 0); what is seen of it is 10 s old",
        ),
        ({"up": float("nan")}, FAIL, "was never scraped"),
        ({"up": None, "up_ago_s": None, "newest_ago_s": None}, FAIL, "was never scraped or is no longer"),
        ({"samples": 0.0}, FAIL, "answers its scrapes with no sample"),
        ({"up_ago_s": 40.0}, FAIL, "was last scraped 40 s ago, its interval is 15 s"),
        ({"interval_s": None}, UNKNOWN, "the scrape interval of a of node is unknown"),
    ],
)
def test_freshness(more: dict[str, object], verdict: Verdict, words: str) -> None:
    said = judge.judge_freshness(replace(FRESH, targets=(replace(NEWEST, **more),)), EXPECTED)
    assert (said.verdict, words in said.reason) == (verdict, True), said.reason


@pytest.mark.parametrize(
    ("found", "verdict", "words"),
    [
        (replace(FRESH, targets=()), FAIL, "a of node is no target, so it has no samples"),
        (
            replace(FRESH, targets=(), running_s=9.0),
            UNKNOWN,
            "it started 9 s ago and may not have everything yet",
        ),
        (replace(FRESH, clock=Clock(90.0, 90.2)), UNKNOWN, "its clock is 90.0 s ahead"),
        (replace(FRESH, unlooked={"node": 900_000}), UNKNOWN, "node has 900000 series, too many"),
        (replace(FRESH, unlooked={"other": 900_000}), PASS, ""),
    ],
)
def test_all_of_them(found: Freshness, verdict: Verdict, words: str) -> None:
    said = judge.judge_freshness(found, EXPECTED)
    assert (said.verdict, words in said.reason) == (verdict, True), said.reason


MOVED = Moved.model_validate({"url": "http://app/healthz", "metric": "requests_total", "within": "30s"})
MOVEMENT = Movement("requests_total", "http://app/healthz", 20, 20, 21.0, 1.0, 8.0, 1)


@pytest.mark.parametrize(
    ("more", "verdict", "words"),
    [
        ({}, PASS, "requests_total rose by 21 after 20 requests of ours, seen after 8.0 s"),
        ({"rise": 3.0, "took_s": 30.1}, FAIL, "rose by 3 within 30 s after 20 requests"),
        ({"rise": 0.0, "took_s": 30.1}, FAIL, "Prometheus scrapes another server than the one that answers"),
        ({"rise": None, "series": 0}, UNKNOWN, "Prometheus has no series requests_total"),
        ({"answered": 19}, UNKNOWN, "answered 19 of 20 requests as declared"),
        ({"rise": 900.0, "alone": 880.0}, UNKNOWN, "rises by 880 in 8.0 s without us"),
    ],
)
def test_moved(more: dict[str, object], verdict: Verdict, words: str) -> None:
    said = judge.judge_moved(replace(MOVEMENT, **more), MOVED)
    assert (said.verdict, words in said.reason) == (verdict, True), said.reason


WANTED = DatabaseExporters.model_validate(
    {"instances": ["db1:9187"], "metrics": ["pg_stat_database_xact_commit"]}
)
GOOD = Sampled(1, 1.0, 5.0)
EXPORTER = Exporter(
    "db1:9187", 1.0, GOOD, replace(GOOD, value=0.0), {"pg_stat_database_xact_commit": GOOD}, 15.0
)
EXPORTERS = Exporters("http://prometheus", Clock(0.0, 0.1), (EXPORTER,), ("db1:9187", "db10:9187"))


@pytest.mark.parametrize(
    ("more", "verdict", "words"),
    [
        ({}, PASS, "1 exporters see their databases"),
        ({"scrape": None, "instance": "db11:9187"}, FAIL, "did you mean 'db1:9187'"),
        ({"scrape": 0.0}, FAIL, "the exporter does not answer its scrapes"),
        ({"up": replace(GOOD, value=0.0)}, FAIL, "the exporter answers, but its database does not"),
        ({"up": Sampled(0)}, FAIL, "there is no series pg_up in the last 10 min"),
        ({"up": replace(GOOD, ago_s=45.0)}, FAIL, "the newest sample of pg_up is 45 s old, more than 30 s"),
        # Once `pg_up` 1 stood beside this.
        ({"failed": replace(GOOD, value=1.0)}, FAIL, "some of its queries fail"),
        ({"failed": Sampled(0)}, FAIL, "there is no series pg_exporter_last_scrape_error"),
        (
            {"metrics": {"pg_stat_database_xact_commit": Sampled(0)}},
            FAIL,
            "no series pg_stat_database_xact_commit",
        ),
        ({"metrics": {"x": replace(GOOD, odd="nan")}}, UNKNOWN, "x is nan, which is no number"),
        ({"interval_s": None}, UNKNOWN, "its scrape interval is unknown"),
    ],
)
def test_exporters(more: dict[str, object], verdict: Verdict, words: str) -> None:
    said = judge.judge_exporters(replace(EXPORTERS, exporters=(replace(EXPORTER, **more),)), WANTED)
    assert (said.verdict, words in said.reason) == (verdict, True), said.reason


def test_exporters_of_a_server_that_has_just_started() -> None:
    found = replace(EXPORTERS, exporters=(replace(EXPORTER, up=Sampled(0)),), running_s=5.0)
    said = judge.judge_exporters(found, WANTED)
    assert (said.verdict, "it started 5 s ago" in said.reason) == (UNKNOWN, True)
