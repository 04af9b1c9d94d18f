"""Large objects are compared by what is in them, on two servers."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.comparison import probe
from pytest_deploygate.checks.migration.section import Migration
from pytest_deploygate.comparison import large_objects
from pytest_deploygate.comparison.sides import PostgresServer
from pytest_deploygate.comparison.spec import Shard

MAKE = """
SELECT lo_unlink(oid) FROM pg_largeobject_metadata;
SELECT lo_from_bytea(n + 100000, decode(md5(n::text), 'hex')) FROM generate_series(1, 20) n;
SELECT lo_from_bytea(100100, ''), lo_from_bytea(100200, decode(repeat('ab', 10000), 'hex'))
"""
READER = "DROP ROLE IF EXISTS lo_reader; CREATE ROLE lo_reader LOGIN"


@pytest.fixture
def objects(sides, both, monkeypatch):
    monkeypatch.setattr(large_objects, "_PIECE_BYTES", 1000)
    monkeypatch.setattr(large_objects, "_OBJECTS_AT_ONCE", 7)
    for server in both:
        server.sql(MAKE)
        server.sql(READER)
    yield sides
    for server in both:
        server.sql("SELECT lo_unlink(oid) FROM pg_largeobject_metadata")


def test_equal_ones_are_equal(objects):
    found = large_objects.compare(*objects)
    assert (found.compared, found.differences, found.differing, found.problem) == (22, 0, (), "")


def test_what_differs_is_named(objects, both):
    both[1].sql(
        r"SELECT lo_put(100200, 9000, '\x00'), lo_unlink(100003), lo_from_bytea(100150, 'x'), lo_put(100005, 16, 'y')"
    )
    found = large_objects.compare(*objects)
    assert (found.compared, found.differences) == (23, 4)
    assert found.differing == (
        "100003 is not on the target", "100005 has 17 bytes instead of 16", "100150 is only on the target",
        "100200 has other contents (10000 bytes)",
    )  # fmt: skip


def test_without_the_right_it_is_said(objects, both):
    source = PostgresServer(both[0].settings(user="lo_reader"), "source", 60.0)
    found = large_objects.compare(source, objects[1])
    assert found.compared == 0
    assert "permission denied for large object 100001" in found.problem


def test_they_are_compared_when_shards_are_merged(objects, both, tmp_path):
    """No shard has them: else the one that has them would have to be asked for what it found."""
    both[1].sql("SELECT lo_put(100005, 0, 'y')")
    source = {"name": "plant", "user": "postgres", "sslmode": "disable"}
    source["primary"] = {"name": "old", "host": "127.0.0.1", "port": both[0].port}
    migration = Migration.model_validate(
        {"source": source, "tables": [{"source": "app.empty"}], "folder": str(tmp_path)}
    )
    folders = [tmp_path / "1", tmp_path / "2"]
    for number, folder in enumerate(folders, 1):
        found = probe.run(both[1].settings(), migration, folder=folder, shard=Shard(number, 2))
        assert (found.large_objects, found.objects) == ((22, 22), None)
    merged = probe.merged(both[1].settings(), migration, folders, tmp_path / "merged")
    assert merged.objects.differing == ("100005 has other contents (16 bytes)",)
    assert probe.run(both[1].settings(), migration, only=("app.empty",)).objects is None
    whole = probe.run(both[1].settings(), migration)
    assert whole.objects == merged.objects
