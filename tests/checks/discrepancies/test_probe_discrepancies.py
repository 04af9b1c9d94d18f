"""What a comparison wrote is read and sorted into classes: after real comparisons on two servers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from two_servers import Server

from pytest_deploygate.checks.comparison import probe as comparison
from pytest_deploygate.checks.discrepancies import probe
from pytest_deploygate.checks.migration.section import Migration
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import CannotTell

DATA = """
DROP SCHEMA IF EXISTS app CASCADE; CREATE SCHEMA app;
CREATE TABLE app.sales (id int PRIMARY KEY, sold timestamptz, shop text, price numeric(8,2));
INSERT INTO app.sales SELECT n, '2026-01-01Z'::timestamptz + n * interval '6 hours', nullif('shop ' || n % 3, 'shop 2'), n / 4.0 FROM generate_series(1, 400) n;
CREATE TABLE app.people (name text PRIMARY KEY, mail text);
INSERT INTO app.people SELECT 'n' || n, 'n' || n || '@example.com' FROM generate_series(1, 50) n;
CREATE TABLE app.log (what text); INSERT INTO app.log SELECT 'stop' FROM generate_series(1, 20);
ANALYZE
"""
CHANGES = """
UPDATE app.sales SET shop = '' WHERE shop IS NULL; UPDATE app.sales SET sold = sold - interval '2 hours' WHERE id <= 12;
UPDATE app.sales SET price = round(price) WHERE id IN (1, 5, 9); DELETE FROM app.sales WHERE id = 400;
UPDATE app.people SET mail = 'n@example.com' WHERE name = 'n7'; INSERT INTO app.log VALUES ('stop'), ('stop')
"""


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Server, Server]]:
    pair = Server("old", 13), Server("new", 18)
    try:
        for server in pair:
            server.start()
        yield pair
    finally:
        for server in pair:
            server.stop()


@pytest.fixture
def migration(servers, tmp_path) -> Migration:
    for server in servers:
        server.sql(DATA)
    node = {"name": "old", "host": "127.0.0.1", "port": servers[0].port}
    return Migration.model_validate(
        {
            "source": {"name": "plant", "user": "postgres", "sslmode": "disable", "primary": node},
            "tables": [{"source": "app.people", "sensitive": ["mail"]}, {"source": "app.*"}],
            "folder": str(tmp_path),
        }
    )


@pytest.fixture
def target(servers) -> Iterator[Cluster]:
    cluster = Cluster(servers[1].settings())
    yield cluster
    cluster.close()


def test_classes_of_a_comparison(servers, target, migration):
    servers[1].sql(CHANGES)
    comparison.compared(target, migration)
    found = probe.found(target, migration)
    assert {(c.name, c.rows) for c in found.classes} == {
        ("app.sales shop empty-for-null", 133),
        ("app.sales sold shifted-2h", 12),
        ("app.sales price rounded", 3),
        ("app.sales lost", 1),
        ("app.people mail changed", 1),
        ("app.log extra", 2),
    }
    assert (found.unfinished, found.cut, found.tables) == ((), 0, 3)
    by_name = {c.name: c for c in found.classes}
    assert (by_name["app.sales sold shifted-2h"].key, by_name["app.log extra"].key) == ("1", "")
    assert "example.com" not in f"{by_name['app.people mail changed']}"
    assert 0 <= (found.now - found.compared_at).total_seconds() < 60


def test_nothing_was_compared_or_not_to_its_end(servers, target, migration):
    def why() -> str:
        with pytest.raises(CannotTell) as unknown:
            probe.found(target, migration)
        return str(unknown.value)

    assert "no comparison of rows has ended yet: there is no" in why()
    servers[1].sql(CHANGES)
    comparison.compared(target, migration)
    folder = migration.folder
    journal, result, rows = (folder / n for n in ("comparison.jsonl", "result.json", "differences.csv"))
    kept = journal.read_text(), result.read_text(), rows.read_text()
    journal.write_text("".join(kept[0].splitlines(keepends=True)[:-1]))
    assert "has not ended: wait for it, or go on with `deploygate compare --resume`" in why()
    journal.write_text(kept[0])
    rows.write_text("".join(kept[2].splitlines(keepends=True)[:-1]))
    assert "something else changed it" in why()
    rows.write_text(kept[2])
    result.write_text(json.dumps(json.loads(kept[1]) | {"shard": "2/3"}))
    assert "has shard 2/3 only: merge all shards" in why()
    result.write_text("{}")
    assert "is no result of a comparison (KeyError)" in why()
    result.write_text(kept[1])
    servers[0].sql("CREATE TABLE app.later (id int PRIMARY KEY)")
    servers[1].sql("CREATE TABLE app.later (id int PRIMARY KEY)")
    assert probe.found(target, migration).unfinished[0].startswith("app.later is not in the last comparison")


def test_a_file_that_was_cut_says_so(servers, target, migration):
    servers[1].sql(CHANGES)
    short = Migration.model_validate(
        migration.model_dump(exclude={"source"}, exclude_unset=True)
        | {"source": migration.source, "budget": {"max_written": 30}}
    )
    comparison.compared(target, short)
    found = probe.found(target, short)
    assert 0 < found.cut < 40
    assert found.differences > found.cut


def test_a_folder_that_is_a_file(target, migration, tmp_path: Path):
    (tmp_path / "result.json").mkdir()
    with pytest.raises(CannotTell, match="is no result of a comparison"):
        probe.found(target, migration)
