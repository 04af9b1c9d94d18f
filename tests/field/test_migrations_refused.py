"""Migrations that PostgreSQL refuses: the reason has the server's words, and what to do instead."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from places import server_folder
from scratch_cluster import Scratch

from pytest_deploygate.checks.migrations.facts import Observed
from pytest_deploygate.checks.migrations.judge import refusals
from pytest_deploygate.checks.migrations.judge.lint import judge_lint
from pytest_deploygate.checks.migrations.probe.lint import pending_migrations
from pytest_deploygate.checks.migrations.section.lint import MigrationLint
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import Judgement, Verdict

TABLES = """
CREATE TABLE orders (id int PRIMARY KEY, state text, total int);
CREATE VIEW cheap AS SELECT id FROM orders WHERE total < 5;
CREATE MATERIALIZED VIEW sums AS SELECT state, sum(total) FROM orders GROUP BY state;
CREATE TABLE events (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2031-01-01') TO ('2032-01-01');
CREATE TYPE mood AS ENUM ('calm');
CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT 1';
GRANT pg_read_all_data TO gate;
"""
# What is refused, and words of the next step.
REFUSED = {
    "BEGIN; CREATE INDEX CONCURRENTLY i ON orders (total); COMMIT": "a file of its own",
    "BEGIN; VACUUM orders; COMMIT": "outside a transaction",
    "CREATE INDEX CONCURRENTLY i ON events (at)": "ATTACH PARTITION",
    "DROP INDEX CONCURRENTLY orders_pkey": "drop what depends on it",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY sums": "unique index",
    "SELECT pg_create_logical_replication_slot('s', 'pgoutput')": "restart it",
    "BEGIN; ALTER TYPE mood ADD VALUE 'glad'; SELECT 'glad'::mood; COMMIT": "in a later migration",
    "DROP TABLE orders": "CASCADE would drop it for good",
    "ALTER TABLE orders ALTER total TYPE bigint": "make again what depends on it",
    "ALTER TABLE orders ALTER state TYPE int": "USING column::type",
    "CREATE OR REPLACE FUNCTION f(b int) RETURNS int LANGUAGE sql AS 'SELECT 1'": "CREATE it anew",
    "CREATE OR REPLACE VIEW cheap AS SELECT state FROM orders": "CREATE it anew",
    "CREATE TABLE n (o text REFERENCES orders (state))": "make the unique constraint",
    "CREATE TABLE orders (id int)": "is the version table behind",
    "ALTER TABLE orders ADD total int": "is the version table behind",
    "ALTER TABLE nope ADD x int": "has no such table",
    "ALTER TABLE orders DROP COLUMN nope": "has no such column",
    "ALTER TABLE oders_typo RENAME TO x": "has no such table",
    "SELECT gibts_nicht()": "has no such function",
    "CREATE TABLE nope.t (id int)": "CREATE SCHEMA first",
    "ALTER TABEL orders ADD x int": "correct the statement",
}  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[Scratch]:
    made = Scratch(server_folder("dgr-"))
    try:
        made.replica = lambda *_: None  # type: ignore[method-assign]
        made.create()
        made.sql("db1", TABLES)
        yield made
    finally:
        made.destroy()


def judged(server: Scratch, folder: Path, text: str, **more: object) -> Judgement:
    (folder / "V1__m.sql").write_text(text)
    lint = MigrationLint.model_validate({"files": [str(folder)], **more})
    with closing(Cluster(server.database(replicas=None))) as cluster:
        return judge_lint(pending_migrations(cluster, lint, None), lint)


@pytest.mark.parametrize("text", REFUSED)
def test_a_refused_statement_has_a_next_step(server: Scratch, tmp_path: Path, text: str) -> None:
    found = judged(server, tmp_path, f"{text};\n")
    assert found.verdict is Verdict.FAIL, found.reason
    assert "SQLSTATE" in found.reason
    assert REFUSED[text] in found.reason


def test_the_servers_detail_is_in_the_reason(server: Scratch, tmp_path: Path) -> None:
    assert "cheap" in judged(server, tmp_path, "DROP TABLE orders;\n").reason


@pytest.mark.parametrize(
    "text",
    [
        "CREATE INDEX CONCURRENTLY i ON orders (total)",
        "ALTER TYPE mood ADD VALUE 'glad'",
        "CREATE OR REPLACE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT 2'",
    ],
)
def test_the_neighbour_that_runs_passes(server: Scratch, tmp_path: Path, text: str) -> None:
    found = judged(server, tmp_path, f"{text};\n")
    assert found.verdict is Verdict.PASS, found.reason


def test_a_reading_alone_says_it_too(server: Scratch, tmp_path: Path) -> None:
    found = judged(
        server, tmp_path, "BEGIN; CREATE INDEX CONCURRENTLY i ON orders (total); COMMIT;\n", rehearse=False
    )
    assert found.verdict is Verdict.FAIL, found.reason
    assert "a file of its own" in found.reason


@pytest.mark.parametrize(
    ("source", "words"),
    [("b2_.py", "autocommit_block"), ("V1__m.sql", "a file of its own"), ("`rails db:migrate`", "disable_ddl_transaction!")],
)  # fmt: skip
def test_the_step_is_that_of_the_tool(source: str, words: str) -> None:
    refused = Observed(source, 0, "CREATE INDEX CONCURRENTLY …", "", sqlstate="25001", message="…")
    assert words in refusals.instead(refused)
