"""The drill's own safety on real servers: the lock, the changes on disk, two writable nodes, and what keeps it from beginning."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from scratch_cluster import GATE, SYNCHRONOUS, Scratch, scratch, wait

from pytest_deploygate.checks.replication.judge.managed import judge_managed
from pytest_deploygate.checks.replication.probe.managed import drill, managers, planning, whole
from pytest_deploygate.checks.replication.probe.managed.evidence import managed_evidence
from pytest_deploygate.checks.replication.probe.managed.sampling import Sampling
from pytest_deploygate.checks.replication.probe.managed.steps import Step, Steps, alone
from pytest_deploygate.checks.replication.section import InDatabase, Managed
from pytest_deploygate.clients.postgres import markers
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.judging.overlaps import overlaps
from pytest_deploygate.model import CannotTell, Verdict

HOLD = """
import sys, time
from pathlib import Path
from pytest_deploygate.checks.replication.probe.managed.steps import Step, Steps, alone
record = Path(sys.argv[1])
with alone(record):
    if len(sys.argv) > 2:
        Steps(record).will(Step("the leader", "db1"))
        Steps(record).will(Step("killed", "db1", sys.argv[2]))
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def own() -> Iterator[Scratch]:
    """A cluster of our own: drills promote in it."""
    with scratch() as made:
        made.sql("db1", f"GRANT EXECUTE ON FUNCTION pg_promote(boolean, integer) TO {GATE}")
        yield made


def held(record: Path, *undo: str) -> subprocess.Popen[str]:
    """Another process that holds the lock of a drill."""
    words = [sys.executable, "-c", HOLD, str(record), *undo]
    other = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    with other.stdout:
        assert other.stdout.readline() == "held\n"
    return other


def section(record: Path, **more: object) -> dict[str, object]:
    return {
        "manager": "plain", "restore": "false", "faults": [{"fault": "killed", "do": "false", "undo": "true"}],
        "without_backup": "a test", "record": str(record), "within": "10s", "rejoin_within": "10s", **more,
    }  # fmt: skip


def about(nodes: Scratch, record: Path, **more: object) -> tuple[Cluster, planning.Context, Managed]:
    database = nodes.database(replication={"managed_failover": section(record, **more)})
    cluster = Cluster(database, "deploygate")
    managed = database.of(InDatabase).replication.managed_failover
    assert managed is not None
    return cluster, planning.context(cluster, managed, None, "scratch"), managed


def test_another_process_sees_the_lock_and_a_dead_owner_is_recognised(tmp_path: Path) -> None:
    record = tmp_path / "drill.json"
    other = held(record)
    try:
        with (
            pytest.raises(CannotTell, match=f"another drill runs on this cluster \\(process {other.pid}"),
            alone(record),
        ):
            pass
    finally:
        other.kill()
        other.wait()
    with alone(record) as dead:
        assert dead == f"process {other.pid}"
    with alone(record) as dead:
        assert dead == ""


def test_changes_are_on_disk_before_they_are_made_and_taken_back_after_a_kill(
    own: Scratch, tmp_path: Path
) -> None:
    """A drill that is killed (SIGKILL) right after it noted its changes: the next one takes them back, the newest first."""
    record, mark = tmp_path / "drill.json", tmp_path / "taken back"
    other = held(record, f"touch '{mark}' && echo {{node}}")
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    cluster, context, managed = about(own, record)
    lines: list[str] = []
    try:
        assert drill.restore(context, lines.append) == 2
    finally:
        cluster.close()
    assert mark.exists()
    assert lines == [
        "taking back what an earlier drill left: killed (db1)",
        "taking back what an earlier drill left: the leader (db1)",
    ]
    assert not Steps(managed.record).file.exists()


