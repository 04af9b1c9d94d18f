"""The judge of what a bulk load leaves behind: sequences, statistics, constraints, triggers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_deploygate.checks.postgres.facts import AfterLoadFacts, Sequence
from pytest_deploygate.checks.postgres.judge import after_load
from pytest_deploygate.checks.postgres.section.after_load import AfterLoad
from pytest_deploygate.model import Verdict

LOADED = AfterLoadFacts("db1", 5, 5, (), (), (), (), (), (), (), (), (), ())
SEQUENCE = Sequence("s.a_id_seq", "s.a.id", 10, 10, 1, 1, 2**31 - 1, False)


@pytest.mark.parametrize(
    ("sequence", "words"),
    [
        (SEQUENCE, ""),
        (replace(SEQUENCE, given=None, highest=None), ""),
        (replace(SEQUENCE, given=9), "s.a_id_seq is at 9, s.a.id has 10"),
        (replace(SEQUENCE, given=None, highest=1), "is at its start"),
        (replace(SEQUENCE, given=2**31 - 10), "at 2147483638 of 2147483647 (100%)"),
        (replace(SEQUENCE, given=2**31 - 10, cycles=True), ""),
        (replace(SEQUENCE, increment=-1, first=-100, last=-1, given=-10, highest=-10), ""),
        (replace(SEQUENCE, increment=-1, first=-100, last=-1, given=-10, highest=-20), "behind"),
    ],
)
def test_sequences(sequence, words):
    found = after_load.judge_after_load(replace(LOADED, sequences=(sequence,)), AfterLoad())
    assert found.verdict is (Verdict.FAIL if words else Verdict.PASS), found.reason
    assert words in found.reason


@pytest.mark.parametrize(
    "field", ["unanalyzed", "stale", "not_valid", "switched_off", "no_identity", "unlogged", "no_autovacuum"]
)
def test_what_a_load_leaves_behind_fails(field):
    found = after_load.judge_after_load(replace(LOADED, **{field: ("s.a: x",)}), AfterLoad())
    assert found.verdict is Verdict.FAIL
    assert "s.a: x" in found.reason


def test_empty_tables_are_deferred():
    found = after_load.judge_after_load(replace(LOADED, with_rows=0), AfterLoad())
    assert (found.verdict, found.deferred_to) == (Verdict.INCONCLUSIVE, "phase4")
