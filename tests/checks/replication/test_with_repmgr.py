"""repmgr, repmgrd and PostgreSQL for real: its state is read before a drill, and drills through it lose nothing."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from repmgr_cluster import Repmgr, repmgr_cluster
from scratch_cluster import wait

from pytest_deploygate.checks.replication.judge.managed import judge_managed
from pytest_deploygate.checks.replication.probe.managed import drill, planning
from pytest_deploygate.checks.replication.probe.managed.evidence import managed_evidence
from pytest_deploygate.checks.replication.probe.managed.one import Record
from pytest_deploygate.checks.replication.probe.managed.repmgr import REPMGR, STATE, Member, parsed
from pytest_deploygate.checks.replication.probe.managed.stated import Stated
from pytest_deploygate.checks.replication.section import InDatabase, Managed
from pytest_deploygate.clients.host import commands
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import CannotTell, Judgement, Verdict

pytestmark = pytest.mark.timeout(300)
KILLED = {"fault": "killed", "do": "false", "undo": "true"}


@pytest.fixture(scope="module")
def three() -> Iterator[Repmgr]:
    """Three nodes whose commits wait for one replica, with repmgrd on each."""
    with repmgr_cluster(3) as made:
        made.synchronous("ANY 1 (db1, db2, db3)")
        for name in made.ports:
            made.watch(name)
        yield made


def opened(nodes: Repmgr, record: Path, **more: object) -> tuple[Cluster, planning.Context, Managed]:
    """The inventory's section with the commands that are built in; `more` changes it."""
    section = {
        "manager": "repmgr", "faults": [{"fault": "switchover"}], "without_backup": "a test", "record": str(record), **more,
    }  # fmt: skip
    database = nodes.database(replication={"managed_failover": section})
    managed = database.of(InDatabase).replication.managed_failover
    assert managed is not None
    cluster = Cluster(database, "deploygate")
    return cluster, planning.context(cluster, managed, None, "scratch"), managed


def refusal(nodes: Repmgr, record: Path, **more: object) -> str:
    """Why no drill may begin, as it is now."""
    cluster, _, managed = opened(nodes, record, **more)
    try:
        return Stated(cluster, managed, REPMGR, settled_s=0.0).refusal()
    finally:
        cluster.close()


def drilled(nodes: Repmgr, record: Path, **more: object) -> tuple[Record, Judgement]:
    cluster, context, managed = opened(nodes, record, **more)
    try:
        ran = drill.run(context, managed.faults[0])
        evidence = managed_evidence(cluster, managed, {managed.faults[0].fault: ran}, "scratch")
        return ran, judge_managed(evidence, managed)
    finally:
        cluster.close()


def test_its_state_is_read(tmp_path: Path) -> None:
    """A pair of nodes. Their repmgrd are ready, then they are paused, or repmgr has the cluster otherwise than it is."""
    record = tmp_path / "drill.json"
    with repmgr_cluster(2) as pair:
        direct: dict[str, object] = {"state": pair.state(), "faults": [KILLED]}
        assert "repmgrd does not run on db1, db2" in refusal(pair, record, **direct)
        assert refusal(pair, record, state=pair.state()) == ""  # a clean switchover needs no repmgrd
        for name in pair.ports:
            pair.watch(name)
        wait(lambda: not refusal(pair, record, **direct))
        pair.repmgr("db1", "service", "pause")
        assert "repmgrd is paused on db1, db2: `repmgr service unpause` first" in refusal(
            pair, record, **direct
        )
        other = {"state": pair.state().replace("service status", "cluster show")}
        assert "printed '1,0,0', expected ten values" in refusal(pair, record, **other)
        pair.sql("db2", "SELECT pg_promote()")
        assert "repmgr has db1 as primary, but the servers say db1, db2 is" in refusal(pair, record, **direct)
        pair.stop("db1")
        # By ssh, as it is built in: the first node cannot be asked, the second one can.
        assert "repmgr cannot reach db1" in refusal(pair, record)
        pair.stop("db2")
        assert refusal(pair, record).startswith(
            "repmgr's state cannot be read: `ssh db1 repmgr service status"
        )


@pytest.mark.long
@pytest.mark.parametrize("fault", ["switchover", "killed"])
def test_a_drill_loses_nothing(three: Repmgr, tmp_path: Path, fault: str) -> None:
    """With the commands that are built in; after a kill repmgrd promotes."""
    faults = [three.killed() if fault == "killed" else {"fault": fault}]
    ran, judged = drilled(three, tmp_path / "drill.json", faults=faults)
    assert (ran.outcome, ran.facts.missing, ran.facts.two_writable) == ("good", 0, ()), ran.reason
    assert (ran.facts.before, ran.facts.acknowledged > 0) == ("db1", True)
    assert ran.facts.after in ("db2", "db3")
    assert judged.verdict is Verdict.PASS, judged.reason
    assert "by documentation" not in judged.reason


@pytest.mark.long
def test_a_command_promotes_the_furthest_node_where_repmgrd_does_not(three: Repmgr, tmp_path: Path) -> None:
    """The first replica has received less than the second: promoting it would lose what the leader acknowledged."""
    receiver = three.receiver("db2")
    crash = three.killed()
    crash["do"] = f"kill -STOP {receiver}; sleep 1; {crash['do']}; kill -KILL {receiver}"
    for name in three.ports:
        three.unwatch(name)
    promote = "ssh {node} repmgr standby promote --siblings-follow"
    try:
        ran, judged = drilled(three, tmp_path / "drill.json", faults=[crash], promote=promote)
    finally:
        for name in three.ports:
            three.watch(name)
    assert (ran.outcome, ran.facts.after, ran.facts.missing) == ("good", "db3", 0), ran.reason
    assert judged.verdict is Verdict.PASS, judged.reason


@pytest.mark.long
def test_a_paused_repmgrd_refuses_a_drill_and_voids_the_record(three: Repmgr, tmp_path: Path) -> None:
    faults = [three.killed()]
    ran, _ = drilled(three, tmp_path / "drill.json", faults=faults)
    assert ran.outcome == "good", ran.reason
    three.repmgr("db2", "service", "pause")
    cluster, context, managed = opened(three, tmp_path / "drill.json", faults=faults)
    try:
        with pytest.raises(CannotTell, match="no drill was begun: repmgrd is paused on db1, db2, db3"):
            drill.run(context, managed.faults[0])
        judged = judge_managed(managed_evidence(cluster, managed, environment="scratch"), managed)
        assert judged.verdict is Verdict.INCONCLUSIVE
        assert "repmgr was 'ready', is 'repmgrd is paused on db1, db2, db3" in judged.reason
    finally:
        cluster.close()
        three.repmgr("db2", "service", "unpause")
    assert refusal(three, tmp_path / "drill.json", faults=faults) == ""


@pytest.mark.long
def test_a_frozen_repmgrd_looks_at_nothing(three: Repmgr) -> None:
    """Its server goes on calling it running; only what it last saw grows old."""
    watcher = three.processes["db3"]
    watcher.send_signal(signal.SIGSTOP)
    try:
        wait(lambda: (member("db3").seen_s or 0) >= 4)
        assert member("db3").watched is True
    finally:
        watcher.send_signal(signal.SIGCONT)


def member(name: str) -> Member:
    said = commands.printed(STATE.replace("{node}", "db1"))
    return next(each for each in parsed(said) if each.name == name)
