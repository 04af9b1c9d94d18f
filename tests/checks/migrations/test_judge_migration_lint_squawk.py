"""What squawk, the best known linter of PostgreSQL migrations, reports as harmful never passes; nor what it misses.

Its rules about style (prefer-*, robust statements, names, statement_timeout) are not considered.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_deploygate.checks.migrations.facts import LintFacts, Referenced, Step
from pytest_deploygate.checks.migrations.judge import lint as migration_lint
from pytest_deploygate.checks.migrations.probe.lint import _table, referenced_by
from pytest_deploygate.checks.migrations.section.lint import MigrationLint
from pytest_deploygate.checks.migrations.statements import statements
from pytest_deploygate.model import Verdict

GB = 1024**3
LIMITED = "SET lock_timeout = '5s';\nSET statement_timeout = '60s';\n"
HARMFUL = {
    "adding-field-with-default", "adding-foreign-key-constraint", "adding-not-nullable-field", "adding-required-field",
    "adding-serial-primary-key-field", "ban-alter-domain-with-add-constraint", "ban-concurrent-index-creation-in-transaction",
    "ban-drop-column", "ban-drop-database", "ban-drop-table", "ban-truncate-cascade", "changing-column-type",
    "constraint-missing-not-valid", "disallowed-unique-constraint", "renaming-column", "renaming-table",
    "require-concurrent-index-creation", "require-concurrent-index-deletion", "require-concurrent-partition-detach",
    "require-concurrent-reindex", "require-lock-timeout",
}  # fmt: skip
#: Statements that squawk warns about, each with one of those rules.
KNOWN_TO_SQUAWK = (
    "ALTER TABLE a.t ADD COLUMN u uuid DEFAULT gen_random_uuid()",
    "ALTER TABLE a.t ADD COLUMN x int GENERATED ALWAYS AS (y * 2) STORED",
    "ALTER TABLE a.t ADD COLUMN u_id bigint REFERENCES a.u (id)",
    "ALTER TABLE a.t ADD CONSTRAINT f FOREIGN KEY (u_id) REFERENCES a.u (id)",
    "ALTER TABLE a.t ADD FOREIGN KEY (u_id) REFERENCES a.u",
    "ALTER TABLE a.t ALTER COLUMN x SET NOT NULL",
    "ALTER TABLE a.t ADD COLUMN x bigint NOT NULL",
    "ALTER TABLE a.t ADD COLUMN id bigserial PRIMARY KEY",
    "ALTER TABLE a.t ADD PRIMARY KEY (id)",
    "ALTER TABLE a.t DROP COLUMN x",
    "DROP DATABASE other",
    "DROP TABLE a.t",
    "TRUNCATE a.t CASCADE",
    "ALTER TABLE a.t ALTER COLUMN x TYPE bigint USING x::bigint",
    "ALTER TABLE a.t ADD CONSTRAINT c CHECK (x > 0)",
    "ALTER TABLE a.t ADD CONSTRAINT c UNIQUE (x)",
    "ALTER TABLE a.t RENAME COLUMN x TO y",
    "ALTER TABLE a.t RENAME TO s",
    "CREATE INDEX i ON a.t (x)",
    "CREATE UNIQUE INDEX i ON a.t (x)",
    "DROP INDEX a.i",
    "REINDEX TABLE a.t",
    "ALTER TABLE a.t DETACH PARTITION a.t1",
    "BEGIN; CREATE INDEX CONCURRENTLY i ON a.t (x); COMMIT",
    "ALTER DOMAIN a.d ADD CONSTRAINT c CHECK (VALUE > 0)",
)
#: Statements that are harmful as well, according to PostgreSQL's manual.
MORE = (
    "ALTER TABLE a.t ADD COLUMN x int CHECK (x > 0)",
    "ALTER TABLE a.t ADD x int NOT NULL",
    "ALTER TABLE a.t ADD COLUMN x int UNIQUE",
    "ALTER TABLE a.t ADD COLUMN x int DEFAULT 1 REFERENCES a.u (id)",
    "ALTER TABLE a.t ADD COLUMN x int NOT NULL, ADD COLUMN y int DEFAULT 7",
    "ALTER TABLE a.t ADD COLUMN a int DEFAULT 7, ADD CONSTRAINT c CHECK (x > 0), ADD CONSTRAINT d CHECK (y > 0) NOT VALID",
    "ALTER TABLE a.t ALTER COLUMN x SET EXPRESSION AS (y * 3)",
    "ALTER TABLE a.t SET SCHEMA b",
    "ALTER SCHEMA a RENAME TO b",
    "ALTER TABLE a.t SET TABLESPACE fast",
    "ALTER TABLE a.t ADD CONSTRAINT e EXCLUDE USING gist (r WITH &&)",
    "LOCK TABLE a.t",
    "LOCK TABLE a.t IN SHARE ROW EXCLUSIVE MODE",
    "VACUUM (FULL) a.t",
    "CLUSTER a.t USING i",
    "REFRESH MATERIALIZED VIEW a.t",
    "UPDATE a.t SET x = 0",
    "DROP SCHEMA a CASCADE",
)
HARMLESS = (
    "ALTER TABLE a.t ADD COLUMN x int NOT NULL DEFAULT 7, ALTER COLUMN y DROP NOT NULL",
    "ALTER TABLE a.t ADD COLUMN IF NOT EXISTS x int, ADD COLUMN y text DEFAULT ''",
    "ALTER TABLE a.t ADD COLUMN u_id bigint REFERENCES a.u (id)",
    "ALTER TABLE a.t ADD CONSTRAINT c CHECK (x > 0) NOT VALID, ADD COLUMN z int",
    "ALTER TABLE a.t ADD CONSTRAINT u UNIQUE USING INDEX i",
    "ALTER TABLE a.t DETACH PARTITION a.t1 CONCURRENTLY",
    "ALTER TABLE a.t RENAME CONSTRAINT c TO d",
    "BEGIN; ALTER TABLE a.t ADD COLUMN x int; COMMIT; CREATE INDEX CONCURRENTLY i ON a.t (x)",
    "LOCK TABLE a.t IN ACCESS SHARE MODE",
)


def lint(text: str):
    made = tuple(
        Step("1.sql", s, _table(s), GB, referenced=tuple(Referenced(t, GB) for t in referenced_by(s)))
        for s in statements(text)
    )
    return migration_lint.judge_lint(LintFacts(("1.sql",), made, None, 2), MigrationLint())


@pytest.mark.parametrize("text", [*KNOWN_TO_SQUAWK, *MORE])
def test_what_hurts_does_not_pass(text: str) -> None:
    """With a lock_timeout, on a large table; a foreign key on a new, empty column only needs its lock."""
    expected = Verdict.PASS if text in HARMLESS else Verdict.FAIL
    if text.startswith("ALTER DOMAIN"):
        expected = Verdict.INCONCLUSIVE
    found = lint(LIMITED + text)
    assert found.verdict is expected, found.reason


@pytest.mark.parametrize("text", HARMLESS)
def test_what_does_not_hurt_passes(text: str) -> None:
    found = lint(LIMITED + text)
    assert found.verdict is Verdict.PASS, found.reason


def test_every_table_that_a_foreign_key_points_to_is_named() -> None:
    """A new table locks both; the second is not hidden behind the first."""
    text = (
        "CREATE TABLE a.n (t_id int REFERENCES a.t (id), u_id int, FOREIGN KEY (u_id) REFERENCES a.u ON DELETE CASCADE,"
        " up int REFERENCES a.t)"
    )
    found = lint(text)
    assert "for its lock on a.t and a.u, and other sessions" in found.reason
    assert lint(LIMITED + text).verdict is Verdict.PASS


def test_the_statements_are_those_that_squawk_knows(tmp_path: Path) -> None:
    """squawk itself warns about each with one of the harmful rules."""
    squawk = shutil.which("squawk", path=str(Path(sys.executable).parent))
    if squawk is None:
        pytest.skip("squawk is not installed: pip install squawk-cli")
    files = {}
    for number, text in enumerate(KNOWN_TO_SQUAWK):
        file = tmp_path / f"{number}.sql"
        file.write_text(f"{LIMITED}{text};\n")
        files[str(file)] = text
    done = subprocess.run(
        [squawk, "--reporter", "json", *files], capture_output=True, text=True, check=False, timeout=60
    )
    warned = {files[w["file"]] for w in json.loads(done.stdout) if w["rule_name"] in HARMFUL}
    assert set(KNOWN_TO_SQUAWK) - warned == set(), done.stdout
