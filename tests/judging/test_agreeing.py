"""The comparison of readings with verdicts sees what a reader would see, and no judge is left out."""

from __future__ import annotations

import pytest
from agreeing import _is_judge, _judges, disagreements

from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Reading, Verdict

MET, MISSED = Reading("lag", 1, "s", "at most 3 s", True), Reading("lag", 4, "s", "at most 3 s", False)


@pytest.mark.parametrize(
    ("verdict", "readings", "said"),
    [
        (Verdict.PASS, [MET], ""),
        (Verdict.FAIL, [MET, MISSED], ""),
        (Verdict.INCONCLUSIVE, [MISSED], ""),
        (Verdict.FAIL, [MET], "fail, but no reading is not ok"),
        (Verdict.PASS, [MISSED], "pass, but lag is not ok"),
        (Verdict.FAIL, [MISSED, Reading("lag", 3.06, "s", "at most 3 s")], "is not judged"),
        (Verdict.PASS, [Reading("lag", 3.06, "s", "at most 3 s")], "is not judged"),
        (Verdict.PASS, [Reading("lag", 3.06, "s", "at most 3", True)], "has no unit"),
        (Verdict.PASS, [Reading("lag", 3.06, "s", "", True)], "has no limit"),
    ],
)
def test_what_disagrees_is_named(verdict: Verdict, readings: list[Reading], said: str) -> None:
    found = "; ".join(disagreements(verdict, readings))
    assert said in found
    assert bool(said) is bool(found)


def test_every_subject_has_a_judge_that_is_watched() -> None:
    watched = {
        module.__name__.split(".")[2]
        for module in _judges()
        for function in vars(module).values()
        if _is_judge(function) or hasattr(function, "__wrapped__")
    }
    subjects = {module.__name__.split(".")[2] for module in _judges()}
    assert watched == subjects
    assert len(watched) >= 15


def test_a_collected_failure_always_has_a_reading_that_is_not_ok() -> None:
    said = Collector()
    said.read(MET)
    said.wrong("the zone is not signed", "the zone has one server")
    judged = said.judgement(lambda: "")
    assert disagreements(judged.verdict, judged.readings) == []
    assert judged.readings[0] == Reading("points not as required", 2, limit="0", ok=False)
