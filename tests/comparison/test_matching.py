"""How columns are paired and keys are found: pure."""

from __future__ import annotations

import pytest

from pytest_deploygate.comparison import texts
from pytest_deploygate.comparison.catalog import Column, Described
from pytest_deploygate.comparison.matching import matched
from pytest_deploygate.comparison.parts import Part, Plan, bits_for, even, rows_per_range
from pytest_deploygate.comparison.spec import Shard, Wanted

NAME = ("app", "t")


def table(
    *columns: str,
    keys: tuple[tuple[str, ...], ...] = (),
    rows: int = 10,
    driven_by: str = "",
    correlation=1.0,
) -> Described:
    """Columns are written `name type`, with `?` after the name where NULL is allowed."""
    found = []
    for column in columns:
        name, _, kind = column.partition(" ")
        found.append(Column(name.rstrip("?"), kind, kind == "mood", "?" not in name, True, correlation))
    return Described(NAME, tuple(found), keys, rows, rows // 50, driven_by)


def match(source: Described, target: Described | None = None, **how: object):
    return matched(Wanted(NAME, NAME, **how), source, target or source)


def test_the_primary_key_then_one_of_the_target():
    found = match(table("id bigint", "v text", keys=(("id",), ("v",))))
    assert ([c.name for c in found.key], found.ordered, found.whole) == (["id"], (("id", "id"),), True)
    found = match(table("id integer", "v text"), table("id bigint", "v text", keys=(("id",),)))
    assert [c.name for c in found.key] == ["id"]
    assert match(table("id integer", "v text")).key == ()


def test_columns_with_null_give_no_ranges():
    assert match(table("a? integer", "b integer"), key=("a", "b")).ordered == ()


def test_partitions_and_chunks_drive_the_ranges():
    assert match(table("id bigint", "at date", keys=(("id", "at"),), driven_by="at")).ordered == (
        ("at", "at"),
    )
    assert match(table("at timestamp(3) with time zone", "v real", driven_by="at")).ordered == (("at", "at"),)


@pytest.mark.parametrize(("rows", "correlation", "scattered"), [(10, None, False), (10**6, None, True), (10**6, 0.5, True), (10**6, 0.99, False)])  # fmt: skip
def test_scattered_rows_are_told_by_statistics(rows, correlation, scattered):
    assert match(table("id uuid", keys=(("id",),), rows=rows, correlation=correlation)).scattered is scattered


@pytest.mark.parametrize(
    ("source", "target", "how", "words"),
    [
        (table("a integer", "b text"), table("a integer"), {}, "column b is not on the target"),
        (table("a integer"), table("a integer", "b text"), {}, "column b is only on the target"),
        (table("a real"), table("a double precision"), {}, "the shorter one has lost digits"),
        (table("a timestamp without time zone"), table("a timestamp with time zone"), {}, "say the zone"),
        (table("a integer"), table("a boolean"), {}, "give an expression"),
        (table("amount integer"), table("amount integer"), {"key": ("amont",)}, "no column 'amont'; did you mean 'amount'?"),
        (table("a integer"), table("b integer"), {"renamed": {"a": "c"}}, "on the target has no column 'c'"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_said(source, target, how, words):
    assert words in match(source, target, **how)


def test_columns_are_renamed_left_out_and_given_by_expressions():
    found = match(
        table("id integer", "a text", "b text", "c real"),
        table("id integer", "x text", "c double precision"),
        renamed={"a": "x"},
        left_out={"b": "not needed"},
        source_sql={"c": "c::numeric"},
        target_sql={"c": "round(c::numeric, 6)"},
    )
    assert [(c.source, c.target, c.source_sql) for c in found.columns] == [
        ("id", "id", ""),
        ("a", "x", ""),
        ("c", "c", "c::numeric"),
    ]


@pytest.mark.parametrize(
    ("source", "target", "expression"),
    [
        ("integer", "bigint", "{}"),
        ("numeric(10,2)", "numeric(12,4)", "trim_scale({})"),
        ("numeric(10,2)", "numeric(10,2)", "{}"),
        ("integer", "numeric", "trim_scale(({})::numeric)"),
        ("character(8)", "text", "({})::text"),
        ("character varying(8)", "text", "({})::text"),
        ("json", "jsonb", "({})::jsonb"),
        ("uuid", "text", "lower(({})::text)"),
        ("timestamp(3) with time zone", "timestamp with time zone", "{}"),
    ],
)
def test_pairs_of_types(source, target, expression):
    for pair in (texts.pair(source, target), texts.pair(target, source)):
        assert (pair.source, pair.target, pair.problem) == (expression, expression, "")


def test_parts_cover_everything_once():
    bounds = even(1, 100_000, 100_000)
    plan = Plan(bounds)
    assert plan.parts == 50
    parts = [plan.part(n) for n in range(plan.parts)]
    assert (parts[0].lower, parts[-1].upper) == (None, None)
    assert [p.upper for p in parts[:-1]] == [p.lower for p in parts[1:]]
    assert Plan().part(0) == Part()
    assert [rows_per_range(n) for n in (10, 5_000_000, 10**9)] == [2_000, 10_000, 50_000]
    assert [bits_for(n) for n in (0, 4096, 4097, 10**9)] == [0, 0, 1, 14]


@pytest.mark.parametrize("plan", [Plan(), Plan(even(1, 70_000, 70_000)), Plan(bits=5, by_hash=True)])
@pytest.mark.parametrize("of", [1, 3, 7])
def test_shards_read_every_unit_once(plan, of):
    for number in range(5):
        read = [unit for shard in range(1, of + 1) for unit in plan.units(number, Shard(shard, of))]
        assert sorted(read) == sorted(plan.units(number, Shard()))
