"""Guards beyond the source's checklist: migrations before they run, the database after its load."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.migrations.judge import lint as judge_migration_lint
from pytest_deploygate.checks.migrations.probe import lint as probe_migration_lint
from pytest_deploygate.checks.postgres.judge import after_load as judge_after_load
from pytest_deploygate.checks.postgres.probe import after_load as probe_after_load


@pytest.mark.item("guard.migration-lint")
def test_migrations_do_no_harm(gate, postgres, migration_lint):
    """No migration would rewrite, scan or lock a large table, or wait without limit for its lock."""
    found = probe_migration_lint.read(postgres, migration_lint, postgres.criteria.migrations)
    gate.judge(judge_migration_lint.judge, found, migration_lint)


@pytest.mark.item("guard.after-load")
def test_nothing_is_left_of_the_load(gate, postgres, after_load):
    """Sequences are past their columns, tables analyzed, constraints validated, triggers on."""
    gate.judge(judge_after_load.judge, probe_after_load.read(postgres, after_load), after_load)
