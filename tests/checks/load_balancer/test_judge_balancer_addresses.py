"""The balancer's own redundancy."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.load_balancer import judge
from pytest_deploygate.checks.load_balancer.facts import Entries, Entry
from pytest_deploygate.checks.load_balancer.section import Pool
from pytest_deploygate.model import Judgement, Verdict

ONE, TWO = Entry("192.0.2.1:80"), Entry("192.0.2.2:80")


def judged(kind: str, *entries: Entry, problem: str = "", **redundancy: object) -> Judgement:
    given = {
        "name": "web",
        "url": "http://www.example.com/",
        "told_by": {"header": "X-B"},
        "backends": [{"name": "web1"}, {"name": "web2"}],
        "redundancy": redundancy or None,
    }
    return judge.judge_entries(Entries(kind, entries, problem), Pool.model_validate(given))


def test_both_serve():
    found = judged("addresses", ONE, TWO, addresses=["192.0.2.1:80", "192.0.2.2:80"])
    assert (found.verdict, found.reason) == (Verdict.PASS, "web: 2 of 2 addresses of the balancer serve it")


def test_one_does_not():
    down = Entry("192.0.2.2:80", "no connection")
    found = judged("addresses", ONE, down, addresses=["192.0.2.1:80", "192.0.2.2:80"])
    assert found.verdict is Verdict.FAIL
    assert "192.0.2.2:80: does not serve the pool (no connection): start the balancer there" in found.reason


def test_our_own_network():
    found = judged("", Entry("192.0.2.2:80", "no route from here", ours=True))
    assert found.verdict is Verdict.INCONCLUSIVE


def test_dns():
    assert judged("dns", ONE, TWO, dns=2).verdict is Verdict.PASS
    found = judged("dns", ONE, dns=2)
    assert found.verdict is Verdict.FAIL
    assert "the name has 1 address, at least 2 are declared" in found.reason
    assert judged("dns", problem="it does not resolve", dns=2).verdict is Verdict.INCONCLUSIVE


MEMBERS = [{"address": "192.0.2.1:80"}, {"address": "192.0.2.2:80"}]


@pytest.mark.parametrize(
    ("first", "second", "verdict", "says"),
    [
        ("MASTER", "BACKUP", Verdict.PASS, "serve it"),
        ("MASTER", "MASTER", Verdict.FAIL, "are MASTER at once: they do not hear each other"),
        ("BACKUP", "BACKUP", Verdict.FAIL, "no machine is MASTER"),
        ("MASTER", "FAULT", Verdict.FAIL, "192.0.2.2:80 is FAULT: it does not take over"),
        ("", "", Verdict.PASS, "serve it"),
    ],
)
def test_vrrp(first, second, verdict, says):
    entries = (Entry("192.0.2.1:80", state=first), Entry("192.0.2.2:80", state=second))
    found = judged("vrrp", *entries, vrrp=MEMBERS)
    assert found.verdict is verdict
    assert says in found.reason


def test_a_state_that_is_not_told():
    entries = (Entry("192.0.2.1:80", state="MASTER"), Entry("192.0.2.2:80", state_problem="`x` ended with 1"))
    found = judged("vrrp", *entries, vrrp=MEMBERS)
    assert (found.verdict, "its VRRP state is unknown: `x` ended with 1" in found.reason) == (
        Verdict.INCONCLUSIVE,
        True,
    )


def test_what_is_not_declared_is_a_note():
    assert "declare `redundancy`" in judged("", ONE).notes[0]
    assert (
        "kept redundant by its provider" in judged("provider", ONE, provider="the cloud's promise").notes[0]
    )
