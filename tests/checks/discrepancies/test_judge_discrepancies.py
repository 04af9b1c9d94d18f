"""Whether what differs is documented: judged by class, as people write it in the issue log."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pytest_deploygate.checklist.vocabulary import Issue
from pytest_deploygate.checks.discrepancies import judge
from pytest_deploygate.checks.discrepancies.facts import (
    ITEM,
    DifferenceClass,
    Discrepancies,
    Documented,
    OneClass,
)
from pytest_deploygate.model import Verdict

FROZEN = datetime(2026, 6, 1, 18, tzinfo=UTC)
NOTES = DifferenceClass("legacy.orders", "note", "empty-for-null", 1000, "17", None, "")
FOUND = Discrepancies(
    "/records/differences.csv",
    FROZEN + timedelta(hours=2),
    FROZEN + timedelta(hours=3),
    6,
    27000,
    1000,
    (NOTES,),
)
ENTRY = Issue(ITEM, NOTES.name, "data-lead@example.com", "minor", "accept", "the application reads both alike", FROZEN,
              None, 4, rows=1000)  # fmt: skip
LOG = Documented("issues/CHG-7.yml", "deploygate issues --change CHG-7 --write", (ENTRY,), not_before=FROZEN)


def of_class(entry: Issue | None, one: DifferenceClass = NOTES, **log: object):
    log = replace(LOG, entries=(entry,) if entry else (), **log)
    return judge.judge_class(OneClass(one, FOUND.file), log)


def test_a_decided_class_passes():
    said = of_class(ENTRY)
    assert (said.verdict, said.reason) == (
        Verdict.PASS,
        "1000 rows of legacy.orders note empty-for-null: accept, owner data-lead@example.com, for 1000 rows (issues/CHG-7.yml:4)",
    )
    assert said.notes == ("accept (data-lead@example.com): the application reads both alike",)


@pytest.mark.parametrize("rows", [1000, 910])
def test_a_few_more_rows_are_the_same_decision(rows):
    assert of_class(replace(ENTRY, rows=rows)).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        (None, "no owner and no decision in issues/CHG-7.yml; all rows are in /records/differences.csv; `deploygate issues "
               "--change CHG-7 --write` adds an entry"),
        (replace(ENTRY, rows=900), "issues/CHG-7.yml:4 was decided for 900 rows: look at the others in /records/differences.csv"),
        (replace(ENTRY, rows=None), "does not say for how many rows it was decided: add `rows`"),
        (replace(ENTRY, closed=FROZEN), "is closed, but these rows differ still"),
        (replace(ENTRY, incomplete=("owner", "decision")), "is a stub: fill in owner, decision"),
        (replace(ENTRY, target=""), "no owner and no decision"),
        (replace(ENTRY, target="legacy.orders note changed"), "no owner and no decision"),
    ],
)  # fmt: skip
def test_a_class_that_is_not_decided_fails(entry, named):
    said = of_class(entry)
    assert said.verdict is Verdict.FAIL
    assert (
        "1000 rows of legacy.orders note empty-for-null (for example key 17: '' instead of NULL)"
        in said.reason
    )
    assert named in said.reason


def test_an_issue_log_that_does_not_count_is_said():
    said = of_class(None, aside="uncommitted: commit it")
    assert "issues/CHG-7.yml does not count: uncommitted: commit it" in said.reason


def test_a_row_without_key_is_shown():
    lost = DifferenceClass("legacy.events", "", "lost", 1, "", '{"what": "stop"}', None)
    assert of_class(None, lost).reason.startswith(
        '1 row of legacy.events lost (for example a row without a key: {"what": "stop"})'
    )


def test_no_difference_passes_with_what_was_compared():
    said = judge.judge(replace(FOUND, differences=0, classes=()), replace(LOG, entries=()))
    assert (said.verdict, said.reason) == (
        Verdict.PASS,
        "no row of 27000 in 6 tables differs, compared 60 min ago (2026-06-01 20:00 UTC): nothing to document",
    )


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"compared_at": FROZEN - timedelta(hours=1)}, "before the source was frozen (2026-06-01 18:00 UTC): compare them again"),
        ({"cut": 100_000}, "ends at 100000 lines, and there are more differences: their classes are not known"),
        ({"unfinished": ("legacy.orders was not compared to its end: no permission",)}, "no permission"),
        ({"rows": 0, "differences": 0, "classes": ()}, "read no rows"),
    ],
)  # fmt: skip
def test_a_comparison_that_does_not_tell_is_inconclusive(changed, named):
    said = judge.judge(replace(FOUND, **changed), LOG)
    assert (said.verdict, named in said.reason) == (Verdict.INCONCLUSIVE, True)


def test_an_entry_whose_class_is_gone_is_a_note():
    said = judge.judge(replace(FOUND, differences=0, classes=()), LOG)
    assert said.notes == (
        "issues/CHG-7.yml:4: legacy.orders note empty-for-null was not found any more: set `closed`, or correct its `target`",
    )