def test_what_cannot_be_taken_back_stays_on_disk_and_no_drill_begins(own: Scratch, tmp_path: Path) -> None:
    record = tmp_path / "drill.json"
    Steps(record).will(Step("frozen", "db1", "echo no; false"))
    cluster, context, managed = about(own, record)
    try:
        with pytest.raises(CannotTell, match=r"cannot be taken back.*do it by hand"):
            drill.run(context, managed.faults[0])
    finally:
        cluster.close()
    assert Steps(record).pending() == [Step("frozen", "db1", "echo no; false")]
    Steps(record).file.write_text("half")
    with pytest.raises(CannotTell, match="cannot be read"):
        Steps(record).pending()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (
            {"newest_backup": "echo 2020-01-01T00:00:00Z", "without_backup": None},
            "the newest backup is .* old, limit",
        ),
        ({"newest_backup": "echo yesterday", "without_backup": None}, "printed 'yesterday', expected a time"),
        ({"newest_backup": "exit 3", "without_backup": None}, "the newest backup is unknown"),
        ({"faults": [{"fault": "disk_full", "unavailable": "one disk"}]}, "was not tried: one disk"),
    ],
)
def test_it_refuses(own: Scratch, tmp_path: Path, more: dict[str, object], says: str) -> None:
    cluster, context, managed = about(own, tmp_path / "drill.json", **more)
    try:
        with pytest.raises(CannotTell, match=says):
            drill.run(context, managed.faults[0])
    finally:
        cluster.close()
    assert not Steps(managed.record).file.exists()


def test_it_refuses_when_a_replica_is_missing(own: Scratch, tmp_path: Path) -> None:
    cluster, context, managed = about(own, tmp_path / "drill.json")
    own.stop("db3")
    try:
        with pytest.raises(CannotTell, match=r"no drill was begun: db3 .*a drill needs every node"):
            drill.run(context, managed.faults[0])
    finally:
        cluster.close()
        own.start("db3")


def test_the_plan_says_what_is_disturbed_and_for_how_long(own: Scratch, tmp_path: Path) -> None:
    cluster, _, managed = about(own, tmp_path / "drill.json")
    cluster.close()
    text = "\n".join(planning.plan(managed, cluster))
    assert "killed: `false`, later `true`" in text
    assert "clients cannot write for up to 10 s" in text
    assert "db1 leads again" in text


@pytest.mark.parametrize(
    ("name", "more", "command"),
    [
        (
            "cloudnativepg",
            {"cluster": "platform"},
            "kubectl patch cluster platform --subresource=status --type=merge -p "
            """'{"status":{"targetPrimary":"'{node}'","phase":"Switchover in progress"}}'""",
        ),
        ("hook", {"switch": "switch {node}", "promote": "promote {node}"}, "switch {node}"),
    ],
)
def test_commands_of_managers_that_are_known_by_documentation_only(
    own: Scratch, tmp_path: Path, name: str, more: dict[str, object], command: str
) -> None:
    managed = Managed.model_validate(section(tmp_path / "x", manager=name, **more))
    assert managers.documented(managed)[0] == command
    cluster = Cluster(own.database(), "deploygate")
    try:
        assert managers.manager(cluster, managed, None).by_documentation
    finally:
        cluster.close()


def test_the_servers_say_whether_a_switch_was_made(own: Scratch, tmp_path: Path) -> None:
    """A command may wait in vain for the manager's answer after the switch, as that of pg_auto_failover 2.0 does."""
    cluster, context, _ = about(
        own, tmp_path / "drill.json", manager="hook", switch="exit 12", promote="false"
    )
    try:
        nodes = {node.name: node for node in cluster.nodes}
        assert whole.switched(cluster, context.manager, nodes["db2"], "db1") == ""
        problem = whole.switched(cluster, context.manager, nodes["db1"], "db2")
        assert problem == "`exit 12` ended with exit code 12"
    finally:
        cluster.close()


@pytest.mark.long
def test_a_fault_that_ends_nothing_is_called_so(own: Scratch, tmp_path: Path) -> None:
    """What starts a killed server again, within half a second as pg_autoctl does, leaves nothing to take over."""
    commands = {"manager": "hook", "switch": "false", "promote": "true", "restore": None, "within": "1s"}
    nothing = {"fault": "killed", "do": "true", "undo": "true"}
    cluster, context, managed = about(own, tmp_path / "drill.json", faults=[nothing], **commands)
    try:
        record = drill.run(context, managed.faults[0])
    finally:
        cluster.close()
    assert (record.outcome, record.facts.missing) == ("no_leader", 0)
    assert "no node but db1 took writes from clients within 31 s; db1 itself took writes 3" in record.reason
    assert "or something started its server again, which `do` has to end, too" in record.reason


