"""The gate repeats a measurement that failed, possibly due to the network; what it records and stores as evidence."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from pytest_deploygate.model import CannotTell, Judgement, Verdict
from pytest_deploygate.session.evidence import Store
from pytest_deploygate.session.fixtures import declared
from pytest_deploygate.session.gate import Gate


@dataclass(frozen=True)
class Seen:
    """A measurement: the protocols that a server agreed to, None where it did not answer."""

    old: bool | None


def judge(found: Seen, limit: str) -> Judgement:
    if found.old is None:
        return Judgement(Verdict.INCONCLUSIVE, "it did not answer")
    if found.old:
        return Judgement(Verdict.FAIL, f"TLS 1.0 is on, the limit is {limit}")
    return Judgement(Verdict.PASS, "all is well")


class Looks:
    """Returns one answer after another, and counts the calls."""

    def __init__(self, *answers: Seen | CannotTell) -> None:
        self.answers = list(answers)
        self.count = 0

    def __call__(self) -> Seen:
        self.count += 1
        answer = self.answers.pop(0)
        if isinstance(answer, CannotTell):
            raise answer
        return answer


@pytest.fixture
def gate(tmp_path):
    return Gate(items=("sec.tls", "sec.other"), test="test_x", target="app", store=Store(tmp_path))


def test_what_fails_twice_is_a_confirmed_failure_with_both_measurements_as_evidence(gate, tmp_path):
    again = Looks(Seen(old=True))
    judgement = gate.judge_confirmed(judge, Seen(old=True), again, "TLS 1.2")
    assert (judgement.verdict, judgement.confirmed, again.count) == (Verdict.FAIL, True, 1)
    assert [(f.item, f.verdict, f.confirmed) for f in gate.findings] == [
        ("sec.tls", Verdict.FAIL, True),
        ("sec.other", Verdict.FAIL, True),
    ]
    assert gate.findings[0].reason == "TLS 1.0 is on, the limit is TLS 1.2"
    (evidence,) = gate.findings[0].evidence
    kept = json.loads((tmp_path / evidence.path).read_text())
    assert kept["measurement"] == [{"old": True}, {"old": True}]


@pytest.mark.parametrize(("first", "verdict"), [(False, Verdict.PASS), (None, Verdict.INCONCLUSIVE)])
def test_what_did_not_fail_is_not_asked_for_again(gate, first, verdict):
    """A healthy server is measured once, and a pass is not marked as confirmed."""
    again = Looks()
    judgement = gate.judge_confirmed(judge, Seen(old=first), again, "TLS 1.2")
    assert (judgement.verdict, judgement.confirmed, again.count) == (verdict, False, 0)
    assert {f.verdict for f in gate.findings} == {verdict}


@pytest.mark.parametrize(
    ("second", "says"),
    [
        (Seen(old=False), "not on the second try"),
        (Seen(old=None), "it did not answer"),
        (CannotTell("app does not resolve here"), "app does not resolve here"),
    ],
)
def test_a_failure_that_is_not_seen_again_is_inconclusive_and_keeps_its_reason(gate, second, says):
    """Neither a pass nor a confirmed failure: the finding has the first reason and the second measurement."""
    judgement = gate.judge_confirmed(judge, Seen(old=True), Looks(second), "TLS 1.2", target="app:443")
    assert (judgement.verdict, judgement.confirmed) == (Verdict.INCONCLUSIVE, False)
    for finding in gate.findings:
        assert (finding.verdict, finding.confirmed, finding.target) == (
            Verdict.INCONCLUSIVE,
            False,
            "app:443",
        )
        assert "TLS 1.0 is on, the limit is TLS 1.2" in finding.reason
        assert says in finding.reason
        assert "run it again" in finding.reason


def test_another_error_of_the_second_look_is_not_swallowed(gate):
    """Only CannotTell from a probe counts as an answer; our own errors end the test."""

    def broken():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        gate.judge_confirmed(judge, Seen(old=True), broken, "TLS 1.2")
    assert gate.findings == []


def test_the_gate_takes_no_other_fixture():
    """pytest makes several objects for each fixture of each test, which took longer than to judge."""
    assert not declared()["gate"].arguments
