"""How comparisons are judged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_deploygate.checks.comparison import judge as judged
from pytest_deploygate.checks.comparison.facts import Compared
from pytest_deploygate.checks.migration.section import Migration
from pytest_deploygate.comparison.objects import Objects
from pytest_deploygate.comparison.outcome import Example, Outcome, TableOutcome, Where
from pytest_deploygate.model import Places, Verdict

SECTION = {
    "source": {"name": "plant", "user": "gate", "primary": "old.example.com"},
    "tables": [{"source": "legacy.*", "target": "shop.*"}],
    "folder": "comparison",
}
MIGRATION = Migration.model_validate(SECTION)
EQUAL = TableOutcome(
    "legacy.orders", "shop.orders", "ranges", "id", 20, 20, 500, 500, 0, 0, 0, (), (), (), seconds=0.5
)
WRONG = replace(
    EQUAL,
    missing=1,
    changed=2,
    target_rows=499,
    columns=(("amount", 2),),
    where=(Where("17", 0.31, 1), Where("90", 0.95, 2)),
    examples=(
        Example("17", "missing", "", '{"id": "17"}', None),
        Example("90", "changed", "amount", "1.00", None),
    ),
)


def compared(*tables: TableOutcome, **how: object) -> Compared:
    own = {key: how.pop(key) for key in ("unknown", "notes", "file", "cut") if key in how}
    outcome = Outcome(tables, own.pop("unknown", ()), own.pop("notes", ()), own.pop("file", ""), 3, own.pop("cut", False),
                      "hashtextextended", 1.0)  # fmt: skip
    return Compared(outcome, "/records", **how)


def judge(found: Compared, migration: Migration = MIGRATION):
    return judged.judge(found, migration)


def test_equal_rows_pass():
    said = judge(compared(EQUAL, replace(EQUAL, source="legacy.empty", source_rows=0, target_rows=0)))
    assert said.verdict is Verdict.PASS
    assert said.reason == "500 rows of 2 tables are equal on both sides, compared by hashtextextended"


def test_differences_fail_with_rows_columns_and_file():
    said = judge(compared(WRONG, file="differences.csv"))
    assert said.verdict is Verdict.FAIL
    assert said.reason == (
        "legacy.orders: 3 of 500 rows differ (1 missing on the target, 2 changed in amount): key 17 is missing; key 90 has amount "
        "NULL instead of '1.00'; all in /records/differences.csv; correct these rows, or document why they differ"
    )
    (picture,) = said.figures
    assert isinstance(picture, Places)
    assert picture.rows == (("legacy.orders", (0, 0, 0, 1, 0, 0, 0, 0, 0, 2)),)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (compared(), "no table of the source has rows"),
        (compared(replace(EQUAL, source_rows=0, target_rows=0)), "no table of the source has rows"),
        (
            compared(replace(EQUAL, parts_done=7, problem="old denies permission")),
            "7 of 20 parts only: old denies permission",
        ),
        (compared(EQUAL, unknown=("legacy.notes: column a is real here",)), "column a is real here"),
        (compared(replace(EQUAL, unsettled=4)), "4 rows of legacy.orders had other values each time"),
    ],
)
def test_what_was_not_compared_is_unknown(found, words):
    said = judge(found)
    assert said.verdict is Verdict.INCONCLUSIVE
    assert words in said.reason


def test_an_empty_source_can_be_compared_after_the_migration():
    assert judge(compared()).deferred_to == "phase4"


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (
            {"not_named": ("legacy.notes",)},
            "1 tables of the source are in no rule of `migration.tables`: legacy.notes",
        ),
        ({"not_there": (("legacy.notes", "shop.notes"),)}, "not on the target: legacy.notes (as shop.notes)"),
        ({"large_objects": (5, 4)}, "the source has 5 large objects, the target 4"),
        (
            {"large_objects": (3, 3), "objects": Objects(3, 1, ("16 has 4 bytes instead of 5",))},
            "1 of 3 large objects differ: 16 has 4 bytes instead of 5; move them again",
        ),
    ],
)
def test_what_is_forgotten_fails(how, words):
    said = judge(compared(EQUAL, **how))
    assert said.verdict is Verdict.FAIL
    assert words in said.reason


def test_large_objects_that_cannot_be_read_are_unknown():
    said = judge(compared(EQUAL, large_objects=(3, 3), objects=Objects(problem="permission denied")))
    assert said.verdict is Verdict.INCONCLUSIVE
    assert (
        "what is in the large objects was compared for 0 only: permission denied; let the role read"
        in said.reason
    )
    said = judge(compared(EQUAL, large_objects=(3, 3), objects=Objects(3)))
    assert said.verdict is Verdict.PASS
    assert said.notes == ("3 large objects were compared by checksums of what is in them",)


def test_differences_count_more_than_what_is_unknown():
    said = judge(compared(WRONG, replace(EQUAL, source="legacy.b", problem="gone"), file="differences.csv"))
    assert said.verdict is Verdict.FAIL


def test_what_is_left_out_cut_or_only_counted_is_noted():
    said = judge(compared(EQUAL, left_out=(("legacy.log", "not needed"),), large_objects=(3, 3), cut=True))
    assert said.verdict is Verdict.PASS
    assert said.notes == (
        "legacy.log is left out: not needed",
        "the file of differences ends at 3 lines (`budget.max_written`): there are more",
        "3 large objects are on both sides: only their number is compared, as this is not the whole comparison",
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tables": [{"source": "leg*.orders"}]}, "write schema.table, or schema"),
        (
            {"tables": [{"source": "legacy.*", "target": "shop.orders"}]},
            "stands for the table in both or in none",
        ),
        ({"tables": [{"source": "legacy.a", "expressions": {"b": {}}}]}, "give an expression"),
        ({"frozen_at": "2026-06-01T18:00:00"}, "has no zone"),
        ({"frozen_at": "2026-06-01T18:00:00Z", "live": {}}, "either frozen"),
        ({"budget": {"rest": 1}}, "less than or equal to 0.95"),
    ],
)
def test_mistakes_in_the_section(change, words):
    with pytest.raises(ValueError, match=words):
        Migration.model_validate(SECTION | change)


def test_the_first_rule_counts():
    rules = Migration.model_validate(
        SECTION
        | {
            "tables": [{"source": "legacy.orders", "target": "shop.sales"}, {"source": "legacy.*"}],
            "left_out": {"old.*": "old"},
        }
    )
    assert rules.rule("legacy", "orders").at_target("orders") == ("shop", "sales")
    assert rules.rule("legacy", "notes").at_target("notes") == ("legacy", "notes")
    assert rules.rule("other", "notes") is None
    assert (rules.reason_left_out("old", "x"), rules.reason_left_out("legacy", "x")) == ("old", "")
    assert Path(rules.folder).name == "comparison"
