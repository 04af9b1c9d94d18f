"""Replication, write load and failover on a real primary with two replicas, with real faults."""

from __future__ import annotations

import threading
import time

import pytest
from scratch_cluster import SYNCHRONOUS, wait

from pytest_deploygate.checks.replication.judge import failover as judge_failover
from pytest_deploygate.checks.replication.judge import write_load as judge_write_load
from pytest_deploygate.checks.replication.judge.streaming import judge_cluster, judge_replica
from pytest_deploygate.checks.replication.probe import failover, write_load
from pytest_deploygate.checks.replication.probe import streaming as replication
from pytest_deploygate.checks.replication.section import InDatabase, WriteLoad
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import CannotTell, NotCovered, Verdict

QUICK = {"max_lag_time": "1s", "marker_within": "1s", "load": {"duration": "600ms"}}


class Seen(dict):
    """Judgements by target: `cluster`, the replicas, and `NAME under load`."""

    @property
    def verdicts(self):
        return {name: found.verdict for name, found in self.items()}


def bounds_of(cluster):
    return cluster.settings.of(InDatabase).replication


def look(nodes, *, writes="deploygate", load=False, **more):
    cluster = Cluster(nodes.database(**({"replication": QUICK} | more)), writes)
    bounds = bounds_of(cluster)
    try:
        seen = Seen(cluster=judge_cluster(replication.primary(cluster, bounds.patience_s), bounds))
        for node in cluster.replicas:
            seen[node.name] = judge_replica(replication.replica(cluster, node, bounds.patience_s), bounds)
            if load:
                seen[f"{node.name} under load"] = judge_write_load.judge_write_load(
                    write_load.under_write_load(
                        cluster, node, bounds.load, bounds.max_lag_time.total_seconds()
                    ),
                    bounds,
                )
        return seen
    finally:
        cluster.close()


def test_a_healthy_cluster_passes_and_nothing_is_left_behind(nodes):
    seen = look(nodes, load=True)
    assert set(seen.verdicts.values()) == {Verdict.PASS}, seen
    assert len(seen) == 5
    assert nodes.sql("db1", "SELECT count(*) FROM deploygate.deploygate_replication") == [(0,)]
    assert "left behind: the table deploygate.deploygate_replication" in " ".join(seen["cluster"].notes)


def test_rows_of_a_crashed_run_go_after_an_hour(nodes):
    look(nodes)
    nodes.sql("db1", "INSERT INTO deploygate.deploygate_replication (run, id, written_at) VALUES"
              " ('crashed', 1, now() - interval '61 min'), ('running', 1, now())")  # fmt: skip
    look(nodes)
    assert nodes.sql("db1", "SELECT run FROM deploygate.deploygate_replication") == [("running",)]
    nodes.sql("db1", "TRUNCATE deploygate.deploygate_replication")


def test_a_frozen_receiver_fails_though_it_counts_as_streaming(nodes):
    with nodes.frozen("db2"):
        assert nodes.sql("db1", "SELECT state FROM pg_stat_replication WHERE application_name = 'db2'") == [
            ("streaming",)
        ]
        seen = look(nodes, load=True)
    assert seen.verdicts == {
        "cluster": Verdict.PASS, "db2": Verdict.FAIL, "db2 under load": Verdict.FAIL, "db3": Verdict.PASS,
        "db3 under load": Verdict.PASS,
    }  # fmt: skip
    assert "the process is frozen or the network is cut" in seen["db2"].reason
    assert "first missing id 1)" in seen["db2 under load"].reason


def test_a_receiver_frozen_for_longer_than_wal_sender_timeout_is_named(nodes):
    """The primary has given up the connection; what the replica itself says shows that it does follow the primary."""
    nodes.setting("db1", "wal_sender_timeout", "1s")
    try:
        with nodes.frozen("db2"):
            wait(
                lambda: (
                    not nodes.sql("db1", "SELECT 1 FROM pg_stat_replication WHERE application_name = 'db2'")
                )
            )
            found = look(nodes)["db2"]
    finally:
        nodes.setting("db1", "wal_sender_timeout", None)
        wait(
            lambda: nodes.sql(
                "db1",
                "SELECT 1 FROM pg_stat_replication WHERE application_name = 'db2' AND state = 'streaming'",
            )
        )
    assert found.verdict is Verdict.FAIL
    place = f"127.0.0.1:{nodes.ports['db1']}"
    assert f"pg_stat_wal_receiver names {place}, last heard of " in found.reason
    assert f"primary_conninfo names {place}, which is db1" in found.reason
    assert "restart db2" in found.reason
    assert "does not name" not in found.reason


