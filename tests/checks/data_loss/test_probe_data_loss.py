"""Acknowledged writes on a real cluster: found everywhere, and each anomaly planted by hand is seen."""

from __future__ import annotations

import contextlib

import pytest
from scratch_cluster import SYNCHRONOUS

from pytest_deploygate.checks.data_loss.judge.claim import Claimed, judge_claim
from pytest_deploygate.checks.data_loss.judge.writes import judge_nodes, judge_restored
from pytest_deploygate.checks.data_loss.probe import claiming, writing
from pytest_deploygate.checks.data_loss.probe.setup import Setup, way_through
from pytest_deploygate.checks.data_loss.section import DataLoss
from pytest_deploygate.checks.pooling.section import Pooling
from pytest_deploygate.clients.postgres import markers
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.clients.writers import Pool
from pytest_deploygate.model import CannotTell, Verdict

QUICK = DataLoss.model_validate({"load": {"duration": "700ms", "rows_per_second": 300}, "within": "2s"})
TABLE = f"deploygate.{markers.TABLE}"


def look(cluster, criterion=QUICK):
    found = writing.written(Setup(cluster, criterion, way_through(None, cluster, criterion)))
    return found, judge_nodes(found, criterion)


@contextlib.contextmanager
def planted(nodes, *statements):
    """Change the gate's table for a while."""
    with contextlib.closing(Cluster(nodes.database(), "deploygate")) as cluster, markers.rows(cluster):
        pass
    try:
        for statement in statements:
            nodes.sql("db1", statement)
        yield
    finally:
        nodes.sql("db1", f"DROP TABLE IF EXISTS {TABLE}")
        nodes.sql("db1", "DROP FUNCTION IF EXISTS deploygate.planted() CASCADE")


def trigger(body, when="AFTER INSERT", each="ROW"):
    return (
        f"CREATE OR REPLACE FUNCTION deploygate.planted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN {body} "
        "RETURN NEW; END $$",
        f"CREATE TRIGGER planted {when} ON {TABLE} FOR EACH {each} WHEN (pg_trigger_depth() = 0)"
        " EXECUTE FUNCTION deploygate.planted()",
    )


def test_healthy_nodes_have_every_write_and_nothing_is_left(nodes, cluster):
    found, judged = look(cluster)
    assert judged.verdict is Verdict.PASS, judged.reason
    assert found.anomalies.reads > 0
    assert [place.name for place in found.nodes] == ["db1", "db2", "db3"]
    assert found.risk.samples > 0
    assert found.risk.behind_s is not None
    assert judge_restored(found, QUICK).verdict is Verdict.INCONCLUSIVE
    assert nodes.sql("db1", f"SELECT count(*) FROM {TABLE}") == [(0,)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (trigger(f"DELETE FROM {TABLE} WHERE run <> '' AND id % 3 = 0;", each="STATEMENT"), "acknowledged writes (ids"),
        (trigger(f"INSERT INTO {TABLE} (run, id) SELECT NEW.run, NEW.id + 1000000 WHERE NEW.id % 3 = 0;"), "rows that no writer wrote"),
        ((f"ALTER TABLE {TABLE} DROP CONSTRAINT {markers.TABLE}_pkey",
          *trigger(f"INSERT INTO {TABLE} (run, id) SELECT NEW.run, NEW.id WHERE NEW.id % 3 = 0;")), "writes twice"),
        ((f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
          f"CREATE POLICY late ON {TABLE} USING (written_at < clock_timestamp() - interval '400ms') WITH CHECK (true)"), "were stale"),
        ((f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
          f"CREATE POLICY skipped ON {TABLE} USING (NOT pg_is_in_recovery() OR id % 3 <> 0) WITH CHECK (true)"), "db2 and db3 lack"),
        (trigger("IF NEW.run LIKE '%counter' AND NEW.id % 4 = 0 THEN NEW.id := OLD.id; END IF;", when="BEFORE UPDATE"),
         "acknowledged updates are lost"),
    ],
    ids=["lost", "phantom", "twice", "stale", "lost on a replica", "lost update"],
)  # fmt: skip
def test_what_is_planted_by_hand_is_found(nodes, cluster, change, words):
    with planted(nodes, *change):
        _, judged = look(cluster)
    assert judged.verdict is Verdict.FAIL
    assert words in judged.reason


def test_a_replica_that_does_not_replay_cannot_tell(nodes, cluster):
    nodes.sql("db3", "SELECT pg_wal_replay_pause()")
    try:
        _, judged = look(cluster, QUICK.model_copy(update={"within": QUICK.load.duration}))
    finally:
        nodes.sql("db3", "SELECT pg_wal_replay_resume()")
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "bytes behind the last write" in judged.reason


def test_asynchronous_commits_are_told_with_what_they_could_lose(nodes, cluster):
    setup = Setup(cluster, QUICK, way_through(None, cluster, QUICK))
    found = judge_claim(claiming.claim(setup, None, "scratch"), Claimed(synchronous=True, failover=None))
    assert found.verdict is Verdict.FAIL
    assert "commits on db1 wait for no replica" in found.reason
    assert "rows" in found.reason


def test_a_role_whose_commits_do_not_wait_is_named(nodes, cluster):
    nodes.setting("db1", "synchronous_standby_names", SYNCHRONOUS)
    nodes.sql("db1", "ALTER ROLE gate SET synchronous_commit = off")
    try:
        setup = Setup(cluster, QUICK, way_through(None, cluster, QUICK))
        found = claiming.claim(setup, None, "scratch")
    finally:
        nodes.sql("db1", "ALTER ROLE gate RESET synchronous_commit")
        nodes.setting("db1", "synchronous_standby_names", None)
    assert found.commits.others == (("role gate", "off"),)
    assert found.commits.session == "off"


def test_the_way_is_the_named_pooler_or_says_which_is_near(cluster):
    pooling = Pooling.model_validate({"poolers": [{"name": "bouncer", "host": "127.0.0.1"}]})
    assert isinstance(way_through(pooling, cluster, QUICK), Pool)
    wrong = QUICK.model_copy(update={"through": "bonncer"})
    with pytest.raises(CannotTell, match="did you mean bouncer"):
        writing.written(Setup(cluster, wrong, way_through(pooling, cluster, wrong)))
    silent = QUICK.model_copy(update={"through": "bouncer"})
    pooling = Pooling.model_validate({"poolers": [{"name": "bouncer", "host": "127.0.0.1", "port": 1}]})
    other = Cluster(cluster.settings, "deploygate")
    with pytest.raises(CannotTell, match="bouncer"), contextlib.closing(other):
        writing.written(Setup(other, silent, way_through(pooling, other, silent)))
