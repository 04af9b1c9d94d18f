"""Every cause that keeps a replica from replicating has its verdict, number, limit and next step."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_deploygate.checks.replication.facts import (
    PrimaryFacts,
    ReplicaFacts,
    Server,
    Slot,
    Standby,
    Watch,
)
from pytest_deploygate.checks.replication.judge.streaming import judge_cluster, judge_replica
from pytest_deploygate.checks.replication.section import Replication
from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.model import Verdict

PRIMARY = Server("db1", version=15, system_identifier="77", timeline=3, lsn=900, slot_wal_limit_mb=1024,
                 synchronous_standby_names="ANY 1 (db2, db3)", synchronous_commit="on")  # fmt: skip
SERVER = Server("db2", in_recovery=True, version=15, system_identifier="77", timeline=3, lsn=900, received_lsn=900,
                receiver="streaming", receiver_slot="db2", receiver_application="db2")  # fmt: skip
STANDBY = Standby(41, "db2", "10.0.0.2", "streaming", "quorum", 0, 0, 0.01, 500.0, "db2")
SLOT = Slot(
    "db2", "physical", active=True, temporary=False, reserves=True, wal_status="reserved", retained_bytes=0
)
WATCH = Watch(0.02, 0.0, 0, 0, 0.02, 0.02)
GOOD = ReplicaFacts(SERVER, PRIMARY, "db1", None, "db1", STANDBY, SLOT, WATCH, "", "")
DOWN = Server("db2", problem="db2 (10.0.0.2:5432) cannot be used: refused")
CLUSTER = PrimaryFacts(PRIMARY, (SERVER, replace(SERVER, node="db3")), (STANDBY,), (), ("db2", "db3"), (), "")
ORPHAN = replace(SLOT, name="orphan", active=False, retained_bytes=5 * 1024**2)
BOUNDS = Replication()
LATE = Watch(10.1, None, 272, 0, 10.1, None)


def test_a_node_that_our_side_cannot_resolve_is_no_failure():
    """Not in pg_stat_replication by its name, and no way to ask it: unknown. One that refuses is down."""
    unresolved = Server(
        "db2", problem="db2 (db2.invalid:5432) cannot be used: failed to resolve host", ours=True
    )
    found = judge_replica(replace(GOOD, server=unresolved, standby=None, slot=None), BOUNDS)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "whether db2 streams is unknown" in found.reason
    assert "failed to resolve host" in found.reason
    orphan = replace(SERVER, receiver="")
    cluster = replace(CLUSTER, primary=replace(unresolved, node="db1"), replicas=(orphan,), streaming=())
    assert judge_cluster(cluster, BOUNDS).verdict is Verdict.INCONCLUSIVE
    refusing = replace(cluster, primary=replace(unresolved, node="db1", ours=False))
    assert judge_cluster(refusing, BOUNDS).verdict is Verdict.FAIL


def test_a_good_replica_passes_and_shows_its_numbers():
    found = judge_replica(GOOD, BOUNDS)
    assert (found.verdict, found.reason) == (
        Verdict.PASS,
        "db2 streams from db1; 0 bytes behind; marker row read after 20 ms",
    )
    assert all(reading.ok is not False for reading in found.readings)
    assert len(found.readings) >= 9


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"server": replace(SERVER, system_identifier="78")}, ["db2 belongs to another cluster", "78", "77"]),
        ({"server": replace(SERVER, in_recovery=False)}, ["takes writes of its own (a second primary)", "fence"]),
        ({"server": DOWN, "standby": None, "slot": replace(SLOT, active=False, retained_bytes=1024**3)},
         ["db2 is down", "refused", "slot db2 holds 1 GB for it"]),
        ({"server": DOWN, "standby": None, "slot": replace(SLOT, active=False, wal_status="lost")}, ["is lost", "must be rebuilt"]),
        ({"server": replace(SERVER, receiver=""), "standby": None}, ["up but receives nothing", "see its log"]),
        ({"standby": None}, ["where it receives from is hidden from us", "point it at db1"]),
        ({"standby": None, "server": replace(SERVER, sender="10.0.0.9:5432", heard_s=2.0)},
         ["pg_stat_wal_receiver names 10.0.0.9:5432, last heard of 2 s ago, which the inventory does not name", "point it at db1"]),
        ({"standby": None, "server": replace(SERVER, sender="10.0.0.1:5432", heard_s=90.0, conninfo="db1:5432"), "follows": "db1"},
         ["names 10.0.0.1:5432, last heard of 90 s ago and primary_conninfo names db1:5432, which is db1", "restart db2"]),
        ({"standby": None, "server": replace(SERVER, conninfo="db3:5432"), "follows": "db3"},
         ["primary_conninfo names db3:5432, which is db3, not db1", "change its primary_conninfo"]),
        ({"server": replace(SERVER, receiver=""), "standby": None, "upstream_problem": "db1 refused"}, ["receives nothing", "db1 refused"]),
        ({"standby": replace(STANDBY, state="catchup")}, ["state catchup, not streaming"]),
        ({"seen_on": "db3"}, ["streams from db3, not from db1", "`upstream: db3`"]),
        ({"server": replace(SERVER, timeline=2)}, ["timeline 2, db1 on 3", "pg_rewind"]),
        ({"slot": None}, ["without a replication slot", "primary_slot_name"]),
        ({"slot": replace(SLOT, active=False)}, ["slot db2 is inactive"]),
        ({"slot": replace(SLOT, wal_status="unreserved")}, ["unreserved", "max_slot_wal_keep_size"]),
        ({"slot": replace(SLOT, retained_bytes=2 * 1024**3)}, ["holds 2 GB of WAL, limit 1 GB"]),
        ({"standby": replace(STANDBY, reply_age_s=31.0)}, ["last replied 31 s ago (limit 20 s)", "hangs"]),
        ({"standby": replace(STANDBY, reply_age_s=None)}, ["last replied 8.33 min ago"]),
        ({"server": replace(SERVER, replay_paused=True), "watch": LATE}, ["replay is paused on db2", "pg_wal_replay_resume"]),
        ({"server": replace(SERVER, apply_delay=timedelta(minutes=5)), "watch": LATE}, ["applies everything 5 min late", "`delayed: 300s`"]),
        ({"declared_delay": timedelta(hours=1)}, ["declared delayed by 60 min", "is 0 s", "safety net"]),
        ({"watch": LATE, "standby": replace(STANDBY, reply_age_s=10.2)}, ["marker row written on db1 was not on db2 after 10.1 s (limit 5 s)", "frozen"]),
        ({"watch": replace(LATE, unreplayed_bytes=4096)}, ["4 kB left to replay"]),
        ({"watch": replace(WATCH, behind_bytes=32 * 1024**2)}, ["32 MB behind, limit 16 MB"]),
        ({"watch": replace(WATCH, caught_up_s=12.0)}, ["12 s behind, limit 10 s"]),
        ({"watch": replace(WATCH, marker_s=6.0)}, ["took 6 s to db2, limit 5 s"]),
    ],
)  # fmt: skip
def test_what_is_broken_fails_with_its_cause(changed, words):
    found = judge_replica(replace(GOOD, **changed), BOUNDS)
    assert found.verdict is Verdict.FAIL
    for word in words:
        assert word in found.reason


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"server": DOWN}, "streams, but cannot be queried for the marker row"),
        ({"standby": None, "upstream_problem": "db1 refused"}, "whether db2 streams is unknown: db1 refused"),
        ({"standby": replace(STANDBY, state="")}, "pg_monitor"),
        ({"standby": None, "primary": replace(PRIMARY, sees_all=False)}, "pg_monitor"),
        ({"standby": replace(STANDBY, reply_age_s=None, connected_s=0.5)}, "just connected"),
        ({"marker_problem": "no `writes`"}, "no marker row for db2: no `writes`"),
        ({"watch": Watch(problem="db2 timed out")}, "db2 timed out"),
    ],
)
def test_what_is_not_known_is_inconclusive(changed, words):
    found = judge_replica(replace(GOOD, **changed), BOUNDS)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert words in found.reason


def test_a_lag_longer_than_we_looked_is_unknown():
    watch = replace(WATCH, caught_up_s=None, waited_s=30.0, behind_bytes=10)
    bounds = BOUNDS.model_copy(update={"max_lag_time": timedelta(minutes=2)})
    found = judge_replica(replace(GOOD, watch=watch), bounds)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "the limit is 2 min" in found.reason


def test_a_replica_delayed_on_purpose_passes_with_a_note():
    delay = timedelta(hours=1)
    facts = replace(
        GOOD,
        declared_delay=delay,
        server=replace(SERVER, apply_delay=delay),
        watch=replace(WATCH, marker_s=None),
    )
    found = judge_replica(facts, BOUNDS)
    assert found.verdict is Verdict.PASS
    assert "delayed on purpose" in found.notes[0]


def test_slots_can_be_left_out():
    bounds = BOUNDS.model_copy(update={"slots": False})
    assert judge_replica(replace(GOOD, slot=None), bounds).verdict is Verdict.PASS


@given(st.integers(min_value=0, max_value=10**12), st.floats(min_value=0, max_value=100))
def test_a_pass_is_within_both_bounds(behind, seconds):
    facts = replace(GOOD, watch=Watch(seconds, seconds, behind, 0, 0.0, seconds))
    found = judge_replica(facts, BOUNDS)
    within = behind <= BOUNDS.max_lag and seconds <= BOUNDS.marker_within.total_seconds()
    assert (found.verdict is Verdict.PASS) is within


def test_one_primary_passes():
    found = judge_cluster(CLUSTER, BOUNDS)
    assert (found.verdict, found.reason) == (Verdict.PASS, "db1 is the only node that takes writes")


STALE = replace(PRIMARY, in_recovery=True)
LOST = Server("db1", problem="db1 cannot be used: refused")
NO_RECEIVER = replace(SERVER, receiver="")


@pytest.mark.parametrize(
    ("changed", "synchronous", "words"),
    [
        ({"replicas": (replace(SERVER, in_recovery=False), SERVER)}, None, ["2 nodes take writes: db1 and db2", "fence"]),
        ({"primary": STALE}, None, ["db1, the primary of the inventory, is in recovery", "no node that answers"]),
        ({"primary": STALE, "replicas": (replace(SERVER, in_recovery=False),)}, None, ["db2 takes writes instead"]),
        ({"primary": LOST, "replicas": (replace(SERVER, in_recovery=False),)}, None, ["db2 takes writes, but", "second primary"]),
        ({"primary": LOST, "replicas": (NO_RECEIVER,)}, None, ["no node takes writes", "start db1 or fail over"]),
        ({"slots": (ORPHAN,)}, None, ["slot orphan on db1 is inactive and holds 5 MB", "pg_drop_replication_slot('orphan')"]),
        ({"slots": (replace(ORPHAN, wal_status="lost"),)}, None, ["slot orphan on db1 is lost"]),
        ({"slots": (replace(ORPHAN, active=True, retained_bytes=2 * 1024**3),)}, None, ["holds 2 GB of WAL, limit 1 GB"]),
        ({"primary": replace(PRIMARY, slot_wal_limit_mb=-1)}, None, ["max_slot_wal_keep_size is -1 on db1"]),
        ({"primary": replace(PRIMARY, synchronous_standby_names="")}, True, ["do not wait for a replica", "`synchronous: true`"]),
        ({"primary": replace(PRIMARY, synchronous_commit="local")}, True, ["do not wait", "synchronous_commit local"]),
        ({"standbys": ()}, None, ["wait for a replica that is not connected", "hang"]),
        ({}, False, ["`synchronous: false`"]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_cluster_fails(changed, synchronous, words):
    bounds = BOUNDS.model_copy(update={"synchronous": synchronous})
    found = judge_cluster(replace(CLUSTER, **changed), bounds)
    assert found.verdict is Verdict.FAIL
    for word in words:
        assert word in found.reason


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"primary": LOST}, "replicas still receive from it"),
        ({"replicas": (DOWN,), "streaming": ()}, "whether db2 does too is unknown"),
        ({"problem": "no permission"}, "no permission"),
    ],
)
def test_what_is_not_known_of_the_cluster_is_inconclusive(changed, words):
    found = judge_cluster(replace(CLUSTER, **changed), BOUNDS)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert words in found.reason


def test_a_silent_replica_that_streams_is_no_second_primary():
    assert judge_cluster(replace(CLUSTER, replicas=(DOWN,)), BOUNDS).verdict is Verdict.PASS


def test_unused_slots_and_unnamed_standbys_are_notes():
    stranger = replace(STANDBY, application="spare", address="10.0.0.9")
    found = judge_cluster(
        replace(CLUSTER, slots=(replace(ORPHAN, reserves=False),), extra=(stranger,)), BOUNDS
    )
    assert found.verdict is Verdict.PASS
    assert "slot orphan on db1 belongs to no replica" in found.notes[0]
    assert "spare from 10.0.0.9" in found.notes[1]


def test_no_slots_need_no_limit():
    primary = replace(PRIMARY, slot_wal_limit_mb=-1)
    facts = replace(CLUSTER, primary=primary, standbys=(replace(STANDBY, slot=""),))
    assert judge_cluster(facts, BOUNDS.model_copy(update={"slots": False})).verdict is Verdict.PASS


def test_our_own_lag_is_not_the_replicas():
    """A marker read after 4.5 s of 4 s while this process stood still for a second is inconclusive, without that a failure."""
    bounds = Replication.model_validate({"marker_within": "4s", "max_lag_time": "4s"})
    watch = replace(WATCH, waited_s=4.5, caught_up_s=4.5, marker_s=4.5)
    assert judge_replica(replace(GOOD, watch=watch), bounds).verdict is Verdict.FAIL
    ours = judge_replica(replace(GOOD, watch=replace(watch, lag=OwnLag(4.5, late_s=1.0))), bounds)
    assert ours.verdict is Verdict.INCONCLUSIVE
    assert "this process was 1 s late itself" in ours.reason
