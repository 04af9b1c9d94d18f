"""What is judged of a notice: nobody is left out, nothing is out of date, and doubt is no failure."""

from __future__ import annotations

from datetime import UTC, datetime

import agreeing
import pytest

from pytest_deploygate.checks.notices import judge
from pytest_deploygate.checks.notices.facts import Delivery, Sent, Wanted
from pytest_deploygate.model import Verdict

AT = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
WANTED = Wanted("pre-deployment", "customers")
GOOD = Delivery("customers 3f9a61", "accepted", "250 ok", "3f9a61c2", at=AT)


def judged(*deliveries: Delivery, problems: tuple[str, ...] = (), unknown: str = ""):
    sent = Sent("pre-deployment", "customers", deliveries, problems, unknown, "deploygate notify send …")
    found = judge.judge(sent, WANTED)
    assert agreeing.disagreements(found.verdict, found.readings) == []
    return found


def test_all_accepted_passes() -> None:
    found = judged(GOOD, GOOD)
    assert found.verdict is Verdict.PASS
    assert (
        found.reason
        == "the notice pre-deployment was accepted for all 2 recipients of customers, last at 2026-11-30 09:00 UTC"
    )


@pytest.mark.parametrize(
    ("one", "verdict", "said"),
    [
        (Delivery("x"), Verdict.FAIL, "was not sent to x"),
        (Delivery("x", "refused", "550 no such user"), Verdict.FAIL, "x: 550 no such user; mend the address"),
        (Delivery("x", "accepted", "250", current=False), Verdict.FAIL, "was sent to x before its template"),
        (Delivery("x", "waiting", "450 later"), Verdict.INCONCLUSIVE, "x: not accepted yet: 450 later"),
        (Delivery("x", "uncertain", "killed", "ab12"), Verdict.INCONCLUSIVE, "--not-sent ab12"),
    ],
)
def test_one_that_is_not_good(one: Delivery, verdict: Verdict, said: str) -> None:
    found = judged(GOOD, one)
    assert found.verdict is verdict
    assert said in found.reason


def test_never_sent_names_the_command() -> None:
    found = judged(Delivery("x"), Delivery("y"))
    assert found.verdict is Verdict.FAIL
    assert "was never sent for this change: `deploygate notify send …`" in found.reason


def test_placeholder_fails_though_all_was_accepted() -> None:
    found = judged(GOOD, problems=("notices/en/pre-deployment.txt:3: the placeholder [DATE] is left",))
    assert found.verdict is Verdict.FAIL
    assert "pre-deployment.txt:3" in found.reason


def test_record_that_cannot_be_read_is_no_failure() -> None:
    assert judged(unknown="journal.jsonl is damaged").verdict is Verdict.INCONCLUSIVE


def test_audience_of_nobody_proves_nothing() -> None:
    assert judged().verdict is Verdict.INCONCLUSIVE
