"""The judge on measurements made by hand: bounds of delays, own lag, who lost what, order, and what users see."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_deploygate.checks.pipeline import judge
from pytest_deploygate.checks.pipeline.facts import (
    Client,
    Doubled,
    Measured,
    Number,
    Out,
    Sent,
    Shown,
    Trial,
    Unaccepted,
)
from pytest_deploygate.checks.pipeline.section import Pipeline
from pytest_deploygate.model import Verdict

EVENTS = 400
PREFIX = "11111111-2222-4333-8444-"


def section(**more: Any) -> Pipeline:
    told: dict[str, Any] = {
        "devices": ["synthetic-1", "synthetic-2"],
        "events": EVENTS,
        "per_second": 80,
        "entrances": [{"name": "in", "http": {"url": "https://app.example.com/readings"}}],
        "exits": [
            {"name": "live", "websocket": {"url": "wss://app.example.com/ws"}},
            {"name": "store", "api": {"url": "https://app.example.com/readings", "order": "oldest first"}},
        ],
        "limits": {"p50": "100ms", "p99": "500ms"},
    }
    return Pipeline.model_validate(told | more)


BROKER = [{"name": "in", "mqtt": {"host": "mqtt.example.com", "topic": "readings/{device}"}}]


def out(name: str, took_s: float = 0.01, step_s: float = 0.0, *, missing: set[int] | None = None) -> Out:
    came = [None if n in (missing or ()) else n / 80 + took_s for n in range(EVENTS)]
    return Out(
        name,
        tuple(None if at is None else at - step_s for at in came),
        tuple(came),
        tuple(n for n, at in enumerate(came) if at is not None),
        ready=("in",),
    )


def measured(**more: Any) -> Measured:
    due = tuple(n / 80 for n in range(EVENTS))
    sent = Sent(
        "2026-01-31T08:00:00+00:00",
        PREFIX,
        ("synthetic-1", "synthetic-2"),
        ("in", "in"),
        due,
        due,
        tuple(at + 0.004 for at in due),
        trials=(Trial("in", 1, 1),),
    )
    client = Client(1.0, 80.0, 0.0005, 0.002, 0.0005, 0.002, 0.004)
    return replace(Measured(sent, (out("live"), out("store", 0.05, 0.05)), client, 3.0), **more)


def sent(found: Measured, **more: Any) -> Measured:
    return replace(found, sent=replace(found.sent, **more))


def test_all_is_well() -> None:
    judged = judge.judge(measured(), section())
    assert judged.verdict is Verdict.PASS
    assert len(judged.figures) == 2


def test_lost_by_what_reads_from_the_broker() -> None:
    found = measured(outs=(out("live", missing={7}), out("store", missing={7})))
    judged = judge.judge(found, section(entrances=BROKER))
    assert judged.verdict is Verdict.FAIL
    assert judged.reason.startswith(
        "1 of 400 events that the broker of in accepted were never stored (store) and came out nowhere within 10 s: "
        f"{PREFIX}000000000007 of synthetic-2, sent 08:00:00.087Z; look at what reads from the broker of in"
    )


def test_nobody_has_subscribed() -> None:
    found = sent(measured(outs=(out("live", missing={7}), out("store", missing={7}))), unheard=(7,))
    judged = judge.judge(found, section(entrances=BROKER))
    assert "nobody has subscribed to their topic" in judged.reason
    assert "start the platform's consumer" in judged.reason


def test_delay_between_two_reads_is_no_failure_and_no_pass() -> None:
    found = measured(outs=(out("live"), out("store", 0.15, 0.12)))
    judged = judge.judge(found, section())
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "store: p50 of the delay cannot be told from the limit 0.1 s" in judged.reason
    assert "lower `every`" in judged.reason


def test_delay_fails_at_both_exits_in_one_sentence() -> None:
    judged = judge.judge(measured(outs=(out("live", 0.7), out("store", 0.7))), section())
    assert judged.verdict is Verdict.FAIL
    assert "p99 of the delay is 0.698 s at live (0.5 s are allowed), 0.698 s at store" in judged.reason


@pytest.mark.parametrize(("receive_s", "verdict"), [(0.01, Verdict.FAIL), (0.3, Verdict.INCONCLUSIVE)])
def test_own_delay_is_taken_off_a_failure(receive_s: float, verdict: Verdict) -> None:
    found = measured(outs=(out("live", 0.6), out("store")))
    assert found.client is not None
    found = replace(found, client=replace(found.client, receive_lag_p99_s=receive_s))
    judged = judge.judge(found, section(limits={"p50": "450ms", "p99": "500ms"}))
    assert judged.verdict is verdict
    assert ("our own side was late by 0.3 s" in judged.reason) is (verdict is Verdict.INCONCLUSIVE)


def test_own_delay_when_sending_is_taken_off_a_failure() -> None:
    found = measured(outs=(out("live", 0.6), out("store")))
    found = sent(found, sent_s=tuple(at + 0.3 for at in found.sent.due_s))
    judged = judge.judge(found, section(limits={"p50": "450ms", "p99": "500ms"}))
    assert judged.verdict is Verdict.INCONCLUSIVE


def test_own_delay_does_not_spoil_a_pass() -> None:
    found = measured()
    assert found.client is not None
    late = replace(found.client, send_lag_p99_s=0.4, lag_max_s=0.4)
    assert judge.judge(replace(found, client=late), section()).verdict is Verdict.PASS


def test_rate_that_was_not_kept_is_unknown() -> None:
    found = measured()
    assert found.client is not None
    judged = judge.judge(replace(found, client=replace(found.client, kept=0.97)), section())
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "only 97.0% of the events were sent in the time for them" in judged.reason
    slow = measured(outs=(out("live", 0.7), out("store")))
    judged = judge.judge(replace(slow, client=replace(found.client, kept=0.97)), section())
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "live: p99 of the delay is 0.7 s, 0.5 s are allowed, but our own side was late" in judged.reason


def test_too_few_events_for_p99() -> None:
    few = {n for n in range(EVENTS) if n >= 250}
    found = sent(measured(outs=(out("live", missing=few), out("store", missing=few))))
    short = Sent(
        **{
            **vars(found.sent),
            "due_s": found.sent.due_s[:250],
            "sent_s": found.sent.sent_s[:250],
            "accepted_s": found.sent.accepted_s[:250],
        }
    )
    outs = tuple(replace(o, not_before_s=o.not_before_s[:250], by_s=o.by_s[:250]) for o in found.outs)
    judged = judge.judge(replace(found, sent=short, outs=outs), section())
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "needs 299 events even if none is slow, 250 came" in judged.reason


@pytest.mark.parametrize(("accepted_s", "fails"), [(0.004, True), (0.030, False)])
def test_requests_must_stay_in_order_only_after_an_answer(accepted_s: float, fails: bool) -> None:
    # Events 10 and 12 are of one device, sent 25 ms apart.
    swapped = [*range(10), 12, 11, 10, *range(13, EVENTS)]
    found = measured(outs=(replace(out("live"), order=tuple(swapped)), out("store")))
    found = sent(found, accepted_s=tuple(at + accepted_s for at in found.sent.due_s))
    judged = judge.judge(found, section())
    assert (judged.verdict is Verdict.FAIL) is fails
    if fails:
        assert (
            f"event {PREFIX}00000000000c came before {PREFIX}00000000000a, which was sent 0.025 s earlier"
            in judged.reason
        )
    # On one connection there is only one order.
    assert judge.judge(found, section(entrances=BROKER)).verdict is Verdict.FAIL


def test_order_among_devices_means_nothing() -> None:
    swapped = [*range(10), 11, 10, *range(12, EVENTS)]
    found = measured(outs=(replace(out("live"), order=tuple(swapped)), out("store")))
    assert judge.judge(found, section(entrances=BROKER)).verdict is Verdict.PASS


def test_doubled_at_one_exit() -> None:
    found = measured(outs=(replace(out("live"), doubled=(Doubled(3, 3),)), out("store")))
    judged = judge.judge(found, section())
    assert "1 of 400 events came out more than once at live, up to 3 times" in judged.reason


def test_refused_by_the_broker() -> None:
    refused = (Unaccepted(4, "refused by the broker: Not authorized", answered=True),)
    found = sent(measured(outs=(out("live", missing={4}), out("store", missing={4}))), refused=refused)
    judged = judge.judge(found, section(entrances=BROKER))
    assert judged.verdict is Verdict.FAIL
    assert "in: 1 of 400 events were not accepted: refused by the broker: Not authorized" in judged.reason


def test_exit_that_could_not_be_read_is_unknown_and_the_other_is_judged() -> None:
    found = measured(
        outs=(out("live", missing={4}), Out("store", (None,) * EVENTS, (None,) * EVENTS, problem="no answer"))
    )
    judged = judge.judge(found, section())
    assert judged.verdict is Verdict.FAIL
    assert "came out nowhere (live)" in judged.reason
    found = measured(outs=(out("live"), found.outs[1]))
    judged = judge.judge(found, section())
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "store: no answer" in judged.reason


@pytest.mark.parametrize(
    ("number", "verdict"),
    [
        (Number("total", 100, 120), Verdict.PASS),
        (Number("total", 100, 310, 312), Verdict.INCONCLUSIVE),
        (Number("total", 100, 510, 511), Verdict.FAIL),
        (Number("total", 100, 900, 1700), Verdict.PASS),
        (Number("total", 1000, 1510, 1810), Verdict.INCONCLUSIVE),
        (Number("total", problem="total answered with 500"), Verdict.INCONCLUSIVE),
    ],
)
def test_number_that_may_count_synthetic_events(number: Number, verdict: Verdict) -> None:
    assert judge.judge(measured(numbers=(number,)), section()).verdict is verdict


def test_devices_that_are_seen_and_places_that_cannot_be_read() -> None:
    seen = judge.judge(measured(shown=(Shown("aggregate", "1 row (synthetic-1 …)"),)), section())
    assert seen.verdict is Verdict.FAIL
    assert "aggregate shows 1 row" in seen.reason
    unread = judge.judge(measured(shown=(Shown("page", problem="page answered with 500"),)), section())
    assert unread.verdict is Verdict.INCONCLUSIVE
    left = judge.judge(measured(cleaning=("step 1 of `clean_up` failed: no",)), section())
    assert left.verdict is Verdict.INCONCLUSIVE
