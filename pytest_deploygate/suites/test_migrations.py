"""Migrations: the version of the database, and what pending ones would do to it."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.migrations import judge, probe


@pytest.mark.item("phase2.migrations")
def test_migrations_are_at_the_head(gate, postgres, migrations):
    """Every node is at the expected head: no migration pending, unknown or half done."""
    gate.judge(judge.judge_versions, probe.schema_versions(postgres, migrations), migrations)


@pytest.mark.item("guard.migration-lint")
def test_migrations_do_no_harm(gate, postgres, migration_lint, migration_tool, budget):
    """No migration would rewrite, scan or lock a large table, or wait indefinitely for its lock."""
    found = probe.pending_migrations(postgres, migration_lint, migration_tool, budget)
    gate.judge(judge.judge_lint, found, migration_lint)
