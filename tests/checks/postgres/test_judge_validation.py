"""An answer equals the value, lies in the range, or has no rows; empty, NULL or another type never passes."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_deploygate.checks.postgres.facts import Answer
from pytest_deploygate.checks.postgres.judge.validation import judge_validation
from pytest_deploygate.checks.postgres.section.validation import ValidationQuery
from pytest_deploygate.model import Verdict


def judged(rows, expect, *, more=False, empty=None):
    query = ValidationQuery.model_validate({"name": "orphans", "sql": "SELECT", "expect": expect})
    return judge_validation(Answer("orphans", tuple(rows), more, empty), query)


@pytest.mark.parametrize(
    ("value", "expect"),
    [
        (11, 11), (11, 11.0), (Decimal("11.00"), 11), (0.1, 0.1), (Decimal("0.1"), 0.1), (True, True), (False, False),
        ("a", "a"), (date(2026, 1, 2), "2026-01-02"), (5, {"min": 5}), (5, {"max": 5}), (Decimal("0.25"), {"max": 0.25}),
        (Decimal("0.1"), {"min": 0.1, "max": 0.1}), (0.3, {"min": 0.3, "max": 0.3}), (-1, {"max": 0}), (0, 0),
    ],
)  # fmt: skip
def test_what_is_expected_passes(value, expect):
    assert judged([(value,)], expect).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("value", "expect", "words"),
    [
        (12, 11, "is 12, expected 11"), (1, True, "is 1, expected True"), (True, 1, "is True, expected 1"), (False, 0, "is False, expected 0"),
        ("11", 11, "11 (text, not a number)"), (11, "11", "11 (a number, not text)"), (None, 11, "NULL"), (None, True, "NULL"), ("b", "a", "is b, expected a"),
        (0.5, {"max": 0.25}, "is 0.5, expected at most 0.25"), (1, {"min": 2}, "is 1, expected at least 2"), (True, {"min": 0}, "True is not a number"),
        (float("nan"), {"min": 0}, "not a number"), (Decimal("NaN"), {"min": 0}, "not a number"), ("5", {"min": 0}, "not a number"),
        (float("inf"), {"min": 0}, "not a number"), (None, {"min": 0}, "NULL"),
    ],
)  # fmt: skip
def test_anything_else_fails(value, expect, words):
    found = judged([(value,)], expect)
    assert found.verdict is Verdict.FAIL
    assert words in found.reason


def test_shapes():
    assert judged([], "nothing").verdict is Verdict.PASS
    assert judged([], 5).verdict is Verdict.FAIL
    assert judged([(1,), (2,)], 1).verdict is Verdict.INCONCLUSIVE
    assert judged([(1, 2)], 1).verdict is Verdict.INCONCLUSIVE
    some = judged([(7, "x")], "nothing")
    assert some.verdict is Verdict.FAIL
    assert "1 row where there must be none; first: 7, x" in some.reason
    assert "20 or more rows" in judged([(n,) for n in range(20)], "nothing", more=True).reason


@pytest.mark.parametrize("expect", ["nothing", 0, {"min": 0}, True])
def test_an_empty_table_is_never_a_pass(expect):
    found = judged([], expect, empty="platform.alerts")
    assert (found.verdict, found.deferred_to) == (Verdict.INCONCLUSIVE, "phase4")
    assert "platform.alerts has no rows" in found.reason


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**6), max_value=10**6))
def test_a_value_is_within_its_own_bounds(value):
    assert judged([(value,)], {"min": float(value), "max": float(value)}).verdict is Verdict.PASS


def test_the_inventory_keeps_truth_values_and_numbers_apart():
    kinds = [type(ValidationQuery(name="q", sql="", expect=e).expect) for e in (True, 1, 1.0, "x")]
    assert kinds == [bool, int, float, str]
