"""Zero loss is claimed only where each write was found, commits wait, and a fault was injected."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pytest_deploygate.checks.data_loss.facts import Claim, Commits, Place, Risk, Written
from pytest_deploygate.checks.data_loss.judge.claim import Claimed, judge_claim
from pytest_deploygate.checks.data_loss.judge.writes import judge_nodes, judge_restored
from pytest_deploygate.checks.data_loss.section import DataLoss
from pytest_deploygate.checks.replication.facts import FailoverFacts, ManagedFacts
from pytest_deploygate.checks.replication.section import Failover, Managed
from pytest_deploygate.drills.record import Evidence, Record, digest
from pytest_deploygate.judging.histories.checking import Anomalies, Presence, Some
from pytest_deploygate.model import Judgement, Verdict

WHOLE = Presence(found=900)
COMMITS = Commits("db1", "ANY 1 (db2, db3)", "on", "on", ("db2", "db3"))
RISK = Risk(20, 81920, 0.2, 500.0, 409600.0)
GOOD = Written(
    through="pgbouncer",
    planned_s=2.0,
    lasted_s=2.0,
    anomalies=Anomalies(acknowledged=900, reads=80),
    nodes=(Place("db1", WHOLE), Place("db2", WHOLE, "", 0.1), Place("db3", WHOLE, "", 0.1)),
    restored=Place("restored backup 2026F", WHOLE, "", 4.0),
    risk=RISK,
    commits=COMMITS,
)
BOUNDS = DataLoss()


def with_node(name, presence, problem=""):
    return replace(
        GOOD, nodes=tuple(Place(name, presence, problem) if p.name == name else p for p in GOOD.nodes)
    )


def test_writes_that_are_everywhere_pass_and_say_where():
    found = judge_nodes(GOOD, BOUNDS)
    assert found.verdict is Verdict.PASS
    assert "all 900 writes acknowledged through pgbouncer in 2 s are on db1, db2 and db3" in found.reason
    found = judge_restored(GOOD, BOUNDS)
    assert found.verdict is Verdict.PASS
    assert "2026F has all 900 acknowledged writes" in found.reason


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (with_node("db1", replace(WHOLE, lost=Some(3, (4, 8, 9)))), "db1 lacks 3 of 900 acknowledged writes (ids 4, 8, 9): single"),
        (with_node("db3", replace(WHOLE, lost=Some(7, (894, 895)), tail=True, lost_s=0.4)), "acknowledged in the last 0.4 s"),
        (with_node("db2", replace(WHOLE, phantom=Some(1, (10_000,)))), "db2 has 1 rows that no writer wrote"),
        (with_node("db2", replace(WHOLE, applied_twice=Some(1, (5,)))), "db2 has 1 writes twice (ids 5)"),
        (replace(GOOD, anomalies=replace(GOOD.anomalies, acknowledged_twice=Some(1, (5,)))), "1 writes were acknowledged twice (ids 5)"),
        (replace(GOOD, anomalies=replace(GOOD.anomalies, stale_reads=Some(4, (5,)), longest_stale_s=0.3)), "4 of 80 reads through pgbouncer were stale, the worst by 0.3 s"),
        (replace(GOOD, anomalies=replace(GOOD.anomalies, unborn_reads=Some(1, (5,)))), "ids that no writer wrote"),
        (replace(GOOD, anomalies=replace(GOOD.anomalies, lost_updates=Some(1, (5,)))), "updates are lost (1)"),
        (replace(GOOD, anomalies=replace(GOOD.anomalies, out_of_order=Some(1, (5,)))), "out of order"),
    ],
)  # fmt: skip
def test_each_anomaly_fails_and_is_named(given, words):
    found = judge_nodes(given, BOUNDS)
    assert found.verdict is Verdict.FAIL
    assert words in found.reason


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (replace(GOOD, anomalies=Anomalies(), problem="pgbouncer cannot be used"), "no write through pgbouncer was acknowledged: pgbouncer cannot"),
        (with_node("db3", None, "it is still 9 bytes behind"), "db3: the acknowledged writes could not be looked for: it is still 9 bytes"),
        (replace(GOOD, hung=True), "did not return"),
        (replace(GOOD, anomalies=Anomalies(acknowledged=900)), "stale reads were not looked for"),
    ],
)  # fmt: skip
def test_what_was_not_seen_is_inconclusive(given, words):
    found = judge_nodes(given, BOUNDS)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert words in found.reason


def test_a_backup_that_was_not_restored_proves_nothing():
    found = judge_restored(replace(GOOD, restored=None), BOUNDS)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "name a scratch server with `backup.scratch`" in found.reason
    said_not_to = judge_restored(replace(GOOD, restored=None), DataLoss(restored=False))
    assert "`data_loss.restored: false` says not to" in said_not_to.reason
    late = replace(GOOD, restored=Place("restored backup", None, "the segment was not archived"))
    assert "the segment was not archived" in judge_restored(late, BOUNDS).reason
    lost = replace(GOOD, restored=Place("restored backup F", replace(WHOLE, lost=Some(1, (3,)))))
    assert judge_restored(lost, BOUNDS).verdict is Verdict.FAIL
    assert judge_restored(replace(GOOD, anomalies=Anomalies()), BOUNDS).verdict is Verdict.INCONCLUSIVE


NOW = datetime(2026, 3, 1, tzinfo=UTC)
SETTINGS = {"replicas": "db2, db3", "synchronous_commit": "on"}
FAILOVER = Failover.model_validate({"stop_primary": "x", "restore": "y", "record": "drill.json"})
RECORD = Record(
    NOW - timedelta(days=3), "good", FailoverFacts(promoted="db2", acknowledged=600, writable_after_s=0.8),
    environment="prod", configuration=SETTINGS, digest=digest(SETTINGS),
)  # fmt: skip


def drill(record=RECORD, configuration=SETTINGS, problem=""):
    return Evidence(
        record,
        problem,
        "drill.json",
        ran_now=False,
        configuration=configuration,
        environment="prod",
        now=NOW,
    )


CLAIM = Claim(COMMITS, RISK, drill())
DECLARED = Claimed(synchronous=True, failover=FAILOVER)


def test_settings_and_a_drill_together_are_a_claim():
    found = judge_claim(CLAIM, DECLARED)
    assert found.verdict is Verdict.PASS, found.reason
    assert "commits wait for db2 or db3" in found.reason
    assert "of 2026-02-26" in found.reason
    assert "lost none of 600" in found.reason


def waits(**changed):
    return replace(CLAIM, commits=replace(COMMITS, **changed))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (waits(standby_names="", partners=()), "commits on db1 wait for no replica: set synchronous_standby_names"),
        (waits(synchronous_commit="off"), "synchronous_commit is off on db1"),
        (waits(synchronous_commit="remote_write"), "synchronous_commit is remote_write on db1"),
        (waits(session="local"), "synchronous_commit is local in a session of the writers' own, though on"),
        (waits(partners=()), "none of them streams"),
        (waits(others=(("role app", "off"),)), "commits of some do not wait (role app: off)"),
    ],
)  # fmt: skip
def test_settings_that_do_not_wait_say_what_could_be_lost_and_which_one_changes_it(given, words):
    found = judge_claim(given, DECLARED)
    assert found.verdict is Verdict.FAIL
    assert words in found.reason
    assert "could have lost the last 0.2 s: about 100 rows, 80 kB of WAL that no replica had" in found.reason
    undeclared = judge_claim(given, replace(DECLARED, synchronous=None))
    assert undeclared.verdict is Verdict.INCONCLUSIVE
    assert "zero loss cannot be claimed" in undeclared.reason
    assert words in undeclared.reason


@pytest.mark.parametrize(
    ("given", "criterion", "words"),
    [
        (CLAIM, replace(DECLARED, failover=None), "add `failover:"),
        (replace(CLAIM, drill=None, problem="the inventory names no replica"), DECLARED, "names no replica"),
        (replace(CLAIM, drill=drill(None, problem="there is no record drill.json")), DECLARED, "there is no record"),
        (replace(CLAIM, drill=drill(replace(RECORD, date=NOW - timedelta(days=91)))), DECLARED, "is 91 d old, limit 90 d"),
        (replace(CLAIM, drill=drill(configuration=SETTINGS | {"synchronous_commit": "local"})), DECLARED,
         "tested another configuration: synchronous_commit was 'on', is 'local'"),
        (replace(CLAIM, drill=drill(replace(RECORD, outcome="not_synchronous", reason="no partner"))), DECLARED, "did not begin: no partner"),
        (replace(CLAIM, drill=drill(replace(RECORD, facts=FailoverFacts(promoted="db2")))), DECLARED, "acknowledged no write"),
        (waits(problem="pgbouncer cannot be used", session="", partners=()), DECLARED, "pgbouncer cannot be used"),
    ],
)  # fmt: skip
def test_without_a_fault_that_counts_nothing_is_claimed(given, criterion, words):
    found = judge_claim(given, criterion)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert words in found.reason


def test_a_drill_that_lost_writes_fails():
    lost = replace(
        RECORD, outcome="lost", facts=replace(RECORD.facts, missing=7188, acknowledged=12863, first_missing=5)
    )
    found = judge_claim(replace(CLAIM, drill=drill(lost)), DECLARED)
    assert found.verdict is Verdict.FAIL
    assert "db2 lacked 7,188 of 12,863 acknowledged writes (first missing id 5)" in found.reason


def test_a_replica_that_was_never_behind_is_luck_and_no_promise():
    given = replace(waits(standby_names="", partners=()), risk=replace(RISK, behind_bytes=0, behind_s=0.0))
    said = judge_claim(given, DECLARED).reason
    assert "never behind in 20 samples, which is luck and no promise" in said
    assert "loses 50 rows" in said
    unknown = replace(given, risk=Risk(problem="no replica answered meanwhile"))
    assert "was not measured: no replica answered meanwhile" in judge_claim(unknown, DECLARED).reason


def by_the_manager(fault: str, **facts: object) -> Judgement:
    managed = Managed.model_validate(
        {
            "manager": "patroni",
            "faults": [
                {"fault": fault} if fault == "switchover" else {"fault": fault, "do": "x", "undo": "y"}
            ],
            "without_backup": "a test",
            "record": "drill.json",
        }
    )
    found = {
        "fault": fault, "manager": "patroni", "before": "db1", "after": "db2", "synchronous": True, "acknowledged": 900,
        "missing_by_node": {"db1": 0, "db2": 0}, "first_write_s": 6.0, "first_read_s": 0.3, "samples": 400,
        "rejoined_s": 4.0, "restored_s": 5.0,
    } | facts  # fmt: skip
    settings = {"nodes": "db1, db2"}
    record = Record(
        NOW - timedelta(days=3), "lost" if found.get("missing") else "good", ManagedFacts(**found),  # type: ignore[arg-type]
        environment="prod", configuration=settings, digest=digest(settings),
    )  # fmt: skip
    evidence = Evidence(
        record, "", "drill.json", ran_now=False, configuration=settings, environment="prod", now=NOW
    )
    claim = Claim(COMMITS, RISK, None, managed={fault: evidence})
    return judge_claim(claim, Claimed(synchronous=True, failover=None, managed=managed))


def test_a_drill_through_the_manager_counts():
    judged = by_the_manager("killed")
    assert judged.verdict is Verdict.PASS
    assert "nothing was lost in 1 failover drill: killed: db2 leads, all 900 acknowledged" in judged.reason


def test_a_clean_switchover_is_no_fault():
    judged = by_the_manager("switchover")
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "a clean switchover is no fault" in judged.reason
    assert "then run its drill" in judged.reason


def test_a_drill_through_the_manager_that_lost_writes():
    judged = by_the_manager("killed", missing=71, first_missing=12, synchronous=False)
    assert judged.verdict is Verdict.FAIL
    assert "db2 lacks 71 of 900 acknowledged writes" in judged.reason


def test_no_record_of_the_manager():
    managed = Managed.model_validate(
        {"manager": "patroni", "faults": [{"fault": "switchover"}], "without_backup": "a", "record": "x"}
    )
    judged = judge_claim(
        Claim(COMMITS, RISK, None, "it cannot be read"),
        Claimed(synchronous=True, failover=None, managed=managed),
    )
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "no fault was injected that we know of: it cannot be read" in judged.reason
