"""The day after: slow statements and caches."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.postgres.judge import caches as judge_caches
from pytest_deploygate.checks.postgres.judge import statements as judge_statements
from pytest_deploygate.checks.postgres.probe import caches, statements


@pytest.mark.item("stab.slow-queries")
def test_no_slow_statement(gate, postgres, statement_bounds):
    """No statement that runs often is over the mean and p99 bounds; the worst ten are in the report."""
    gate.judge(
        judge_statements.judge_slow, statements.statements(postgres, statement_bounds), statement_bounds
    )


@pytest.mark.item("stab.caching")
def test_caches_hit(gate, postgres, caching):
    """PostgreSQL's buffers and each Redis server find enough of what they are asked for."""
    if caching.buffers:
        gate.judge(judge_caches.judge, caches.buffers(postgres), caching.buffers, target="buffers")
    for cache in caching.redis:
        gate.judge(judge_caches.judge, caches.redis(cache), cache, target=cache.name)
