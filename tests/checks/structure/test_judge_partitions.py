"""Partitions pass if they have the width, no gap, reach ahead, leave the default empty, and are pruned."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pytest_deploygate.checks.structure.facts import Partition, Partitions
from pytest_deploygate.checks.structure.judge.partitions import judge_partitions
from pytest_deploygate.checks.structure.section import Partitioned
from pytest_deploygate.model import Verdict

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
MIDNIGHT = NOW.replace(hour=0)
EXPECTED = Partitioned.model_validate({"table": "a.t", "column": "at", "interval": "1d", "ahead": "2d"})
RANGES = tuple(Partition(f"a.p{n}", MIDNIGHT + n * DAY, MIDNIGHT + (n + 1) * DAY) for n in range(-5, 5))
GOOD = Partitions("a.t", "range", "RANGE (at)", NOW, RANGES, (), "a.spare", 0, 1, 11)


def without(*numbers: int) -> Partitions:
    return replace(GOOD, ranges=tuple(p for p in RANGES if int(p.name[3:]) not in numbers))


@pytest.mark.parametrize(
    "facts",
    [
        GOOD,
        replace(GOOD, default=None, default_rows=None),
        replace(GOOD, key='RANGE ("at")'),
        replace(GOOD, ranges=(Partition("a.old", None, RANGES[0].start), *RANGES)),
        replace(GOOD, ranges=(*RANGES[:-1], replace(RANGES[-1], end=RANGES[-1].end + timedelta(hours=1)))),
    ],
)
def test_what_is_as_expected_passes(facts):
    found = judge_partitions(facts, EXPECTED)
    assert found.verdict is Verdict.PASS, found.reason


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (replace(GOOD, kind=None), "a.t does not exist"),
        (replace(GOOD, kind="table"), "is an ordinary table"),
        (replace(GOOD, kind="hash"), "partitioned by hash"),
        (replace(GOOD, key="RANGE (id)"), "expected RANGE (at)"),
        (replace(GOOD, key="RANGE (at, id)"), "expected RANGE (at)"),
        (replace(GOOD, ranges=()), "no range partition"),
        (without(-3), "gap from 2026-03-01 00:00 to 2026-03-02 00:00 UTC"),
        (without(1), "the last contiguous one ends 2026-03-05 00:00 UTC"),
        (without(0), "there is none for now"),
        (without(2, 3, 4), "for 2 d ahead of now"),
        (replace(GOOD, ranges=(*RANGES[:-1], replace(RANGES[-1], end=None))), "a.p4 has no end (MAXVALUE)"),
        (replace(GOOD, ranges=(replace(RANGES[0], start=RANGES[0].start - 9 * DAY), *RANGES[1:])), "1 of 10 partitions are not 24 h wide, first a.p-5 (10 d)"),
        (replace(GOOD, default_rows=1), "1 row is in the default partition a.spare"),
        (replace(GOOD, default_rows=3), "3 rows are in the default"),
        (replace(GOOD, scanned=11), "reads 11 of 11: nothing is pruned"),
    ],
)  # fmt: skip
def test_what_is_wrong_fails(facts, words):
    found = judge_partitions(facts, EXPECTED)
    assert found.verdict is Verdict.FAIL, found.reason
    assert words in found.reason


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (replace(GOOD, unread=("a.odd: FOR VALUES FROM (1) TO (2)",)), "not a point in time"),
        (replace(GOOD, scanned=None), "pruning could not be tried"),
        (replace(GOOD, scanned=0), "reads no partition"),
    ],
)
def test_what_cannot_be_told_is_inconclusive(facts, words):
    found = judge_partitions(facts, EXPECTED)
    assert found.verdict is Verdict.INCONCLUSIVE, found.reason
    assert words in found.reason
