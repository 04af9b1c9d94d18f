"""The critical features hold by the results of other items."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.journeys.facts import Decided
from pytest_deploygate.checks.journeys.judge.features import judge_features, judge_named
from pytest_deploygate.checks.journeys.section import Journeys
from pytest_deploygate.model import Verdict

SMOKE = Decided("phase3.smoke", Verdict.PASS, "as wanted")


def test_all_hold():
    judged = judge_features(
        (SMOKE, Decided("phase3.auth", Verdict.NOT_APPLICABLE, "")), ("phase3.smoke", "phase3.auth")
    )
    assert judged.verdict is Verdict.PASS
    assert "phase3.smoke" in judged.reason


@pytest.mark.parametrize(
    ("verdict", "expected", "said"),
    [
        (Verdict.FAIL, Verdict.FAIL, "phase3.api fails: it answers 500"),
        (
            Verdict.INCONCLUSIVE,
            Verdict.INCONCLUSIVE,
            "phase3.api is inconclusive in this change: it answers 500",
        ),
        (Verdict.NOT_COVERED, Verdict.INCONCLUSIVE, "phase3.api is not covered in this change"),
        (Verdict.WAIVED, Verdict.INCONCLUSIVE, "phase3.api is waived"),
    ],
)
def test_one_that_does_not_hold(verdict: Verdict, expected: Verdict, said: str):
    judged = judge_features(
        (SMOKE, Decided("phase3.api", verdict, "it answers 500", confirmed=True)),
        ("phase3.smoke", "phase3.api"),
    )
    assert judged.verdict is expected
    assert said in judged.reason
    assert judged.confirmed == (expected is Verdict.FAIL)


def test_an_unknown_item_and_nothing_measured_are_unknown():
    assert "no item phase3.smok" in judge_features((SMOKE,), ("phase3.smoke", "phase3.smok")).reason
    none = judge_features((Decided("phase3.smoke", Verdict.NOT_APPLICABLE, ""),), ("phase3.smoke",))
    assert none.verdict is Verdict.INCONCLUSIVE
    assert "none of the critical features was measured" in none.reason


def test_they_must_be_named():
    assert judge_named(Journeys()).verdict is Verdict.NOT_COVERED
    assert judge_named(Journeys(features=["phase3.api"])).verdict is Verdict.PASS


def test_it_cannot_decide_itself():
    with pytest.raises(ValueError, match=r"crit.features cannot be one of the items that decide it"):
        Journeys(features=["crit.features"])
