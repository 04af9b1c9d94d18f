"""A drill, of this run or on record: times, errors, running requests, and what may be our own delay."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from pytest_deploygate.checks.load_balancer import judge, probe
from pytest_deploygate.checks.load_balancer.facts import DrillFacts
from pytest_deploygate.checks.load_balancer.probe.drill import configuration
from pytest_deploygate.checks.load_balancer.section import Pool
from pytest_deploygate.drills import record as drills
from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.model import Judgement, Verdict

GOOD = DrillFacts(
    "web2",
    0.4,
    1.5,
    0.6,
    33,
    8,
    200,
    health_bad=True,
    health_said="HTTP 503",
    long=6,
    keeping="lb1 says DOWN",
)


def pool(tmp_path, **more: object) -> Pool:
    drill = {"backend": "web2", "break": "a", "repair": "b", "leaves_within": "3s", "returns_within": "3s",
             "long_request": "/long", "record": str(tmp_path / "drill.json")}  # fmt: skip
    given = {"name": "web", "url": "http://127.0.0.1/", "told_by": {"header": "X-B"},
             "backends": [{"name": "web1"}, {"name": "web2"}], "drill": drill | more}  # fmt: skip
    return Pool.model_validate(given)


def judged(tmp_path, more: dict | None = None, **changes: object) -> Judgement:
    section = pool(tmp_path, **(more or {}))
    facts = replace(GOOD, **changes)
    whole = facts.left_s is not None and facts.back_s is not None
    ran = drills.made(facts, drills.GOOD if whole else "failed", configuration(section), environment="prod")
    drills.write(section.drill.record, ran, of="web")
    return judge.judge_drill(probe.drilled(section, ran, "prod"), section)


def test_a_good_one(tmp_path):
    found = judged(tmp_path)
    assert (found.verdict, found.reason) == (
        Verdict.PASS,
        "web: web2 left 0.4 s after its health had turned bad and was back 0.6 s after its repair; 200 clients meanwhile, 0 errors",
    )


WRONG = {
    "stays": ({"left_s": None, "waited_s": 6.5, "back_s": None, "keeping": "lb1 says UP"}, "web2 stayed in rotation for 6.5 s after its health had turned bad (its own health page answers HTTP 503, lb1 says UP), limit 3 s"),
    "always good": ({"left_s": None, "back_s": None, "health_bad": False, "health_said": "HTTP 200"}, "own health page still answered HTTP 200 after `break`: it always succeeds"),
    "late": ({"left_s": 4.2}, "web2 left only 4.2 s after its health had turned bad, limit 3 s"),
    "does not return": ({"back_s": None}, "web2 did not return within 3 s after its repair"),
    "returns late": ({"back_s": 5.0}, "web2 returned only 5 s after its repair, limit 3 s"),
    "errors": ({"errors": 2, "first_error": "HTTP 503"}, "2 of 200 clients got an error while web2 left and returned (first: HTTP 503), limit 0: let the balancer ask another backend"),
    "given up": ({"left_s": None, "back_s": None, "given_up": True, "errors": 51, "first_error": "HTTP 503"}, "51 of 200 clients got an error while web2 left and returned (it was repaired at once)"),
    "cut": ({"long_cut": 6, "long_first_error": "its answer broke off"}, "6 of 6 requests that ran when the health turned bad did not end well"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "says"), WRONG.values(), ids=WRONG)
def test_wrong(tmp_path, changes, says):
    found = judged(tmp_path, **changes)
    assert found.verdict is Verdict.FAIL
    assert says in found.reason


def test_errors_that_are_allowed(tmp_path):
    assert judged(tmp_path, {"max_errors": 2}, errors=2).verdict is Verdict.PASS


BUSY = OwnLag(over_s=4.2, late_s=2.0)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"left_s": 4.2, "leaving": BUSY}, Verdict.INCONCLUSIVE),
        ({"back_s": 4.2, "returning": BUSY}, Verdict.INCONCLUSIVE),
        ({"left_s": 4.2, "leaving": BUSY, "errors": 3, "first_error": "HTTP 503"}, Verdict.FAIL),
        ({"left_s": 9.0, "leaving": BUSY}, Verdict.FAIL),
        ({"left_s": 4.2, "back_s": 4.2, "leaving": BUSY}, Verdict.FAIL),
        ({"silent": 3, "leaving": BUSY}, Verdict.INCONCLUSIVE),
        ({"silent": 3}, Verdict.FAIL),
    ],
)
def test_our_own_delay(tmp_path, changes, verdict):
    assert judged(tmp_path, **changes).verdict is verdict


def test_running_requests_that_did_not_run(tmp_path):
    found = judged(tmp_path, long=0)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "none of the requests of `long_request` ran on web2" in found.reason
    found = judged(tmp_path, {"long_request": None}, long=0)
    assert found.verdict is Verdict.PASS
    assert "whether running requests end was not tested: name a `long_request`" in found.notes


def test_on_record(tmp_path):
    judged(tmp_path)
    section = pool(tmp_path)
    found = judge.judge_drill(probe.drilled(section, None, "prod"), section)
    assert found.verdict is Verdict.PASS
    assert "; on record, " in found.reason


ELSEWHERE = {
    "another environment": ({}, "staging", "was run in 'prod', this is 'staging'"),
    "another backend": ({"backend": "web1"}, "prod", "backend was 'web2', is 'web1'"),
    "another way": ({"break": "c"}, "prod", "break was 'a', is 'c'"),
}


@pytest.mark.parametrize(("more", "environment", "says"), ELSEWHERE.values(), ids=ELSEWHERE)
def test_a_record_of_something_else(tmp_path, more, environment, says):
    judged(tmp_path)
    section = pool(tmp_path, **more)
    found = judge.judge_drill(probe.drilled(section, None, environment), section)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert says in found.reason


def test_an_old_record(tmp_path):
    section = pool(tmp_path, max_age="1d")
    ran = drills.made(GOOD, drills.GOOD, configuration(section), environment="prod")
    drills.write(section.drill.record, replace(ran, date=ran.date - timedelta(days=2)), of="web")
    found = judge.judge_drill(probe.drilled(section, None, "prod"), section)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "is 2 d old, limit 24 h; run the drill with --allow-disruptive=prod" in found.reason


def test_no_record_and_no_drill(tmp_path):
    section = pool(tmp_path)
    found = judge.judge_drill(probe.drilled(section, None, "prod"), section)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "or set `opt_in: prod`" in found.reason
    section = section.model_copy(update={"drill": None})
    found = judge.judge_drill(probe.drilled(section, None, "prod"), section)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "was never tested: add `drill: {" in found.reason
