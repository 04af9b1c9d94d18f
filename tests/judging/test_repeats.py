"""A failure is confirmed by a second one, and never revoked by a pass."""

from __future__ import annotations

from pytest_deploygate.judging.repeats import repeated
from pytest_deploygate.model import Judgement, Verdict

BAD = Judgement(Verdict.FAIL, "TLSv1.0 is on")
GOOD = Judgement(Verdict.PASS, "all is well")


def test_a_failure_seen_twice_is_confirmed():
    found = repeated(BAD, BAD)
    assert (found.verdict, found.confirmed) == (Verdict.FAIL, True)


def test_a_failure_that_goes_away_is_inconclusive_and_keeps_its_reason():
    found = repeated(BAD, GOOD)
    assert (found.verdict, found.confirmed) == (Verdict.INCONCLUSIVE, False)
    assert "TLSv1.0 is on" in found.reason
    assert "run it again" in found.reason


def test_a_second_look_that_tells_nothing_is_said_beside_the_first():
    found = repeated(BAD, Judgement(Verdict.INCONCLUSIVE, "no answer in 5 s"))
    assert (found.verdict, found.confirmed) == (Verdict.INCONCLUSIVE, False)
    assert "TLSv1.0 is on" in found.reason
    assert "no answer in 5 s" in found.reason


def test_what_did_not_fail_at_first_stays_as_it_was():
    assert repeated(GOOD, BAD) is GOOD
