"""Migrations judged before they run: what must not lock, rewrite or drop, and what may."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.migrations.facts import LintFacts, Step
from pytest_deploygate.checks.migrations.judge import lint as migration_lint
from pytest_deploygate.checks.migrations.probe.lint import _table
from pytest_deploygate.checks.migrations.section.lint import MigrationLint
from pytest_deploygate.checks.migrations.statements import statements as cut
from pytest_deploygate.model import Verdict

MB, GB = 1024**2, 1024**3


def lint(text: str, size: int | None = GB, **more):
    steps = tuple(Step("1.sql", s, _table(s), size) for s in cut(text))
    return migration_lint.judge_lint(
        LintFacts(("1.sql",), steps, 512 * MB, 2), MigrationLint.model_validate(more)
    )


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("ALTER TABLE a.t ALTER COLUMN x TYPE bigint", "changes-type"),
        ("alter table only a.t alter x set data type text", "changes-type"),
        ("ALTER TABLE a.t ADD COLUMN u uuid DEFAULT gen_random_uuid()", "volatile-default"),
        ("ALTER TABLE a.t ADD COLUMN n bigserial", "adds-identity-or-stored"),
        ("VACUUM FULL a.t", "rewrites-table"),
        ("CREATE UNIQUE INDEX i ON a.t (x)", "locks-for-index"),
        ("DROP INDEX a.i", "locks-for-reindex"),
        ("ALTER TABLE a.t ADD CONSTRAINT c CHECK (x > 0)", "validates-constraint"),
        ("ALTER TABLE a.t ADD CONSTRAINT f FOREIGN KEY (x) REFERENCES a.u (id)", "validates-constraint"),
        ("ALTER TABLE a.t ADD PRIMARY KEY (x)", "adds-key"),
        ("ALTER TABLE a.t ALTER COLUMN x SET NOT NULL", "scans-for-not-null"),
        ("ALTER TABLE a.t ADD COLUMN x int NOT NULL", "adds-not-null-without-default"),
        ("UPDATE a.t SET x = 1", "updates-all-rows"),
        ("DROP TABLE a.t", "drops"),
        ("ALTER TABLE a.t DROP COLUMN x", "drops"),
        ("ALTER TABLE a.t RENAME COLUMN x TO y", "renames"),
        ("ALTER TABLE a.t ADD COLUMN x int", "lock-timeout"),
    ],
)
def test_a_harmful_migration_fails_by_its_rule(text, rule):
    found = lint(text)
    assert found.verdict is Verdict.FAIL
    assert f"[{rule}]" in found.reason


@pytest.mark.parametrize(
    "text",
    [
        "CREATE INDEX CONCURRENTLY i ON a.t (x)",
        "SET lock_timeout = '5s'; ALTER TABLE a.t ADD COLUMN x int DEFAULT 7",
        "SET LOCAL lock_timeout = '5s'; ALTER TABLE a.t ADD CONSTRAINT c CHECK (x > 0) NOT VALID",
        "ALTER TABLE a.t VALIDATE CONSTRAINT c; -- ALTER TABLE a.t ALTER x TYPE bigint".replace("ALTER TABLE a.t V", "SET lock_timeout='1s'; ALTER TABLE a.t V"),
        "INSERT INTO a.t VALUES ('; DROP TABLE a.t;')",
        "UPDATE a.t SET x = 1 WHERE id < 100",
    ],
)  # fmt: skip
def test_a_harmless_migration_passes(text):
    found = lint(text)
    assert found.verdict is Verdict.PASS, found.reason


def test_small_tables_may_be_rewritten_and_wal_is_compared():
    assert lint("SET lock_timeout='1s'; ALTER TABLE a.t ALTER x TYPE bigint", size=MB).verdict is Verdict.PASS
    assert "over max_slot_wal_keep_size (512 MB)" in lint("ALTER TABLE a.t ALTER x TYPE bigint").reason
    assert "of unknown size" in lint("ALTER TABLE a.t ALTER x TYPE bigint", size=None).reason
    allowed = [{"file": "1.sql", "rule": "changes-type", "reason": "done in the window"}]
    assert (
        lint("ALTER TABLE a.t ALTER x TYPE bigint", allowed=allowed, lock_timeout=None).verdict
        is Verdict.PASS
    )
    assert lint("DO $$ BEGIN ALTER TABLE a.t ALTER x TYPE bigint; END $$").verdict is Verdict.INCONCLUSIVE


def test_statements_are_cut_where_postgresql_cuts_them():
    text = "SELECT 'a;''b' /* x; /* y */ ; */, E'c\\';d', \"e;f\"; -- g;\nDO $x$ ; $y$ ; $x$;\n\n  SELECT $1 - 2;"
    found = list(cut(text))
    assert [s.line for s in found] == [1, 2, 4]
    assert found[0].bare == "SELECT '' , '', \"e;f\""
    assert found[2].text == "SELECT $1 - 2"