def test_a_standby_under_another_name_is_found_by_its_slot(own: Scratch, tmp_path: Path) -> None:
    """A manager may name its standbys as it likes: commits wait for db3 only."""
    cluster, _, _ = about(own, tmp_path / "drill.json")
    ours = own.sql("db3", "SHOW primary_conninfo")[0][0].replace("'", "''")
    names = own.sql("db1", "SHOW synchronous_standby_names")[0][0]
    try:
        assert whole.heir(cluster, cluster.primary) == "db2"
        own.setting(
            "db3", "primary_conninfo", ours.replace("application_name=db3", "application_name=node_7")
        )
        own.setting("db1", "synchronous_standby_names", "node_7")
        partner = (
            "SELECT 1 FROM pg_stat_replication WHERE application_name = 'node_7' AND sync_state = 'sync'"
        )
        wait(lambda: own.sql("db1", partner))
        assert whole.heir(cluster, cluster.primary) == "db3"
    finally:
        own.setting("db1", "synchronous_standby_names", names or None)
        own.setting("db3", "primary_conninfo", ours)
        cluster.close()


def test_it_refuses_where_our_role_may_not_promote(own: Scratch, tmp_path: Path) -> None:
    own.sql("db1", f"REVOKE EXECUTE ON FUNCTION pg_promote(boolean, integer) FROM {GATE}")
    cluster, context, managed = about(own, tmp_path / "drill.json")
    try:
        with pytest.raises(CannotTell, match="may not execute pg_promote"):
            drill.run(context, managed.faults[0])
    finally:
        cluster.close()
        own.sql("db1", f"GRANT EXECUTE ON FUNCTION pg_promote(boolean, integer) TO {GATE}")


def test_two_writable_nodes_for_half_a_second_are_seen(own: Scratch, tmp_path: Path) -> None:
    cluster, _, _ = about(own, tmp_path / "drill.json")
    try:
        with markers.rows(cluster) as (_, mine):
            sampling = Sampling(cluster, [], mine)
            try:
                time.sleep(0.3)
                own.sql("db3", "SELECT pg_promote(true)")
                time.sleep(0.5)
                own.stop("db3", "immediate")
            finally:
                sampling.end()
    finally:
        cluster.close()
        own.replica("db3")
    seen = overlaps(sampling.spans)
    assert {names for _, _, names in seen} == {("db1", "db3")}
    assert sum(last - first for first, last, _ in seen) >= 0.3


def test_an_asynchronous_cluster_with_frozen_receivers_is_red_with_the_number_lost(
    own: Scratch, tmp_path: Path
) -> None:
    own.setting("db1", "synchronous_standby_names", None)
    fault = {"fault": "killed", "do": own.command("crash_with_frozen_receivers"), "undo": "true"}
    cluster, context, managed = about(
        own, tmp_path / "drill.json", restore=own.command("restore", "{node}"), faults=[fault]
    )
    try:
        ran = drill.run(context, managed.faults[0])
        judged = judge_managed(managed_evidence(cluster, managed, {"killed": ran}, "scratch"), managed)
    finally:
        cluster.close()
    assert ran.outcome == "lost", ran.reason
    assert ran.facts.missing > 0
    assert not ran.facts.synchronous
    assert judged.verdict is Verdict.FAIL
    assert f"lacks {ran.facts.missing} of {ran.facts.acknowledged} acknowledged writes" in judged.reason


def test_plain_promotion_of_a_synchronous_cluster_loses_nothing(own: Scratch, tmp_path: Path) -> None:
    own.setting("db1", "synchronous_standby_names", SYNCHRONOUS)
    fault = {"fault": "killed", "do": own.command("stop", "db1", "immediate"), "undo": "true"}
    cluster, context, managed = about(
        own, tmp_path / "drill.json", restore=own.command("restore", "{node}"), faults=[fault]
    )
    try:
        ran = drill.run(context, managed.faults[0])
        judged = judge_managed(managed_evidence(cluster, managed, {"killed": ran}, "scratch"), managed)
    finally:
        cluster.close()
    assert ran.outcome == "good", ran.reason
    assert ran.facts.before == "db1"
    assert ran.facts.after in ("db2", "db3")
    assert judged.verdict is Verdict.PASS, judged.reason
