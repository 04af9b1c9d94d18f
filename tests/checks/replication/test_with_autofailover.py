"""pg_auto_failover and PostgreSQL for real: the monitor's state is read before a drill, and drills through it lose nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from autofailover_cluster import AutoFailover, autofailover_cluster
from scratch_cluster import wait

from pytest_deploygate.checks.replication.judge.managed import judge_managed
from pytest_deploygate.checks.replication.probe.managed import drill, planning
from pytest_deploygate.checks.replication.probe.managed.autofailover import AUTO_FAILOVER
from pytest_deploygate.checks.replication.probe.managed.evidence import managed_evidence
from pytest_deploygate.checks.replication.probe.managed.one import Record
from pytest_deploygate.checks.replication.probe.managed.stated import Stated
from pytest_deploygate.checks.replication.section import InDatabase, Managed
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import CannotTell, Judgement, Verdict

pytestmark = [pytest.mark.timeout(300), pytest.mark.long]
KILLED = {"fault": "killed", "do": "false", "undo": "true"}


@pytest.fixture(scope="module")
def three() -> Iterator[AutoFailover]:
    """Three nodes whose commits wait for one replica, as pg_auto_failover sets it."""
    with autofailover_cluster(3) as made:
        yield made


def opened(nodes: AutoFailover, record: Path, **more: object) -> tuple[Cluster, planning.Context, Managed]:
    """The inventory's section with the commands that are built in; `more` changes it."""
    section = {
        "manager": "pg_auto_failover", "faults": [{"fault": "switchover"}], "without_backup": "a test",
        "record": str(record), **more,
    }  # fmt: skip
    database = nodes.database(replication={"managed_failover": section})
    managed = database.of(InDatabase).replication.managed_failover
    assert managed is not None
    cluster = Cluster(database, "deploygate")
    return cluster, planning.context(cluster, managed, None, "scratch"), managed


def refusal(nodes: AutoFailover, record: Path, **more: object) -> str:
    """Why no drill may begin, as it is now."""
    cluster, _, managed = opened(nodes, record, **more)
    try:
        return Stated(cluster, managed, AUTO_FAILOVER, settled_s=0.0).refusal()
    finally:
        cluster.close()


def drilled(nodes: AutoFailover, record: Path, **more: object) -> tuple[Record, Judgement]:
    cluster, context, managed = opened(nodes, record, **more)
    try:
        ran = drill.run(context, managed.faults[0])
        evidence = managed_evidence(cluster, managed, {managed.faults[0].fault: ran}, "scratch")
        return ran, judge_managed(evidence, managed)
    finally:
        cluster.close()


@pytest.mark.parametrize("fault", ["switchover", "killed", "frozen"])
def test_a_drill_loses_nothing(three: AutoFailover, tmp_path: Path, fault: str) -> None:
    """With the commands that are built in. A leader that hung goes on to take writes until its pg_autoctl asks the monitor."""
    do = {"switchover": {"fault": "switchover"}, "killed": three.killed(), "frozen": three.frozen()}[fault]
    limit = {"split_brain": "10s"} if fault == "frozen" else {}
    ran, judged = drilled(three, tmp_path / "drill.json", faults=[do], within="60s", **limit)
    assert (ran.outcome, ran.facts.missing) == ("good", 0), ran.reason
    assert (ran.facts.before, ran.facts.acknowledged > 0, ran.facts.synchronous) == ("db1", True, True)
    assert ran.facts.after in ("db2", "db3")
    assert judged.verdict is Verdict.PASS, judged.reason
    assert "by documentation" not in judged.reason
    assert three.states()["db1"] == "primary"
    assert three.settled()


def test_a_switchover_goes_to_a_node_that_commits_wait_for(three: AutoFailover, tmp_path: Path) -> None:
    """The standbys stream as `pgautofailover_standby_2` and so on: the node is found by its slot."""
    three.autoctl("set", "formation", "number-sync-standbys", "0")
    three.autoctl("set", "node", "replication-quorum", "false", "--name", "db2")
    wait(three.settled)
    try:
        ran, judged = drilled(three, tmp_path / "drill.json")
    finally:
        three.autoctl("set", "node", "replication-quorum", "true", "--name", "db2")
        three.autoctl("set", "formation", "number-sync-standbys", "1")
        wait(three.settled)
    assert (ran.outcome, ran.facts.after, ran.facts.missing) == ("good", "db3", 0), ran.reason
    assert judged.verdict is Verdict.PASS, judged.reason


def test_a_node_in_maintenance_refuses_a_drill_and_voids_the_record(
    three: AutoFailover, tmp_path: Path
) -> None:
    record = tmp_path / "drill.json"
    ran, judged = drilled(three, record)
    assert (ran.outcome, judged.verdict) == ("good", Verdict.PASS), ran.reason
    assert refusal(three, record) == ""
    three.autoctl("enable", "maintenance", "--pgdata", f"{three.folder}/db3")
    cluster, context, managed = opened(three, record)
    try:
        with pytest.raises(
            CannotTell, match="no drill was begun: db3 is in maintenance: `pg_autoctl disable"
        ):
            drill.run(context, managed.faults[0])
        judged = judge_managed(managed_evidence(cluster, managed, environment="scratch"), managed)
        assert judged.verdict is Verdict.INCONCLUSIVE
        assert "pg_auto_failover was 'ready', is 'db3 is in maintenance" in judged.reason
    finally:
        cluster.close()
        three.autoctl("disable", "maintenance", "--pgdata", f"{three.folder}/db3")
        wait(three.settled)
    assert refusal(three, record) == ""
    cluster, context, managed = opened(three, record)
    try:
        judged = judge_managed(managed_evidence(cluster, managed, environment="scratch"), managed)
    finally:
        cluster.close()
    assert judged.verdict is Verdict.PASS, judged.reason


def test_its_state_is_read(three: AutoFailover, tmp_path: Path) -> None:
    record = tmp_path / "drill.json"
    killed: dict[str, object] = {"faults": [KILLED]}
    assert refusal(three, record, **killed) == ""
    for name in ("db2", "db3"):
        three.autoctl("set", "node", "candidate-priority", "0", "--name", name)
    wait(three.settled)
    assert refusal(three, record, **killed) == (
        "no secondary has a candidate priority above 0: the monitor promotes none"
    )
    for name in ("db2", "db3"):
        three.autoctl("set", "node", "candidate-priority", "50", "--name", name)
    wait(three.settled)
    other = "pg_autoctl show state --json --formation other"
    assert "printed" in refusal(three, record, state=other)
    gone = refusal(three, record, state=f"pg_autoctl show state --json --monitor {three.elsewhere()}")
    assert gone.startswith("pg_auto_failover's state cannot be read: `pg_autoctl show state --json")
    assert refusal(three, record, **killed) == ""
