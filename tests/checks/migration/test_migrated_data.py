"""Queries, calculations, history and aggregates of migrated data: on two real servers, and judged."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pytest_deploygate.checks.migration import judge, probe
from pytest_deploygate.checks.migration.facts import Answer, Answers, Gap, Past, Period, Recalculated
from pytest_deploygate.checks.migration.section import (
    AggregateQuery,
    Calculation,
    History,
    Migration,
    SampleQuery,
)
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import CannotTell, Judgement, Verdict

BY_SHOP = "SELECT shop, count(*) AS n, sum(price) AS price, avg(total) AS mean FROM app.sales GROUP BY shop"


def query(**more: object) -> SampleQuery:
    return SampleQuery.model_validate({"name": "by shop", "source": BY_SHOP, **more})


def aggregate(**more: object) -> AggregateQuery:
    return AggregateQuery.model_validate({"name": "by shop", "source": BY_SHOP, "key": ["shop"], **more})


def test_the_same_rows_pass_and_others_fail(servers, target, migration):
    asked = query(source=f"{BY_SHOP};", tolerance=1e-9)
    assert judge.judge_query(probe.answers(target, migration, asked), asked).verdict is Verdict.PASS
    servers[1].sql("UPDATE app.sales SET price = price + 1 WHERE id = 3")
    said = judge.judge_query(probe.answers(target, migration, asked), asked)
    assert said.verdict is Verdict.FAIL
    assert "(shop 0, 133, 26733, " in said.reason
    assert "is missing; (shop 0, 133, 26734, " in said.reason


def test_the_order_counts_where_it_is_asked_for(servers, target, migration):
    source = f"{BY_SHOP} ORDER BY shop"
    other = f"{BY_SHOP} ORDER BY shop DESC"
    assert (
        judged(target, migration, query(source=source, target=other, tolerance=1e-9)).verdict is Verdict.PASS
    )
    said = judged(target, migration, query(source=source, target=other, ordered=True))
    assert "row 1 has shop shop 2 instead of shop 0" in said.reason


def judged(target: Cluster, migration: Migration, asked: SampleQuery) -> Judgement:
    return judge.judge_query(probe.answers(target, migration, asked), asked)


def test_queries_without_rows_with_too_many_or_with_a_mistake_are_unknown(target, migration):
    assert "returns no row" in judged(target, migration, query(source="SELECT 1 AS one WHERE false")).reason
    said = judged(target, migration, query(source="SELECT id FROM app.sales", max_rows=399))
    assert (said.verdict, "more than 399 rows on the source" in said.reason) == (Verdict.INCONCLUSIVE, True)
    with pytest.raises(CannotTell, match=r"column .no. does not exist"):
        probe.answers(target, migration, query(source="SELECT no FROM app.sales"))
    with pytest.raises(CannotTell, match=r"syntax error|multiple commands"):
        probe.answers(target, migration, query(source="SELECT 1) AS a; DELETE FROM app.sales; SELECT (1"))


def test_groups_that_are_missing_extra_or_different(servers, target, migration):
    servers[1].sql(
        "DELETE FROM app.sales WHERE shop = 'shop 1'; UPDATE app.sales SET shop = 'new' WHERE id = 6"
    )
    asked = aggregate()
    said = judge.judge_aggregation(probe.answers(target, migration, asked), asked)
    assert said.verdict is Verdict.FAIL
    assert "(new) is extra on the target; (shop 0) has n 132 instead of 133" in said.reason
    assert "(shop 1) is missing on the target" in said.reason
    wrong = aggregate(key=["shops"])
    assert (
        judge.judge_aggregation(probe.answers(target, migration, wrong), wrong).verdict
        is Verdict.INCONCLUSIVE
    )


@pytest.mark.parametrize(
    ("one", "other", "tolerance", "same"),
    [
        ((1.5,), (1.5000000001,), 1e-9, True),
        ((1.5,), (1.51,), 1e-9, False),
        (("3",), (3.0000000001,), 1e-9, True),
        ((None,), ("",), 0.5, False),
        (("NaN",), ("NaN",), 0.0, True),
        (("a",), (1.5,), 0.5, False),
    ],
)
def test_values_within_the_tolerance(one, other, tolerance, same):
    found = Answers(Answer(("v",), (one,)), Answer(("v",), (other,)))
    assert (judge.judge_query(found, query(tolerance=tolerance)).verdict is Verdict.PASS) is same


def test_equal_rows_count_as_often_as_they_are_there():
    found = Answers(Answer(("v",), (("1",), ("1",), ("2",))), Answer(("v",), (("1",), ("2",), ("2",))))
    assert "2 of 3 rows differ: (1) is missing; (2) is extra" in judge.judge_query(found, query()).reason


def calculation(**more: object) -> Calculation:
    own = {
        "name": "totals",
        "query": "SELECT id AS key, total AS stored, pieces * price AS computed FROM app.sales",
    }
    return Calculation.model_validate(own | more)


def test_stored_values_are_computed_anew(servers, target, migration):
    def said(asked: Calculation) -> Judgement:
        return judge.judge_calculation(probe.recalculated(target, migration, asked), asked)

    assert said(calculation()).verdict is Verdict.PASS
    servers[1].sql("UPDATE app.sales SET total = total * 1.1 WHERE id = 100; UPDATE app.sales SET total = NULL WHERE id = 101;"
                   "UPDATE app.sales SET total = 'NaN' WHERE id = 102")  # fmt: skip
    wrong = said(calculation())
    assert "3 of 400 stored values differ" in wrong.reason
    assert (
        "101 has None stored, 303 computed" in wrong.reason
        or "101 has NULL stored, 303 computed" in wrong.reason
    )
    assert "2 of 400" in said(calculation(tolerance=0.2)).reason
    none = said(calculation(query="SELECT 1 AS key, 1 AS stored, 1 AS computed WHERE false"))
    assert (none.verdict, none.deferred_to) == (Verdict.INCONCLUSIVE, "phase4")


def past(**more: object) -> History:
    return History.model_validate({"table": "app.sales", "column": "sold", **more})


def test_a_missing_day_and_gaps_are_found(servers, target, migration):
    def said(asked: History) -> Judgement:
        return judge.judge_history(probe.past(target, migration, asked), asked)

    good = said(past(max_gap="6h"))
    assert (good.verdict, len(good.figures)) == (Verdict.PASS, 1)
    assert "longer than 12 h" in said(past(per="shop", max_gap="12h")).reason
    servers[1].sql("DELETE FROM app.sales WHERE sold >= '2026-02-10Z' AND sold < '2026-02-11Z'")
    wrong = said(past(max_gap="6h"))
    assert wrong.verdict is Verdict.FAIL
    assert "1 of 101 days have another number of rows: 2026-02-10 0 instead of 4" in wrong.reason
    assert "no row for 30 h after 2026-02-09 18:00 UTC" in wrong.reason
    with pytest.raises(CannotTell, match=r"no rule of `migration\.tables` names other\.sales"):
        said(past(table="other.sales"))


def test_a_gap_of_the_source_is_one_too():
    start = datetime(2026, 1, 1, tzinfo=UTC)
    found = Past((Period(start, 3, 3),), (0, 0), (Gap("7", start, 90_000.0, at_source=True),))
    said = judge.judge_history(found, past(per="shop", max_gap="1h"))
    assert "shop 7 has no row for 25 h after 2026-01-01 00:00 UTC; the source has it, too" in said.reason
    assert judge.judge_history(Past((), (0, 0), ()), past()).deferred_to == "phase4"
    assert "2 rows have no sold" in judge.judge_history(Past(found.periods, (0, 2), ()), past()).reason


def test_a_calculation_without_values_is_unknown():
    assert (
        judge.judge_calculation(Recalculated(0, 0, None, ()), calculation()).verdict is Verdict.INCONCLUSIVE
    )
