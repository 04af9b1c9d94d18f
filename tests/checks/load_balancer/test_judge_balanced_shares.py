"""Who served how many connections, at the stated error."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from pytest_deploygate.checks.load_balancer import judge
from pytest_deploygate.checks.load_balancer.facts import Control, Member, Share, Shares, State
from pytest_deploygate.checks.load_balancer.probe.shares import number
from pytest_deploygate.checks.load_balancer.section import Pool
from pytest_deploygate.model import Judgement, Verdict

WEIGHTS = {"web1": 2, "web2": 1, "web3": 1}


def pool(weights: dict[str, int] = WEIGHTS, **more: object) -> Pool:
    backends = [{"name": name, "weight": weight} for name, weight in weights.items()]
    given = {"name": "web", "url": "http://127.0.0.1/", "told_by": {"header": "X-B"}, "backends": backends}
    return Pool.model_validate(given | more)


def share(**more: object) -> Share:
    counts = more.pop("counts", {"web1": 348, "web2": 174, "web3": 174})
    found = Share("lb:80", sum(counts.values()), tuple(counts.items()))
    return replace(found, **more)


def judged(*shares: Share, controls: tuple[Control, ...] = (), **more: object) -> Judgement:
    return judge.judge_shares(Shares(shares or (share(),), controls), pool(**more))


def test_as_declared():
    found = judged()
    assert (found.verdict, found.reason) == (
        Verdict.PASS,
        "web: each of 3 backends got its share of 696 fresh connections (roundrobin, error 0.001)",
    )


WRONG = {
    "nothing": (share(counts={"web1": 464, "web2": 232}), {}, "web3 got nothing of 696 fresh connections, declared 25 %"),
    "equal": (share(counts={"web1": 232, "web2": 232, "web3": 232}), {}, "web1 got 33 % of 696 fresh connections, declared 50 %"),
    "equal, least connections": (share(counts={"web1": 100, "web2": 300, "web3": 296}), {"balance": "leastconn"}, "web1 got 14 %"),
    "equal, by lot": (share(counts={"web1": 120, "web2": 288, "web3": 288}), {"balance": "random"}, "web1 got 17 %"),
    "a stranger": (share(strangers=(("web9", 3),)), {}, "'web9' served 3 connections, and no backend tells this"),
    "errors": (share(errors=50, first_error="HTTP 503"), {}, "50 of 696 connections got an error (first: HTTP 503)"),
    "strayed": (share(sticky=12, strayed=4), {"sticky": "cookie"}, "4 of 12 connections of the same client reached another backend"),
    "no cookie": (share(no_cookie=True), {"sticky": "cookie"}, "a new client gets none"),
    "another key": (share(sticky=12, strayed=12), {"balance": "hash-url"}, "of the same key reached another backend"),
}  # fmt: skip


@pytest.mark.parametrize(("seen", "more", "says"), WRONG.values(), ids=WRONG)
def test_wrong(seen, more, says):
    found = judged(seen, **more)
    assert found.verdict is Verdict.FAIL
    assert says in found.reason
    assert not found.confirmed


def test_what_the_balancer_says_is_in_the_reason():
    control = Control("lb1", "HAProxy", (Member("web3", State.DRAIN, "DRAIN"),))
    found = judged(share(counts={"web1": 464, "web2": 232}), controls=(control,))
    assert (
        "web3 got nothing of 696 fresh connections, declared 25 % (lb1 says DRAIN: return it" in found.reason
    )


def test_one_that_is_out_must_get_nothing():
    backends = [
        {"name": "web1", "weight": 2},
        {"name": "web2"},
        {"name": "web3"},
        {"name": "web4", "out": "drain"},
    ]
    assert judged(backends=backends).verdict is Verdict.PASS
    found = judged(share(counts=dict(share().counts) | {"web4": 2}), backends=backends)
    assert found.verdict is Verdict.FAIL
    assert "web4 served 2 connections, declared drain" in found.reason


UNKNOWN = {
    "too few": (share(counts={"web1": 10, "web2": 5, "web3": 5}), {}, "web2 got 5 of 20, which may be under its floor of 12.5 %"),
    "mute": (share(mute=100), {}, "100 of 696 answers do not tell their backend: correct `told_by`"),
    "silent": (share(silent=9, first_error="no whole answer within 5 s"), {}, "9 of 696 connections got no answer"),
    "nobody": (Share("lb:80", 700, ()), {}, "no connection was served by a declared backend"),
    "uncounted": (share(uncounted="nginx does not count"), {}, "nginx does not count"),
    "from one place": (share(sticky=12), {"balance": "hash-source"}, "set `told_by: {counters: true}`"),
    "nothing asked": (Share("lb:80", 0, ()), {}, "no connection was served"),
}  # fmt: skip


@pytest.mark.parametrize(("seen", "more", "says"), UNKNOWN.values(), ids=UNKNOWN)
def test_unknown(seen, more, says):
    found = judged(seen, **more)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert says in found.reason


def test_unresolved_name():
    found = judge.judge_shares(Shares((), (), "www.example.com: its name does not resolve here"), pool())
    assert (found.verdict, found.reason) == (
        Verdict.INCONCLUSIVE,
        "web: www.example.com: its name does not resolve here",
    )


def test_a_few_errors_are_a_note():
    found = judged(share(errors=1, first_error="the connection was reset"))
    assert found.verdict is Verdict.PASS
    assert "1 of 696 connections got an error (first: the connection was reset)" in found.notes[0]


@pytest.mark.parametrize(
    "weights", [WEIGHTS, {"a": 1, "b": 1}, {"a": 5, "b": 1}, {f"w{i}": 1 for i in range(8)}]
)
def test_a_balancer_that_draws_lots_passes(weights):
    """The number of connections is enough, and the error is kept: of 300 healthy pools none fails at 1 in 10,000."""
    dice = random.Random(18)
    section = pool(weights, error=0.0001)
    verdicts = Counter()
    for _ in range(300):
        drawn = Counter(dice.choices(list(weights), list(weights.values()), k=number(section)))
        verdicts[judge.judge_shares(Shares((share(counts=drawn),), ()), section).verdict] += 1
    assert verdicts[Verdict.PASS] >= 298
    assert not verdicts[Verdict.FAIL]


@pytest.mark.parametrize("error", [0.05, 0.01])
@pytest.mark.long
def test_the_error_is_as_stated(error):
    """Healthy draws are called wrong at most as often as stated, which 1,000 of them show within three sigmas."""
    dice = random.Random(7)
    section = pool(error=error)
    failed = sum(
        judge.judge_shares(
            Shares((share(counts=Counter(dice.choices(list(WEIGHTS), list(WEIGHTS.values()), k=696))),), ()),
            section,
        ).verdict
        is Verdict.FAIL
        for _ in range(1000)
    )
    assert failed <= 1000 * error + 3 * (1000 * error) ** 0.5


def test_the_number_of_connections_is_bounded():
    assert number(pool()) == 696
    assert number(pool({"a": 1, "b": 999})) == 3000
    assert number(pool(most_connections=100)) == 100