def test_paused_replay_fails(nodes):
    nodes.sql("db3", "SELECT pg_wal_replay_pause()")
    try:
        found = look(nodes)["db3"]
    finally:
        nodes.sql("db3", "SELECT pg_wal_replay_resume()")
    assert found.verdict is Verdict.FAIL
    assert found.reason.startswith("replay is paused on db3")


def test_a_delay_must_be_declared(nodes):
    nodes.setting("db3", "recovery_min_apply_delay", "30s")
    try:
        undeclared = look(nodes)["db3"]
        db2, db3 = ({"name": n, "host": "127.0.0.1", "port": nodes.ports[n]} for n in ("db2", "db3"))
        declared = look(nodes, load=True, replicas=[db2, db3 | {"delayed": "30s"}])
    finally:
        nodes.setting("db3", "recovery_min_apply_delay", None)
    assert "applies everything 30 s late" in undeclared.reason
    assert declared.verdicts["db3"] is Verdict.PASS
    assert declared.verdicts["db3 under load"] is Verdict.PASS
    assert "delayed on purpose" in declared["db3"].notes[0]


def test_an_orphan_slot_fails(nodes):
    nodes.sql("db1", "SELECT pg_create_physical_replication_slot('orphan', true)")
    try:
        found = look(nodes)["cluster"]
    finally:
        nodes.sql("db1", "SELECT pg_drop_replication_slot('orphan')")
    assert found.verdict is Verdict.FAIL
    assert "slot orphan on db1 is inactive and holds" in found.reason


def test_an_unlimited_slot_fails(nodes):
    nodes.setting("db1", "max_slot_wal_keep_size", "-1")
    try:
        assert "max_slot_wal_keep_size is -1" in look(nodes)["cluster"].reason
    finally:
        nodes.setting("db1", "max_slot_wal_keep_size", None)


def test_an_unnamed_standby_is_a_note(nodes):
    found = look(nodes, replicas=[{"name": "db2", "host": "127.0.0.1", "port": nodes.ports["db2"]}])[
        "cluster"
    ]
    assert found.verdict is Verdict.PASS
    assert "a standby that the inventory does not name is streaming" in found.notes[0]


def test_a_replica_that_streams_but_refuses_us_is_unknown(nodes):
    found = look(nodes, replicas=[{"name": "db2", "host": "127.0.0.1", "port": 1}])
    assert found.verdicts == {"cluster": Verdict.PASS, "db2": Verdict.INCONCLUSIVE}


def test_a_stopped_replica_fails(nodes):
    nodes.stop("db3")
    try:
        seen = look(nodes)
    finally:
        nodes.start("db3")
        wait(
            lambda: nodes.sql(
                "db1",
                "SELECT 1 FROM pg_stat_replication WHERE application_name = 'db3' AND state = 'streaming'",
            )
        )
    assert seen.verdicts == {"cluster": Verdict.INCONCLUSIVE, "db2": Verdict.PASS, "db3": Verdict.FAIL}
    assert seen["db3"].reason.startswith("db3 is down: it is not in pg_stat_replication of db1")


def test_without_writes_markers_and_load_are_unknown(nodes):
    assert look(nodes, writes=None).verdicts == {
        "cluster": Verdict.PASS, "db2": Verdict.INCONCLUSIVE, "db3": Verdict.INCONCLUSIVE,
    }  # fmt: skip
    cluster = Cluster(nodes.database())
    with pytest.raises(CannotTell, match="`writes: "):
        write_load.run(cluster, WriteLoad(), 10.0)


def test_without_permission_or_schema_it_says_what_to_grant(nodes):
    nodes.sql("db1", "CREATE SCHEMA closed")
    assert "may not write in schema closed" in look(nodes, writes="closed")["db2"].reason
    nodes.sql("db1", "DROP SCHEMA closed")
    assert "no schema nowhere" in look(nodes, writes="nowhere")["db2"].reason


def test_no_replicas_are_not_covered_and_no_load_neither(nodes):
    with pytest.raises(NotCovered, match="replicas"):
        replication.observe(Cluster(nodes.database(replicas=None)), 5.0)
    with pytest.raises(NotCovered, match="load: null"):
        write_load.run(Cluster(nodes.database(), "deploygate"), None, 10.0)


def test_the_cluster_is_looked_at_once(cluster):
    assert replication.observe(cluster, 5.0) is replication.observe(cluster, 5.0)


