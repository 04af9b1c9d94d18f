from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_deploygate.checks.structure.facts import Indexes, IndexState
from pytest_deploygate.checks.structure.judge.indexes import ExpectedIndexes, judge_indexes
from pytest_deploygate.checks.structure.snapshot import Index
from pytest_deploygate.model import Verdict

A = IndexState("app.a", "app.t", "CREATE INDEX a", True, True, True, "1 | 1", None, None)
B = replace(A, name="app.b", definition="CREATE INDEX b", shape="1 | 2")
EXPECTED = ExpectedIndexes((Index("app.a", "app.t", "CREATE INDEX a"),), ("app.b",))


def states(*more: IndexState, a: IndexState = A, b: IndexState = B, **other: object) -> Indexes:
    return Indexes((a, b, *more), **other)


def test_expected_ones_are_there():
    said = judge_indexes(states(), EXPECTED)
    assert said.verdict is Verdict.PASS
    assert "2 expected" in said.reason
    assert said.notes == ()


def test_nothing_expected_is_no_pass():
    assert judge_indexes(states(), ExpectedIndexes((), ())).verdict is Verdict.INCONCLUSIVE


PART = replace(A, name="app.p1_a", table="app.p1", shape="9 | 1", partition_of="app.a")


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Indexes((A,)), "app.b: is missing; create it"),
        (
            states(a=replace(A, definition="CREATE INDEX a2")),
            "expected CREATE INDEX a, found CREATE INDEX a2",
        ),
        (states(a=replace(A, valid=False)), "REINDEX INDEX CONCURRENTLY app.a, or DROP"),
        (states(a=replace(A, ready=False)), "is not ready on app.t"),
        (states(a=replace(A, live=False)), "is not live on app.t"),
        (states(replace(PART, valid=False)), "app.p1_a: is invalid on app.p1"),
        (states(replace(A, name="pg_toast.x_ccnew", valid=False)), "pg_toast.x_ccnew"),
        (states(a=replace(A, collation_mismatch="de-x")), "another version of collation de-x"),
        (states(stale_collation="created with version 1, the library has 2"), "REFRESH COLLATION VERSION"),
        (states(replace(A, name="app.a2")), "app.a2: does the same work as app.a on app.t"),
        (
            states(PART, replace(PART, name="app.p1_own", partition_of=None)),
            "app.p1_own: does the same work as app.p1_a",
        ),
    ],
)
def test_what_is_wrong_is_named(found, words):
    said = judge_indexes(found, EXPECTED)
    assert said.verdict is Verdict.FAIL
    assert words in said.reason
    assert any(reading.ok is False for reading in said.readings)


def test_twins_of_a_parent_are_told_once():
    """The partitions' indexes of two redundant parent indexes are not reported separately."""
    twin = replace(A, name="app.a2")
    said = judge_indexes(states(twin, PART, replace(PART, name="app.p1_a2", partition_of="app.a2")), EXPECTED)
    assert "app.a2: does the same work" in said.reason
    assert "p1" not in said.reason


def test_extra_ones_are_a_note():
    other = replace(A, name="app.more", shape="1 | 3")
    elsewhere = replace(A, name="other.x", table="other.t", shape="7 | 1")
    on_partition = replace(A, name="app.p1_x", table="app.p1", shape="9 | 4", on_partition=True)
    said = judge_indexes(states(other, elsewhere, PART, on_partition), EXPECTED)
    assert said.verdict is Verdict.PASS
    assert said.notes == ("not in the snapshot: app.more",)


def test_many_faults_are_counted():
    said = judge_indexes(Indexes(()), ExpectedIndexes((), tuple(f"app.i{n}" for n in range(8))))
    assert "and 3 more" in said.reason
    assert sum(reading.ok is False for reading in said.readings) >= 8


def test_one_that_is_being_built_cannot_be_told_yet():
    """Until it is finished it is neither good nor bad; other problems still count."""
    building = replace(A, valid=False, building=True)
    said = judge_indexes(states(a=building), EXPECTED)
    assert said.verdict is Verdict.INCONCLUSIVE
    assert "being built on app.t right now" in said.reason
    assert judge_indexes(Indexes((building,)), EXPECTED).verdict is Verdict.FAIL


def test_the_twin_that_serves_a_constraint_stays():
    key = replace(A, name="app.z_key", constraint="z_key")
    assert "app.a: does the same work as app.z_key" in judge_indexes(states(key), EXPECTED).reason


def test_a_missing_index_whose_name_is_only_misspelt_names_the_one_that_is_there():
    """As with Django, which appends a hash to the name."""
    there = replace(A, name="app.orders_placed_at_c2de8920")
    wanted = ExpectedIndexes(
        (Index(there.name, there.table, there.definition),), ("app.orders_placed_at_idx",)
    )
    found = judge_indexes(Indexes((there,)), wanted)
    assert found.verdict is Verdict.FAIL
    assert found.reason.endswith("or correct its name: there is app.orders_placed_at_c2de8920")
    other = replace(A, name="app.customers_email_key")
    assert "correct its name" not in judge_indexes(Indexes((other,)), wanted).reason
