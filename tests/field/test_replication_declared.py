"""A delay or an upstream that is declared and in force is healthy. Only the drill, which tested something else, says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from places import server_folder
from scratch_cluster import Scratch, wait

from pytest_deploygate.checks.replication import judge, probe
from pytest_deploygate.checks.replication.facts import FailoverFacts
from pytest_deploygate.checks.replication.judge.failover import judge_failover
from pytest_deploygate.checks.replication.probe.failover import configuration, failover_evidence
from pytest_deploygate.checks.replication.section import Failover, Replication
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.drills import record as records
from pytest_deploygate.model import Judgement, Verdict

LIMITS = Replication.model_validate(
    {"slots": False, "synchronous": False, "marker_within": "10s", "max_lag_time": "10s"}
)


@pytest.fixture(scope="module")
def server() -> Iterator[Scratch]:
    made = Scratch(server_folder("dgd-"))
    try:
        made.create()
        # A cascade leaves no slot behind on the primary.
        made.setting("db3", "primary_slot_name", "")
        wait(
            lambda: made.sql(
                "db1",
                "SELECT pg_drop_replication_slot('db3') FROM pg_replication_slots WHERE slot_name = 'db3' AND NOT active",
            )
        )
        yield made
    finally:
        made.destroy()


def delayed(server: Scratch) -> Iterator[None]:
    server.setting("db3", "recovery_min_apply_delay", "3s")
    yield
    server.setting("db3", "recovery_min_apply_delay", None)


def follow(server: Scratch, source: str) -> None:
    conninfo = f"host=127.0.0.1 port={server.ports[source]} user=postgres application_name=db3"
    server.setting("db3", "primary_conninfo", conninfo)
    wait(
        lambda: server.sql(
            source, "SELECT 1 FROM pg_stat_replication WHERE application_name = 'db3' AND state = 'streaming'"
        )
    )


def behind_db2(server: Scratch) -> Iterator[None]:
    follow(server, "db2")
    yield
    follow(server, "db1")


def delayed_behind_db2(server: Scratch) -> Iterator[None]:
    for change in (behind_db2(server), delayed(server)):
        next(change)
    yield
    server.setting("db3", "recovery_min_apply_delay", None)
    follow(server, "db1")


def judged(server: Scratch, db3: dict[str, object], failover: Failover) -> dict[str, Judgement]:
    node = {name: {"name": name, "host": "127.0.0.1", "port": port} for name, port in server.ports.items()}
    database = server.database(replicas=[node["db2"], node["db3"] | db3])
    with closing(Cluster(database, "deploygate")) as cluster:
        found = {"primary": judge.judge_cluster(probe.primary(cluster, 10), LIMITS)}
        for replica in cluster.replicas:
            found[replica.name] = judge.judge_replica(probe.replica(cluster, replica, 10), LIMITS)
        found["drill"] = judge_failover(failover_evidence(cluster, failover, environment="scratch"), failover)
    return found


@pytest.mark.parametrize(
    ("change", "declared", "words"),
    [
        (delayed, {"delayed": "3s"}, "replicas was 'db2, db3', is 'db2, db3 delayed"),
        (behind_db2, {"upstream": "db2"}, "replicas was 'db2, db3', is 'db2, db3 from db2'"),
        (delayed_behind_db2, {"upstream": "db2", "delayed": "3s"}, "replicas was 'db2, db3', is 'db2, db3 "),
    ],
)  # fmt: skip
def test_only_the_drill_depends_on_it(server: Scratch, tmp_path: Path, change, declared, words: str) -> None:
    failover = Failover.model_validate(
        {"stop_primary": "x", "restore": "y", "record": str(tmp_path / "drill.json")}
    )
    with closing(Cluster(server.database(), "deploygate")) as cluster:
        facts = FailoverFacts(promoted="db2", acknowledged=600, writable_after_s=0.8, restored_after_s=3.0)
        done = records.made(facts, records.GOOD, configuration(cluster, failover), environment="scratch")
        records.write(failover.record, done)
    before = judged(server, {}, failover)
    assert {name: found.verdict for name, found in before.items()} == dict.fromkeys(before, Verdict.PASS), (
        before
    )
    during = change(server)
    next(during)
    try:
        undeclared = judged(server, {}, failover)
        found = judged(server, declared, failover)
    finally:
        next(during, None)
    assert undeclared["db3"].verdict is Verdict.FAIL, undeclared["db3"].reason
    rest = {name: each.verdict for name, each in found.items() if name != "drill"}
    assert rest == dict.fromkeys(rest, Verdict.PASS), {name: each.reason for name, each in found.items()}
    assert found["drill"].verdict is Verdict.INCONCLUSIVE
    assert words in found["drill"].reason
    assert "--allow-disruptive=scratch" in found["drill"].reason


@pytest.mark.parametrize("declared", [{"delayed": "3s"}, {"upstream": "db2"}])
def test_what_is_declared_and_not_in_force_is_seen(
    server: Scratch, tmp_path: Path, declared: dict[str, object]
) -> None:
    failover = Failover.model_validate(
        {"stop_primary": "x", "restore": "y", "record": str(tmp_path / "drill.json")}
    )
    found = judged(server, declared, failover)
    assert found["db3"].verdict is Verdict.FAIL, found["db3"].reason
    assert found["db2"].verdict is Verdict.PASS, found["db2"].reason
