"""Rows that differ after the migration have an owner and a decision.

This file comes after `test_comparison.py`, whose result it reads.
"""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.discrepancies import judge, probe


@pytest.mark.item("phase4.discrepancies")
def test_every_difference_is_documented(gate, postgres, migration, documented):
    """Every class of differences that the last comparison wrote down has an owner, a decision and a number of rows."""
    found = probe.found(postgres, migration)
    gate.judge(judge.judge, found, documented, target="comparison")
    for one in judge.classes(found):
        gate.judge(judge.judge_class, one, documented, target=one.of.name)
