"""What no rule covers is not assumed to be harmless; known statements raise no alarm."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.migrations.facts import LintFacts, Referenced, Step
from pytest_deploygate.checks.migrations.judge import known_sql
from pytest_deploygate.checks.migrations.judge import lint as migration_lint
from pytest_deploygate.checks.migrations.probe.lint import _table, referenced_by
from pytest_deploygate.checks.migrations.section.lint import MigrationLint
from pytest_deploygate.checks.migrations.statements import statements
from pytest_deploygate.model import Verdict

GB = 1024**3
LIMITED = "SET lock_timeout = '5s'; "


def lint(text: str, size: int | None = GB, **more):
    steps = tuple(
        Step("1.sql", s, _table(s), size, referenced=tuple(Referenced(t, size) for t in referenced_by(s)))
        for s in statements(text)
    )
    return migration_lint.judge_lint(
        LintFacts(("1.sql",), steps, None, 2), MigrationLint.model_validate(more)
    )


@pytest.mark.parametrize(
    "text",
    [
        "DO $$ BEGIN PERFORM 1; END $$",
        "CALL tidy()",
        "SELECT create_hypertable('a.t', 'at', migrate_data => true)",
        "WITH gone AS (DELETE FROM a.t RETURNING *) SELECT count(*) FROM gone",
        "ALTER TABLE a.t ATTACH PARTITION a.t1 FOR VALUES FROM (1) TO (2)",
        "ALTER TABLE a.t ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE a.t ALTER x SET DEFAULT 0, INHERIT a.u",
        "ALTER TABLE a.t ADD COLUMN x int DEFAULT our_own_function()",
        "CREATE POLICY p ON a.t USING (true)",
        "DROP TRIGGER x ON a.t",
        "\\connect other",
    ],
)
def test_what_no_rule_knows_is_inconclusive_beside_harmless_statements(text):
    """It names file, line, the statement and where it can be allowed."""
    found = lint(f"{LIMITED}CREATE TABLE a.new (id int);\n{text}")
    assert found.verdict is Verdict.INCONCLUSIVE, found.reason
    assert "1.sql:2 [unknown-statement]" in found.reason
    assert "database.migration_lint.allowed" in found.reason


@pytest.mark.parametrize(
    "text",
    [
        "BEGIN; CREATE SCHEMA a; CREATE UNLOGGED TABLE a.n (id bigint PRIMARY KEY, at timestamptz DEFAULT now()); COMMIT",
        "INSERT INTO a.t SELECT * FROM a.u; UPDATE a.t SET x = 1 WHERE id = 1; COPY a.t FROM STDIN",
        "COMMENT ON TABLE a.t IS 'x'; GRANT SELECT ON a.t TO r; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO r",
        "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$; CREATE VIEW v AS SELECT 1",
        "SELECT pg_catalog.setval('a.s', (SELECT max(id) FROM a.t)); SELECT set_config('a.b', '1', false)",
        "ALTER TABLE a.t ADD COLUMN x numeric(10, 2) DEFAULT 7, ALTER COLUMN y DROP NOT NULL, ALTER z SET STATISTICS 500",
        "ALTER TABLE a.t SET (autovacuum_enabled = true); ALTER TABLE a.t ADD COLUMN at timestamptz DEFAULT now()",
        "CREATE TRIGGER g BEFORE INSERT ON a.t FOR EACH ROW EXECUTE FUNCTION f(); VACUUM a.t; ANALYZE a.t",
        "CREATE INDEX CONCURRENTLY i ON a.t (x); ALTER TABLE a.t DETACH PARTITION a.t1 CONCURRENTLY",
        "CREATE TYPE a.e AS ENUM ('x'); ALTER TYPE a.e ADD VALUE 'y'; CREATE EXTENSION IF NOT EXISTS hstore",
    ],
)
def test_known_statements_raise_no_alarm(text):
    found = lint(LIMITED + text)
    assert found.verdict is Verdict.PASS, found.reason


def allowing(statement):
    return [
        {"file": "1.sql", "rule": "unknown-statement", "reason": "read by two of us", "statement": statement}
    ]


@pytest.mark.parametrize(
    "statement",
    ["CALL tidy()", "call  tidy();", "CALL\n    tidy() -- once\n", "CALL tidy...", "/* x */ CALL tidy(…"],
)
def test_an_unknown_statement_is_allowed_by_its_text_and_then_shown(statement):
    found = lint("CALL tidy()", allowed=allowing(statement))
    assert found.verdict is Verdict.PASS, found.reason
    assert any("CALL tidy" in note for note in found.notes)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("CALL tidy(); CALL tidy_all()", "tidy_all"),
        ("CALL tidy(); DO $$ BEGIN PERFORM wipe(); END $$", "DO"),
        ("CALL tidy(1)", "tidy(1)"),
        ("CALL tidy(); CALL other.tidy()", "other.tidy"),
    ],
)
def test_an_entry_allows_no_other_statement_of_its_file(text, left):
    found = lint(text, allowed=allowing("CALL tidy()"))
    assert found.verdict is Verdict.INCONCLUSIVE, found.reason
    assert left in found.reason
    assert "its text as `statement`" in found.reason


def test_an_entry_for_an_unknown_statement_must_say_which():
    with pytest.raises(ValueError, match="add `statement` with its text"):
        lint("CALL tidy()", allowed=allowing(None))


def test_a_small_table_cannot_be_hurt_by_what_is_unknown():
    assert lint("ALTER TABLE a.t INHERIT a.u", size=1000).verdict is Verdict.PASS


def test_a_harmful_statement_fails_though_another_is_unknown():
    found = lint("CALL tidy(); DROP TABLE a.t")
    assert found.verdict is Verdict.FAIL
    assert any("CALL tidy" in note for note in found.notes)


@pytest.mark.parametrize("text", ["CREATE TABLE a.t1 PARTITION OF a.t FOR VALUES IN (1)",
                                  "CREATE TABLE a.u (id bigint REFERENCES a.t (id))"])  # fmt: skip
def test_a_new_table_that_locks_an_old_one_needs_a_lock_timeout(text):
    found = lint(text)
    assert found.verdict is Verdict.FAIL
    assert "[lock-timeout]" in found.reason
    assert "on a.t," in found.reason
    assert lint(LIMITED + text).verdict is Verdict.PASS


@pytest.mark.parametrize(
    "text",
    [
        "SELECT '' \\gexec SELECT 1",
        "COPY t FROM PROGRAM ''",
        "SET session_replication_role = replica",
        "INSERT INTO t SELECT 1 ON CONFLICT (x) DO UPDATE SET y = 1",
    ],
)
def test_what_no_reading_can_tell_is_unknown(text):
    assert list(known_sql.unknown(text, lambda _: False)) == [text]


@pytest.mark.parametrize(
    "text", ["COPY t FROM STDIN", "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING", "SET search_path = shop"]
)
def test_its_harmless_neighbour_is_known(text):
    assert list(known_sql.unknown(text, lambda _: False)) == []


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        (
            "CREATE TABLE a$b$c (x int); DROP TABLE big$b$",
            ["CREATE TABLE a$b$c (x int)", "DROP TABLE big$b$"],
        ),
        ("SELECT date'2020-01-01'; SELECT 1", ["SELECT date''", "SELECT 1"]),
        (r"SELECT type'\'; SELECT 1", ["SELECT type''", "SELECT 1"]),
        (r"SELECT E'\';'; SELECT 1", ["SELECT ''", "SELECT 1"]),
        ("DO $a$ x; $a$; SELECT 1", ["DO ''", "SELECT 1"]),
        ("DO $$ x; $$; SELECT 1", ["DO ''", "SELECT 1"]),
    ],
)
def test_dollars_and_letters_before_quotes(text, bare):

    assert [each.bare for each in statements(text)] == bare
