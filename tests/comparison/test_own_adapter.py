"""An adapter that a team brings: found by its entry point, and compared with PostgreSQL through the same plan."""

from __future__ import annotations

import csv
import json
import sys

import pytest

from pytest_deploygate.checks.comparison import probe
from pytest_deploygate.checks.migration.section import Migration
from pytest_deploygate.comparison.servers import server
from pytest_deploygate.fields.any_server import AnyServer
from pytest_deploygate.model import CannotTell

TABLES = {
    "items": {
        "types": {"id": "whole", "name": "text", "sold": "boolean"},
        "key": ["id"],
        "rows": [
            [str(n), None if n % 7 == 0 else f"caf\u00e9 {n}", "true" if n % 2 else "false"]
            for n in range(1, 9001)
        ],
    },
    "loose": {"types": {"v": "text"}, "key": [], "rows": [["a"], ["a"], [None]]},
}
TARGET = """
DROP SCHEMA IF EXISTS app CASCADE; CREATE SCHEMA app; CREATE TABLE app.items (id int PRIMARY KEY, name text, sold boolean);
INSERT INTO app.items SELECT n, CASE WHEN n % 7 <> 0 THEN 'café ' || n END, n % 2 = 1 FROM generate_series(1, 9000) n;
CREATE TABLE app.loose (v text); INSERT INTO app.loose VALUES ('a'), ('a'), (NULL); ANALYZE
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The adapter as an installed distribution."""
    folder = tmp_path / "installed" / "own-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: own\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(
        "[deploygate.servers]\njson = own_adapter:JsonServer\nbroken = own_adapter:Nothing\n"
    )
    monkeypatch.syspath_prepend(str(folder.parent))
    assert str(folder.parent) in sys.path


@pytest.fixture
def migration(servers, installed, tmp_path):
    servers[1].sql(TARGET)
    (tmp_path / "tables.json").write_text(json.dumps(TABLES))
    old = {
        "kind": "json",
        "name": "old",
        "user": "me",
        "primary": "old.example.com",
        "options": {"file": str(tmp_path / "tables.json")},
    }
    return Migration.model_validate(
        {"source": old, "tables": [{"source": "old.*", "target": "app.*"}], "folder": str(tmp_path / "out")}
    )


def test_it_is_compared_like_any_other(servers, migration, tmp_path):
    equal = probe.run(servers[1].settings(), migration)
    assert (equal.outcome.certain, equal.outcome.differences) == (True, 0)
    assert {t.source: (t.how, t.source_rows, t.target_rows) for t in equal.outcome.tables} == {
        "old.items": ("ranges", 9000, 9000), "old.loose": ("one pass", 3, 3),
    }  # fmt: skip
    servers[1].sql(
        "UPDATE app.items SET name = '' WHERE id = 7; DELETE FROM app.items WHERE id = 9000; INSERT INTO app.loose VALUES ('a')"
    )
    probe.run(servers[1].settings(), migration)
    with (tmp_path / "out" / "differences.csv").open() as file:
        found = {(line["table"], line["key"], line["kind"], line["column"]) for line in csv.DictReader(file)}
    assert found == {
        ("old.items", "7", "changed", "name"), ("old.items", "9000", "missing", ""), ("old.loose", "", "extra", ""),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("jsom", "of the kind 'jsom', and no adapter of this name is installed; did you mean 'json'?"),
        ("broken", "the adapter 'broken' (own_adapter:Nothing) cannot be used: AttributeError"),
        ("json", "the adapter 'json' (own_adapter:JsonServer) cannot be used: KeyError"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_said(installed, kind, words):
    login = AnyServer.model_validate(
        {"kind": kind, "name": "old", "user": "me", "primary": "old.example.com"}
    )
    with pytest.raises(CannotTell) as said:
        server(login, "source", 1.0)
    assert words in str(said.value)


def test_other_kinds_have_their_port_and_are_no_cluster():
    login = AnyServer.model_validate(
        {"kind": "mariadb", "name": "old", "user": "me", "primary": "old.example.com"}
    )
    assert login.primary.port == 3306
    with pytest.raises(
        CannotTell, match=r"old\.example\.com is of the kind mariadb: this is looked at on PostgreSQL only"
    ):
        login.alone()
