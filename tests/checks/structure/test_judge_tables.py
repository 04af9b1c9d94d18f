from __future__ import annotations

import pytest

from pytest_deploygate.checks.structure.facts import Relation, Surplus
from pytest_deploygate.checks.structure.judge.tables import (
    ExpectedAll,
    ExpectedRelation,
    judge_relation,
    judge_surplus,
)
from pytest_deploygate.checks.structure.snapshot import Structure
from pytest_deploygate.model import Verdict

T = {
    "kind": "table",
    "owner": "o",
    "column id": "integer NOT NULL",
    "column machine_id": "integer",
    "constraint c": "CHECK (id > 0)",
    "grant to app": "INSERT, SELECT",
}
EXPECTED = ExpectedRelation(T, 15, ("s.tmp_*",))


def without(name: str) -> dict[str, str]:
    return {key: text for key, text in T.items() if key != name}


def test_same_is_a_pass():
    said = judge_relation(Relation("s.t", dict(T), {}, 15), EXPECTED)
    assert (said.verdict, said.notes) == (Verdict.PASS, ())


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (T | {"column id": "integer"}, "column id: NOT NULL expected, column is nullable"),
        (T | {"column machine_id": "integer NOT NULL"}, "nullable expected, column is NOT NULL"),
        (T | {"column id": "bigint NOT NULL"}, "integer NOT NULL expected, found bigint NOT NULL"),
        (without("column id"), "column id: integer NOT NULL expected, but missing"),
        (T | {"column x": "text"}, "column x: not expected, found text"),
        (without("constraint c"), "constraint c: CHECK (id > 0) expected, but missing"),
        (T | {"constraint c": "CHECK (id > 0) NOT VALID"}, "found CHECK (id > 0) NOT VALID"),
        (T | {"owner": "x"}, "owner: o expected, found x"),
        (T | {"grant to app": "DELETE, INSERT, SELECT"}, "grant to app: DELETE not expected"),
        (T | {"grant to app": "SELECT"}, "INSERT expected, but missing"),
        (T | {"grant to PUBLIC": "SELECT"}, "grant to PUBLIC: not expected, found SELECT"),
        (T | {"kind": "view"}, "kind: table expected, found view"),
        (None, "s.t does not exist; in the snapshot it is a table"),
    ],
)
def test_each_difference_is_named(found, words):
    said = judge_relation(Relation("s.t", found, {}, 15), EXPECTED)
    assert said.verdict is Verdict.FAIL
    assert words in said.reason
    assert said.readings[0].ok is False


def test_a_partition_that_deviates_is_told_under_its_parent():
    found = Relation("s.t", dict(T), {"partition s.t1: owner": "o expected, found x"}, 15)
    said = judge_relation(found, EXPECTED)
    assert said.verdict is Verdict.FAIL
    assert "s.t has 1 difference" in said.reason
    assert "partition s.t1: owner: o expected, found x" in said.reason


def test_all_differences_are_listed():
    said = judge_relation(
        Relation("s.t", {"kind": "table"} | {f"column {n}": "x" for n in range(9)}, {}, 15), EXPECTED
    )
    assert len(said.readings) == 14
    assert "and 9 more" in said.reason


def test_another_major_version_is_a_note():
    said = judge_relation(Relation("s.t", dict(T), {}, 18), EXPECTED)
    assert said.verdict is Verdict.PASS
    assert "PostgreSQL 15, the server is 18" in said.notes[0]


def test_ignored_is_not_compared():
    assert judge_relation(Relation("s.tmp_x", None, {}, 15), EXPECTED).verdict is Verdict.NOT_APPLICABLE


SEQUENCE = {"kind": "sequence", "sequence": "bigint START 1"}
FUNCTION = {"owner": "o", "security": "invoker"}
WHOLE = Structure(
    15, ("s",), {"s.t": T, "s.q": SEQUENCE}, {"function s.f()": FUNCTION}, (), {}, {"amcheck": "1.3"}
)


def surplus(
    relations: dict | None = None, others: dict | None = None, extensions: dict | None = None
) -> Surplus:
    return Surplus(
        ("s",), {"s.t": T, "s.q": SEQUENCE} | (relations or {}),
        {"function s.f()": FUNCTION} if others is None else others, extensions or {"amcheck": "1.3"}, 15,
    )  # fmt: skip


def test_nothing_beside_is_a_pass():
    assert judge_surplus(surplus(), ExpectedAll(WHOLE)).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (surplus({"s.new": T}), "s.new: not expected, this table is not in the snapshot"),
        (surplus({"s.q2": SEQUENCE}), "this sequence is not in the snapshot"),
        (
            surplus({"s.q": SEQUENCE | {"sequence": "integer START 1"}}),
            "s.q: sequence: bigint START 1 expected",
        ),
        (Surplus(("s",), {"s.t": T}, {"function s.f()": FUNCTION}, {}, 15), "s.q: expected, but missing"),
        (surplus(others={}), "function s.f(): expected, but missing"),
        (surplus(others={"function s.f()": FUNCTION | {"security": "definer"}}), "found definer"),
        (surplus(others={"function s.f()": FUNCTION, "type s.e": {}}), "type s.e: not expected"),
    ],
)
def test_what_is_beside_the_snapshot_is_named(found, words):
    said = judge_surplus(found, ExpectedAll(WHOLE))
    assert said.verdict is Verdict.FAIL
    assert words in said.reason


def test_ignored_and_extensions():
    said = judge_surplus(
        surplus({"s.tmp_1": T}, extensions={"amcheck": "1.4"}), ExpectedAll(WHOLE, ("s.tmp_*",))
    )
    assert said.verdict is Verdict.PASS
    assert said.notes == ("extension amcheck: 1.3 expected, found 1.4",)
