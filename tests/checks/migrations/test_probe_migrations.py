"""Alembic's folder and real version tables on a primary and its replicas."""

from __future__ import annotations

import sys

import pytest

from pytest_deploygate.checks.migrations.judge.versions import judge_versions
from pytest_deploygate.checks.migrations.probe import versions as migrations
from pytest_deploygate.checks.migrations.section.versions import Migrations
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import CannotTell, NotCovered, Verdict

VERSION = 'revision = "{0}"\ndown_revision = {1!r}\nbranch_labels = None\ndepends_on = None\n'


def scripts(folder, *chain):
    """Write version files; each is (revision, down_revision)."""
    (folder / "versions").mkdir(parents=True, exist_ok=True)
    (folder / "env.py").write_text("")
    for revision, down in chain:
        (folder / "versions" / f"{revision}.py").write_text(
            f'"""Step {revision}."""\n' + VERSION.format(revision, down)
        )
    return Migrations.model_validate({"alembic": folder})


@pytest.fixture
def section(tmp_path):
    return scripts(tmp_path / "alembic", ("a1", None), ("b2", "a1"), ("c3", "b2"))


@pytest.fixture
def table(nodes):
    """Set the version table: `table("c3")`, `table()` for empty; dropped afterwards."""

    def write(*versions):
        nodes.sql(
            "db1",
            "CREATE TABLE IF NOT EXISTS alembic_version (version_num text); GRANT SELECT ON alembic_version TO gate",
        )
        nodes.sql("db1", "TRUNCATE alembic_version")
        for version in versions:
            nodes.sql("db1", f"INSERT INTO alembic_version VALUES ('{version}')")

    yield write
    nodes.sql("db1", "DROP TABLE IF EXISTS alembic_version")


def judged(cluster, section):
    return judge_versions(migrations.schema_versions(cluster, section), section)


def test_the_head_on_every_node_passes(cluster, section, table):
    table("c3")
    found = judged(cluster, section)
    assert (found.verdict, found.reason) == (Verdict.PASS, "db1, db2, db3: at c3, none pending, none dirty")


@pytest.mark.parametrize(
    ("versions", "words"),
    [
        (["b2"], "1 pending (c3)"),
        ([], "all 3 migrations are pending"),
        (["zz"], "is at zz, which is not a revision"),
    ],
)
def test_a_database_that_is_not_at_the_head_fails(cluster, section, table, versions, words):
    table(*versions)
    found = judged(cluster, section)
    assert found.verdict is Verdict.FAIL
    assert words in found.reason


def test_a_missing_table_fails(cluster, section):
    found = judged(cluster, section)
    assert found.verdict is Verdict.FAIL
    assert "the version table is missing" in found.reason


def test_a_table_that_may_not_be_read_is_unknown(nodes, cluster, section, table):
    table("c3")
    nodes.sql("db1", "REVOKE SELECT ON alembic_version FROM gate")
    with pytest.raises(CannotTell, match="grant it to the gate's role"):
        judged(cluster, section)


def test_a_replica_that_does_not_replay_fails(nodes, cluster, section, table):
    table("b2")
    judged(cluster, section)
    nodes.sql("db3", "SELECT pg_wal_replay_pause()")
    try:
        table("c3")
        found = judged(cluster, section)
    finally:
        nodes.sql("db3", "SELECT pg_wal_replay_resume()")
    assert found.verdict is Verdict.FAIL
    assert "db3 is at b2 while the primary db1 is at c3" in found.reason


@pytest.mark.parametrize(
    ("dirty", "verdict", "words"),
    [
        ("SELECT true", Verdict.FAIL, "half done (dirty) at 7"),
        ("SELECT 1", Verdict.FAIL, "half done"),
        ("SELECT false", Verdict.PASS, "at 7"),
        ("SELECT true WHERE false", Verdict.PASS, "at 7"),
        ("SELECT 'perhaps'", Verdict.INCONCLUSIVE, "neither true nor false"),
        ("SELECT x FROM nowhere", Verdict.INCONCLUSIVE, "the `dirty` query failed"),
    ],
)
def test_a_query_tells_version_and_dirt(cluster, dirty, verdict, words):
    section = Migrations.model_validate({"query": "SELECT 7", "expect": "7", "dirty": dirty})
    found = judged(cluster, section)
    assert found.verdict is verdict
    assert words in found.reason


def test_a_fork_is_read_from_the_folder(cluster, tmp_path, table):
    section = scripts(tmp_path / "fork", ("a1", None), ("b2", "a1"), ("x9", "a1"))
    table("b2", "x9")
    assert "2 heads (b2, x9)" in judged(cluster, section).reason


def test_folders_that_tell_nothing_are_unknown(cluster, tmp_path):
    with pytest.raises(CannotTell, match="no migration"):
        migrations.read_scripts(scripts(tmp_path / "none").alembic)
    broken = scripts(tmp_path / "broken", ("a1", None))
    (broken.alembic / "versions" / "b2.py").write_text("def (")
    with pytest.raises(CannotTell, match="SyntaxError"):
        migrations.read_scripts(broken.alembic)
    with pytest.raises(CannotTell, match="cannot"):
        migrations.read_scripts(tmp_path / "nowhere")


def test_a_revision_twice_is_a_complaint(tmp_path):
    section = scripts(tmp_path / "twice", ("a1", None))
    (section.alembic / "versions" / "again.py").write_text(VERSION.format("a1", None))
    assert "more than once" in migrations.read_scripts(section.alembic).complaints[0]


def test_without_alembic_it_is_not_covered(section, monkeypatch):
    monkeypatch.setitem(sys.modules, "alembic.script", None)
    with pytest.raises(NotCovered, match=r"pip install 'pytest-deploygate\[alembic\]'"):
        migrations.read_scripts(section.alembic)


def test_a_primary_that_is_not_there_is_unknown(nodes, section):
    database = nodes.database(primary={"name": "db1", "host": "127.0.0.1", "port": 1})
    cluster = Cluster(database)
    with pytest.raises(CannotTell, match="db1"):
        migrations.schema_versions(cluster, section)
