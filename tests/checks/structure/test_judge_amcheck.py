from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_deploygate.checks.structure.facts import Amcheck
from pytest_deploygate.checks.structure.judge.amcheck import judge_amcheck

SOUND = Amcheck(7, {}, {}, {}, 0.1)


@pytest.mark.parametrize(
    ("found", "expected", "verdict", "words"),
    [
        (SOUND, True, "pass", "no corruption in 7"),
        (replace(SOUND, left_out={"app.a": "2 GB"}), True, "pass", "no corruption in 7"),
        (replace(SOUND, corrupt={"app.a": "item order"}), True, "fail", "1 corrupt: app.a: item order"),
        (replace(SOUND, corrupt={"app.a": "x"}, unchecked={"app.b": "y"}), True, "fail", "app.a: x"),
        (replace(SOUND, unchecked={"app.b": "canceled"}), True, "inconclusive", "app.b: canceled"),
        (replace(SOUND, checked=0), True, "inconclusive", "there is no B-tree"),
        (replace(SOUND, checked=0, left_out={"app.a": "2 GB"}), True, "inconclusive", "all are larger"),
        (None, True, "not_applicable", "amcheck: false"),
        (SOUND, False, "not_applicable", "amcheck: false"),
    ],
)
def test_amcheck(found, expected, verdict, words):
    said = judge_amcheck(found, expected)
    assert (said.verdict, words in said.reason) == (verdict, True), said.reason
    if found is not None and expected and found.left_out:
        assert said.notes == ("skipped: app.a: 2 GB",)
