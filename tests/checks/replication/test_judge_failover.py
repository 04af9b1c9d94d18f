"""A drill counts if it is recent, of this configuration, and lost nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pytest_deploygate.checks.replication.facts import FailoverFacts
from pytest_deploygate.checks.replication.judge.failover import judge_failover
from pytest_deploygate.checks.replication.section import Failover
from pytest_deploygate.drills.record import Evidence, Record, digest
from pytest_deploygate.model import Verdict

NOW = datetime(2026, 3, 1, tzinfo=UTC)
FACTS = {"replicas": "db2, db3", "synchronous_commit": "on"}
FAILOVER = Failover.model_validate({"stop_primary": "x", "restore": "y", "record": "drill.json"})
GOOD = Record(
    NOW - timedelta(days=3), "good",
    FailoverFacts(promoted="db2", acknowledged=600, indeterminate=1, writable_after_s=0.8, restored_after_s=3.0),
    reason="fine", environment="prod", configuration=FACTS, digest=digest(FACTS),
)  # fmt: skip


def evidence(record=GOOD, *, ran_now=False, problem="", configuration=FACTS, environment="prod"):
    return Evidence(
        record,
        problem,
        "drill.json",
        ran_now=ran_now,
        configuration=configuration,
        environment=environment,
        now=NOW,
    )


def test_a_good_recent_record_passes_and_says_when():
    found = judge_failover(evidence(), FAILOVER)
    assert found.verdict is Verdict.PASS
    assert "2026-02-26" in found.reason
    assert "all 600 acknowledged writes" in found.reason
    assert GOOD.date.isoformat() in [reading.value for reading in found.readings]
    assert [reading.name for reading in found.readings if reading.ok is False] == []


@pytest.mark.parametrize(
    ("given", "criterion", "words"),
    [
        (evidence(None, problem="there is no record drill.json"), FAILOVER, "there is no record drill.json"),
        (evidence(None), None, "add `failover:"),
        (evidence(replace(GOOD, date=NOW - timedelta(days=91))), FAILOVER, "is 91 d old, limit 90 d"),
        (evidence(replace(GOOD, date=NOW + timedelta(days=1))), FAILOVER, "in the future"),
        (evidence(configuration=FACTS | {"synchronous_commit": "off"}), FAILOVER, "synchronous_commit was 'on', is 'off'"),
        (evidence(replace(GOOD, digest="forged")), FAILOVER, "its digest does not match"),
        (evidence(replace(GOOD, digest="", configuration={})), FAILOVER, "the record names no configuration"),
        (evidence(replace(GOOD, environment="staging")), FAILOVER, "was run in 'staging', this is 'prod'"),
        (evidence(replace(GOOD, outcome="not_synchronous", reason="no sync"), ran_now=True), FAILOVER, "no sync"),
    ],
)  # fmt: skip
def test_what_proves_nothing_is_inconclusive_and_says_how_to_run_it(given, criterion, words):
    found = judge_failover(given, criterion)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert words in found.reason
    assert "--allow-disruptive=prod" in found.reason


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"outcome": "lost", "missing": 4, "first_missing": 88}, "db2 lacked 4 of 600 acknowledged writes (first missing id 88)"),
        ({"outcome": "good", "missing": 4, "first_missing": 88}, "lacked 4"),
        ({"outcome": "not_promoted", "reason": "db2 could not be promoted"}, "db2 could not be promoted"),
        ({"outcome": "not_restored", "reason": "not back"}, "not back"),
        ({"outcome": "", "reason": ""}, "no outcome was recorded"),
        ({"acknowledged": 0}, "proves nothing"),
        ({"writable_after_s": None}, "proves nothing"),
        ({"writable_after_s": 31.0}, "only after 31 s, limit 30 s"),
        ({"phantom": 2}, "2 rows that were never written"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("ran_now", [True, False])
def test_a_bad_drill_fails(changed, words, ran_now):
    own = {name: value for name, value in changed.items() if hasattr(GOOD.facts, name)}
    outcome = {"reason": "", **{name: value for name, value in changed.items() if name not in own}}
    record = replace(GOOD, facts=replace(GOOD.facts, **own), **outcome)
    found = judge_failover(evidence(record, ran_now=ran_now), FAILOVER)
    assert found.verdict is Verdict.FAIL
    assert words in found.reason
