"""Drills through a manager: each fault must have a good one, and luck is no proof."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pytest_deploygate.checks.replication.facts import Followed, ManagedFacts, TwoWritable
from pytest_deploygate.checks.replication.judge.managed import judge_managed
from pytest_deploygate.checks.replication.section import Managed
from pytest_deploygate.drills.record import Evidence, Record, digest
from pytest_deploygate.judging.histories.checking import Anomalies, Some
from pytest_deploygate.model import Verdict

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SETTINGS = {"nodes": "db1, db2, db3", "synchronous_mode": "true"}
MANAGED = Managed.model_validate(
    {
        "manager": "patroni",
        "faults": [
            {"fault": "killed", "do": "x", "undo": "y"},
            {"fault": "disk_full", "unavailable": "one disk"},
        ],
        "without_backup": "a test",
        "record": "drill.json",
    }
)
FACTS = ManagedFacts(
    fault="killed", manager="patroni", before="db1", after="db2", synchronous=True, acknowledged=900, indeterminate=2,
    missing_by_node={"db1": 0, "db2": 0, "db3": 0}, first_write_s=6.2, first_read_s=0.3, samples=400, longest_unseen_s=0.2,
    rejoined_s=4.0, restored_s=5.0, entries=(Followed("HAProxy", 6.0),),
)  # fmt: skip


def found(facts=FACTS, outcome="good", *, settings=SETTINGS, now=SETTINGS, days=3, **more):
    record = Record(
        NOW - timedelta(days=days), outcome, replace(facts, **more), reason="as it was", environment="prod",
        configuration=settings, digest=digest(settings),
    )  # fmt: skip
    evidence = Evidence(
        record, "", "drill.json", ran_now=False, configuration=now, environment="prod", now=NOW
    )
    return judge_managed({"killed": evidence}, MANAGED)


def test_a_good_drill_passes_and_what_was_not_tried_is_a_note():
    judged = found()
    assert judged.verdict is Verdict.PASS
    assert (
        "killed: db2 leads, all 900 acknowledged writes are there, clients wrote after 6.2 s" in judged.reason
    )
    assert judged.notes == ("disk_full: it was not tried: one disk",)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (
            {"outcome": "lost", "missing": 71, "first_missing": 12, "synchronous": False},
            "db2 lacks 71 of 900 acknowledged writes (first missing id 12); commits waited for no replica",
        ),
        (
            {"two_writable": (TwoWritable(4.0, 4.5, ("db1", "db3")),)},
            "db1 and db3 took writes at the same time for 0.5 s",
        ),
        ({"first_write_s": 45.0}, "clients could write only after 45 s, limit 30 s"),
        (
            {"anomalies": Anomalies(reads=90, stale_reads=Some(2, (7, 9)), longest_stale_s=0.4)},
            "2 of 90 reads through the drill were stale, the worst by 0.4 s",
        ),
        ({"anomalies": Anomalies(lost_updates=Some(1, (0,)))}, "acknowledged updates are lost (1)"),
        ({"anomalies": Anomalies(acknowledged_twice=Some(1, (5,)))}, "acknowledged twice (ids 5)"),
        ({"anomalies": Anomalies(out_of_order=Some(1, (2,)))}, "out of order"),
        ({"phantom": 3}, "3 rows that were never written"),
        ({"missing_by_node": {"db3": 5}}, "db3 lacks 5 acknowledged writes after the drill: rebuild it"),
        ({"rejoined_s": 150.0}, "db1 streamed again only after 2.5 min"),
        ({"entries": (Followed("HAProxy"),)}, "HAProxy never led clients to db2"),
        ({"entries": (Followed("HAProxy", 50.0),)}, "HAProxy led clients to db2 only after 50 s"),
        ({"outcome": "not_rejoined"}, "as it was"),
    ],
)
def test_what_fails(more, says):
    judged = found(**more)
    assert judged.verdict is Verdict.FAIL
    assert says in judged.reason


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"synchronous": False}, "by luck: commits wait for no replica; set synchronous_mode"),
        ({"missing_by_node": {"db3": -1}}, "whether db3 has all acknowledged writes is unknown"),
        ({"samples": 0}, "nobody looked for two nodes"),
        ({"acknowledged": 0}, "proves nothing"),
        ({"first_read_s": None}, "no client could be seen to read again"),
        ({"longest_unseen_s": 40.0}, "may have taken writes unseen"),
        ({"days": 91}, "limit"),
        ({"now": SETTINGS | {"synchronous_mode": "false"}}, "synchronous_mode was 'true', is 'false'"),
    ],
)
def test_what_proves_nothing(more, says):
    judged = found(**more)
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert says in judged.reason
    assert "--allow-disruptive=prod" in judged.reason


def test_a_node_that_cannot_be_looked_at_through_a_cut_is_no_gap_where_commits_wait():
    assert found(fault="network_cut", longest_unseen_s=40.0).verdict is Verdict.PASS
    assert (
        found(fault="network_cut", longest_unseen_s=40.0, synchronous=False).verdict is Verdict.INCONCLUSIVE
    )


def test_without_a_record_it_is_said_how_to_run_a_drill():
    evidence = Evidence(None, "there is no record", "drill.json", False, SETTINGS, "prod", NOW)
    judged = judge_managed({"killed": evidence}, MANAGED)
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "--allow-disruptive=prod" in judged.reason
    assert judge_managed({}, MANAGED).verdict is Verdict.INCONCLUSIVE


def test_commands_by_documentation_only_are_called_so():
    assert "by documentation only" in found(manager="cloudnativepg", by_documentation=True).reason


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"faults": [{"fault": "killed"}]}, "killed needs the commands `do` and `undo`"),
        ({"manager": "hook"}, "`switch` and `promote`"),
        ({"manager": "plain"}, "needs `restore`"),
        ({"manager": "cloudnativepg"}, "needs `cluster`"),
        ({"state": "x"}, "`state` is for the managers `repmgr` and `pg_auto_failover`, not for `patroni`"),
        ({"without_backup": None}, "newest_backup"),
        ({"faults": [{"fault": "switchover"}, {"fault": "switchover"}]}, "is named twice"),
    ],
)
def test_a_section_that_cannot_work_is_refused(section, says):
    whole = {
        "manager": "patroni",
        "faults": [{"fault": "switchover"}],
        "without_backup": "a test",
        "record": "x",
    }
    with pytest.raises(ValueError, match="Value error") as refused:
        Managed.model_validate(whole | section)
    assert says in str(refused.value)


def test_a_drill_is_shown_with_who_took_writes():
    (shown,) = found(
        lead_s=1.0,
        acknowledged_per_100ms=(9,) * 10 + (0,) * 62 + (8,) * 5,
        writable=(TwoWritable(-1.0, 0.0, ("db1",)), TwoWritable(5.9, 6.7, ("db2",))),
    ).figures
    assert shown.title == "failover drill (killed) of 2026-02-26 00:00 UTC"
    assert [name for name, _ in shown.writable] == ["db1", "db2"]
    assert (shown.fault_s, shown.write_s) == (1.0, 7.2)
