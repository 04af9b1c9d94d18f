"""States, weights, health checks, TLS and slow start, as balancers and backends tell them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_deploygate.checks.load_balancer import judge
from pytest_deploygate.checks.load_balancer.facts import Backends, Check, Control, Health, Kind, Member, State
from pytest_deploygate.checks.load_balancer.section import Pool
from pytest_deploygate.model import Judgement, Verdict

GOOD = Check(Kind.HTTP, "/healthz")


def pool(**more: object) -> Pool:
    backends = [
        {"name": "web1", "weight": 2, "address": "192.0.2.1:80"},
        {"name": "web2", "health": {"url": "http://192.0.2.2/healthz"}},
    ]
    given = {"name": "web", "url": "http://127.0.0.1/", "told_by": {"header": "X-B"}, "backends": backends}
    return Pool.model_validate(given | more)


def member(name: str, **more: object) -> Member:
    return replace(Member(name, State.IN, "UP", 1.0, GOOD, "verified", 30.0), **more)


ONE, TWO = member("192.0.2.1:80", weight=2.0), member("web2")


def judged(
    *members: Member,
    health: tuple[Health, ...] = (),
    program: str = "HAProxy",
    lacking: tuple[str, ...] = (),
    **more: object,
) -> Judgement:
    control = Control("lb1", program, members, lacking=lacking, group="web")
    return judge.judge_backends(Backends((control,), health), pool(**more))


def test_all_as_declared():
    found = judged(ONE, TWO, tls="verified", slow_start="30s")
    assert found.verdict is Verdict.PASS, found.reason
    assert found.reason == (
        "web: 2 backends on 1 balancer are as declared, each with a health check that can fail"
    )


WRONG = {
    "drain": ({"state": State.DRAIN}, {}, "web2 on lb1: in DRAIN, so it gets no new clients; return it with `set server web/web2 state ready`"),
    "weight 0": ({"state": State.DRAIN, "weight": 0.0}, {}, "web2 on lb1: has weight 0, so it gets no new clients; give it its weight"),
    "maint": ({"state": State.MAINT}, {}, "web2 on lb1: in MAINT"),
    "down": ({"state": State.DOWN, "says": "DOWN 1/2", "check": replace(GOOD, says="L7STS 503")}, {}, "down (DOWN 1/2, last check L7STS 503); repair it"),
    "backup": ({"state": State.BACKUP}, {}, "a backup, so it gets nothing while another is up"),
    "no check": ({"check": Check(Kind.NONE)}, {}, "web2 on lb1: no health check: add `check`"),
    "port alone": ({"check": Check(Kind.TCP)}, {}, "the health check only sees that the port accepts connections"),
    "handshake alone": ({"check": Check(Kind.TLS)}, {}, "only sees that a TLS handshake succeeds"),
    "passive": ({"check": Check(Kind.PASSIVE)}, {}, "only failed requests of users count (`checks: passive` accepts that)"),
    "passive is no tcp": ({"check": Check(Kind.PASSIVE)}, {"checks": "tcp"}, "only failed requests"),
    "always": ({"check": replace(GOOD, always="`expect` accepts every status")}, {}, "always succeeds: `expect` accepts every status"),
    "always, passive suffices": ({"check": replace(GOOD, always="x")}, {"checks": "passive"}, "always succeeds"),
    "weights": ({"weight": 2.0}, {}, "the weights are web1 2, web2 2, declared web1 2, web2 1"),
    "plain": ({"tls": "none"}, {"tls": "unverified"}, "web2 on lb1: gets plain text, declared unverified"),
    "unverified": ({"tls": "unverified"}, {"tls": "verified"}, "its certificate is not verified"),
    "at once": ({"slow_start_s": 0.0}, {"slow_start": "30s"}, "gets its full share at once when it returns, declared 30 s: set `slowstart 30s`"),
    "too soon": ({"slow_start_s": 5.0}, {"slow_start": "30s"}, "gets its full share after 5 s"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "more", "says"), WRONG.values(), ids=WRONG)
def test_wrong(changes, more, says):
    found = judged(ONE, replace(TWO, **changes), **more)
    assert found.verdict is Verdict.FAIL
    assert says in found.reason


def test_what_several_have_in_common_is_said_once():
    none = {"check": Check(Kind.NONE)}
    controls = tuple(
        Control(name, "HAProxy", (replace(ONE, **none), replace(TWO, **none))) for name in ("lb1", "lb2")
    )
    found = judge.judge_backends(Backends(controls, ()), pool())
    assert found.reason.startswith("web: web1, web2 on lb1 and lb2: no health check: add `check`")
    assert found.reason.count("no health check") == 1


GOOD_TOO = {
    "port alone at layer 4": ({"check": Check(Kind.TCP)}, {"layer": 4}),
    "port alone, accepted": ({"check": Check(Kind.TCP)}, {"checks": "tcp"}),
    "passive, accepted": ({"check": Check(Kind.PASSIVE)}, {"checks": "passive"}),
    "better than declared": ({"tls": "verified"}, {"tls": "unverified"}),
    "weights in other units": ({"weight": 100.0}, {}),
    "weights unknown": ({"weight": None}, {}),
}


@pytest.mark.parametrize(("changes", "more"), GOOD_TOO.values(), ids=GOOD_TOO)
def test_good(changes, more):
    one = replace(ONE, weight=200.0) if changes.get("weight") == 100.0 else ONE
    found = judged(one, replace(TWO, **changes), **more)
    assert found.verdict is Verdict.PASS, found.reason


UNKNOWN = {
    "check": ({"check": None}, {}, "what the health check looks at is unknown: add `config`"),
    "tls": ({"tls": None}, {"tls": "verified"}, "whether TLS is spoken with it is unknown: add `config`"),
    "slow start": ({"slow_start_s": None}, {"slow_start": "30s"}, "whether it starts slowly is unknown"),
    "state": ({"state": State.UNKNOWN, "says": "odd"}, {}, "the state is not known (odd)"),
}


@pytest.mark.parametrize(("changes", "more", "says"), UNKNOWN.values(), ids=UNKNOWN)
def test_unknown(changes, more, says):
    found = judged(ONE, replace(TWO, **changes), lacking=("add `config`",), **more)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert says in found.reason


def test_unknown_beside_wrong():
    """A reading that is not decided has no limit beside it."""
    found = judged(replace(ONE, state=State.DRAIN), replace(TWO, check=None))
    assert found.verdict is Verdict.FAIL


def test_no_balancer_can_be_asked():
    found = judge.judge_backends(Backends((), ()), pool())
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "name it in `control`" in found.reason


def test_one_balancer_cannot_be_asked():
    controls = (Control("lb1", "HAProxy", (ONE, TWO)), Control("lb2", "HAProxy", problem="no socket"))
    found = judge.judge_backends(Backends(controls, ()), pool())
    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, "web: lb2: no socket")


def test_a_backend_that_the_balancer_does_not_know():
    found = judged(ONE)
    assert found.verdict is Verdict.FAIL
    assert "HAProxy has no backend web2: add it there" in found.reason


def test_a_backend_that_the_inventory_does_not_know():
    found = judged(ONE, TWO, member("web9"))
    assert found.verdict is Verdict.FAIL
    assert "web9 gets requests, and the inventory does not name it" in found.reason
    assert judged(ONE, TWO, member("web9", state=State.MAINT)).verdict is Verdict.PASS


def test_out_on_purpose():
    out = [{"name": "web1", "address": "192.0.2.1:80"}, {"name": "web2", "out": "maint"}]
    assert judged(ONE, replace(TWO, state=State.MAINT), backends=out).verdict is Verdict.PASS
    found = judged(ONE, TWO, backends=out)
    assert found.verdict is Verdict.FAIL
    assert "in rotation, declared maint; take it out again, or correct the inventory" in found.reason


def test_slow_start_under_way_is_no_wrong_weight():
    found = judged(ONE, replace(TWO, weight=0.2, ramping=True))
    assert found.verdict is Verdict.PASS, found.reason
    assert any("weights were not compared" in note for note in found.notes)


def test_a_sick_backend_that_is_kept_in_rotation():
    found = judged(ONE, TWO, health=(Health("web2", good=False, said="HTTP 503"),))
    assert found.verdict is Verdict.FAIL
    assert "web2: its own health page answers HTTP 503, and lb1 keeps it in rotation" in found.reason


def test_a_health_page_that_cannot_be_asked():
    found = judged(ONE, TWO, health=(Health("web2", good=None, said="no route"),))
    assert (found.verdict, found.reason) == (
        Verdict.INCONCLUSIVE,
        "web: web2: its own health page cannot be asked from here: no route",
    )


def test_notes():
    odd = replace(TWO, check=Check(Kind.HTTP, "/ping", accepts_errors=(503,)), cuts=True)
    found = judged(ONE, odd, health=(Health("web2", good=True, said="HTTP 200", like_missing=True),))
    assert found.verdict is Verdict.PASS
    text = "\n".join(found.notes)
    for words in (
        "takes 503 for healthy",
        "asks /ping",
        "are cut",
        "same answer as a page that does not exist",
    ):
        assert words in text
