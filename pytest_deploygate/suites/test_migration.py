"""What was migrated gives the same answers, values and history as before."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.migration import judge, probe


@pytest.mark.item("phase4.start")
def test_source_is_at_rest_and_target_ready(gate, postgres, migration):
    """Nobody writes to a frozen source, or a slot keeps the changes of a live one; the target has the tables and room."""
    gate.judge(judge.judge_start, probe.started(postgres, migration), migration)


@pytest.mark.item("phase4.progress")
def test_migration_moves_on(gate, postgres, migration):
    """All tables are filled, or will be in time at the rate seen, and no COPY stands still."""
    gate.judge(judge.judge_progress, probe.progress(postgres, migration), migration)


@pytest.mark.item("phase4.sample-queries")
def test_sample_query_gives_the_same_rows(gate, postgres, migration, sample_query):
    """The query gives the same rows on source and target."""
    gate.judge(judge.judge_query, probe.answers(postgres, migration, sample_query), sample_query)


@pytest.mark.item("phase4.calculations", "crit.accuracy")
def test_stored_values_are_right(gate, postgres, migration, calculation):
    """Stored values equal those that the target computes anew from raw rows."""
    gate.judge(judge.judge_calculation, probe.recalculated(postgres, migration, calculation), calculation)


@pytest.mark.item("phase4.history")
def test_history_is_complete(gate, postgres, migration, history):
    """Each period has as many rows on source and target, and no gap is longer than allowed."""
    gate.judge(judge.judge_history, probe.past(postgres, migration, history), history)


@pytest.mark.item("phase4.aggregations")
def test_aggregates_are_equal(gate, postgres, migration, aggregation):
    """The aggregate has the same groups with the same values on source and target."""
    gate.judge(judge.judge_aggregation, probe.answers(postgres, migration, aggregation), aggregation)
