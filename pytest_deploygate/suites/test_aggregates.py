"""Aggregates that are stored beside their raw rows."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.aggregates import judge, probe


@pytest.mark.item("phase2.aggregates")
def test_aggregate_is_fresh_and_right(gate, postgres, aggregate):
    """The aggregate is refreshed on schedule and equals a recomputation from its raw rows."""
    gate.judge(judge.judge, probe.read(postgres, aggregate), aggregate)