@pytest.mark.long
def test_a_commit_that_hangs_ends_in_a_clear_failure(nodes):
    nodes.setting("db1", "synchronous_standby_names", "FIRST 1 (db2)")
    stop = threading.Timer(0.5, nodes.stop, ["db2"])
    try:
        cluster = Cluster(nodes.database(replication=QUICK | {"load": {"duration": "2s"}}), "deploygate")
        stop.start()
        began = time.monotonic()
        bounds = bounds_of(cluster)
        found = judge_write_load.judge_write_load(
            write_load.under_write_load(
                cluster, cluster.replicas[1], bounds.load, bounds.max_lag_time.total_seconds()
            ),
            bounds,
        )
        took = time.monotonic() - began
        cluster.close()
    finally:
        stop.join()
        nodes.start("db2")
        nodes.setting("db1", "synchronous_standby_names", None)
    assert took < 25
    assert found.verdict is Verdict.FAIL
    assert "did not return within 5 s and was cancelled" in found.reason
    assert "FIRST 1 (db2)" in found.reason


def test_two_primaries_fail(nodes):
    nodes.sql("db2", "SELECT pg_promote()")
    try:
        seen = look(nodes)
    finally:
        nodes.replica("db2")
    assert seen.verdicts == {"cluster": Verdict.FAIL, "db2": Verdict.FAIL, "db3": Verdict.PASS}
    assert "2 nodes take writes: db1 and db2" in seen["cluster"].reason


def test_a_primary_that_is_down_fails_where_the_replicas_can_be_asked(nodes):
    nodes.stop("db1")
    try:
        seen = look(nodes)
    finally:
        nodes.start("db1")
        wait(
            lambda: (
                nodes.sql("db1", "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'")
                == [(2,)]
            )
        )
    assert set(seen.verdicts.values()) == {Verdict.FAIL}
    assert "start db1 or fail over" in seen["cluster"].reason


def test_a_failover_drill_loses_nothing_and_leaves_a_record(nodes, tmp_path):
    section = {
        "stop_primary": nodes.command("stop", "db1", "immediate"),
        "restore": nodes.command("restore") + " {node}",
        "record": str(tmp_path / "records" / "drill.json"),
    }
    nodes.sql("db1", "GRANT EXECUTE ON FUNCTION pg_promote TO gate")
    cluster = Cluster(nodes.database(replication=QUICK | {"failover": section}), "deploygate")
    criterion, plan = bounds_of(cluster).failover, bounds_of(cluster).load

    def judged(ran=None):
        return judge_failover.judge_failover(
            failover.failover_evidence(cluster, criterion, ran, "scratch"), criterion
        )

    assert "there is no record" in judged().reason
    refused = judged(failover.failover_drill(cluster, criterion, plan))
    assert refused.verdict is Verdict.INCONCLUSIVE
    assert "so nothing was stopped" in refused.reason
    nodes.setting("db1", "synchronous_standby_names", SYNCHRONOUS)
    try:
        record = failover.failover_drill(cluster, criterion, plan)
        assert judged(record).verdict is Verdict.PASS, record
        assert judged().verdict is Verdict.PASS
        nodes.setting("db1", "synchronous_commit", "local")
        changed = judged()
        assert changed.verdict is Verdict.INCONCLUSIVE
        assert "synchronous_commit was 'on', is 'local'" in changed.reason
        (tmp_path / "records" / "drill.json").write_text("{")
        assert "cannot be read" in judged().reason
    finally:
        nodes.setting("db1", "synchronous_commit", None)
        nodes.setting("db1", "synchronous_standby_names", None)
        cluster.close()
    assert nodes.sql("db1", "SELECT count(*) FROM deploygate.deploygate_replication") == [(0,)]


def test_replay_that_is_paused_during_the_load_is_told_as_that(nodes):
    """The rows that the replica lacks are not skipped: they are received and wait."""
    pause = threading.Timer(0.7, nodes.sql, ["db3", "SELECT pg_wal_replay_pause()"])
    cluster = Cluster(nodes.database(replication=QUICK | {"load": {"duration": "2s"}}), "deploygate")
    bounds = bounds_of(cluster)
    try:
        pause.start()
        db2, db3 = (
            judge_write_load.judge_write_load(
                write_load.under_write_load(cluster, node, bounds.load, bounds.max_lag_time.total_seconds()),
                bounds,
            )
            for node in cluster.replicas
        )
    finally:
        pause.join()
        nodes.sql("db3", "SELECT pg_wal_replay_resume()")
        cluster.close()
    assert db2.verdict is Verdict.PASS, db2.reason
    assert db3.verdict is Verdict.FAIL, db3.reason
    assert "its replay is paused: run SELECT pg_wal_replay_resume()" in db3.reason
    assert "rebuild" not in db3.reason
