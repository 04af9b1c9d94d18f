"""The servers: settings, statistics, caches, validation queries, and what a bulk load leaves behind."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.postgres import judge, probe


@pytest.mark.item("db.cluster")
def test_server_is_set_right(gate, postgres, expected_servers, node):
    """Version, durability, checksums, libraries, connections and memory are as expected; nothing waits for a restart."""
    gate.judge(judge.judge_server, probe.server_state(postgres, node), expected_servers)


@pytest.mark.item("db.monitoring-queries")
def test_slow_statements_are_seen(gate, postgres, monitoring_queries):
    """pg_stat_statements is loaded and counts; slow statements are logged."""
    gate.judge(judge.judge_monitoring, probe.monitoring(postgres), monitoring_queries)


@pytest.mark.item("phase2.validation")
def test_validation_query(gate, postgres, validation_query):
    """The query returns the expected answer."""
    gate.judge(judge.judge_validation, probe.answer(postgres, validation_query), validation_query)


@pytest.mark.item("guard.after-load")
def test_nothing_is_left_of_the_load(gate, postgres, after_load):
    """Sequences are past their columns, tables analyzed, constraints validated, triggers on."""
    gate.judge(judge.judge_after_load, probe.left_by_load(postgres, after_load), after_load)


@pytest.mark.item("stab.slow-queries")
def test_no_slow_statement(gate, postgres, statement_bounds):
    """No frequent statement exceeds the mean or p99 bound; the worst ten are in the report."""
    gate.judge(judge.judge_slow, probe.counted_statements(postgres, statement_bounds), statement_bounds)


@pytest.mark.item("stab.caching")
def test_caches_hit(gate, postgres, caching):
    """PostgreSQL's buffers and each Redis server reach their minimum hit ratio."""
    if caching.buffers:
        gate.judge(judge.judge_cache, probe.buffers(postgres), caching.buffers, target="buffers")
    for cache in caching.redis:
        gate.judge(judge.judge_cache, probe.redis(cache), cache, target=cache.name)
