"""Probe and judge together, against a small platform that loses, doubles, swaps and delays events."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from event_platform import EventPlatform, served

from pytest_deploygate.checks.pipeline import judge, probe
from pytest_deploygate.checks.pipeline.facts import Measured
from pytest_deploygate.checks.pipeline.probe.entrances.http import Http
from pytest_deploygate.checks.pipeline.section import Pipeline
from pytest_deploygate.clients import budget
from pytest_deploygate.clients.budget import AGENT
from pytest_deploygate.model import CannotTell, Judgement, Verdict

EVENTS = 310


@pytest.fixture
def platform() -> Iterator[EventPlatform]:
    with served() as running:
        yield running


def section(platform: EventPlatform, **more: Any) -> Pipeline:
    told: dict[str, Any] = {
        "opt_in": "ours",
        "devices": ["synthetic-1", "synthetic-2"],
        "events": EVENTS,
        "per_second": 300,
        "entrances": [{"name": "http", "http": {"url": f"{platform.url}/readings"}}],
        "exits": [
            {"name": "live", "websocket": {"url": f"{platform.socket}/socket"}},
            {
                "name": "store",
                "api": {"url": f"{platform.url}/readings", "every": "100ms", "order": "oldest first"},
            },
        ],
        "limits": {"p50": "2s", "p99": "4s"},
        "within": "6s",
        "look_on": "300ms",
    }
    return Pipeline.model_validate(told | more)


def tried(section: Pipeline) -> tuple[Measured, Judgement]:
    found = probe.measured(section, "ours", None, budget.unrecorded("phase3.pipeline"), allowed=False)
    return found, judge.judge(found, section)


def test_all_events_come_out_once_and_in_order(platform: EventPlatform) -> None:
    found, judged = tried(section(platform))
    assert judged.verdict is Verdict.PASS, judged.reason
    assert f"all {EVENTS} events" in judged.reason
    assert len(found.outs[0].order) == len(found.outs[1].order) == EVENTS
    assert {each.name for each in judged.readings} >= {"p99, live", "p99, store", "events lost, live", "rate"}
    assert all(agent.startswith(AGENT) for agent in platform.agents)


def test_event_that_is_lost_at_every_exit_is_the_entrances(platform: EventPlatform) -> None:
    platform.lost = {41}
    found, judged = tried(section(platform, within="1s"))
    assert judged.verdict is Verdict.FAIL
    assert judged.confirmed
    assert (
        f"1 of {EVENTS} events that http accepted were never stored (store) and came out nowhere"
        in judged.reason
    )
    assert found.sent.id_of(41) in judged.reason
    assert "look at what http does after it accepted them" in judged.reason


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("unshown", "were stored (store) and never came out at live"),
        ("unstored", "came out at live and never at store"),
    ],
)
def test_who_lost_an_event_is_told_apart(platform: EventPlatform, where: str, said: str) -> None:
    setattr(platform, where, {41, 43})
    _, judged = tried(section(platform, within="1s"))
    assert judged.verdict is Verdict.FAIL
    assert said in judged.reason
    assert f"2 of {EVENTS} events" in judged.reason


def test_doubled_event(platform: EventPlatform) -> None:
    platform.doubled = {41}
    _, judged = tried(section(platform))
    assert judged.verdict is Verdict.FAIL
    assert f"1 of {EVENTS} events came out more than once at live, store, twice" in judged.reason


def test_overtaken_event(platform: EventPlatform) -> None:
    platform.late = {41: 0.5}
    found, judged = tried(section(platform))
    assert judged.verdict is Verdict.FAIL
    assert f"live, store: 1 of {EVENTS} events came out after a later one" in judged.reason
    assert f"before {found.sent.id_of(41)}" in judged.reason


def test_slow_events(platform: EventPlatform) -> None:
    platform.delay_s = 1.0
    _, judged = tried(section(platform, limits={"p50": "500ms", "p99": "900ms"}))
    assert "p50 of the delay is" in judged.reason
    assert "p99 of the delay" in judged.reason
    # On a busy machine our own side is late, which is no fault of the platform.
    ours = "our own side was late" in judged.reason or "were sent in the time" in judged.reason
    assert judged.verdict is Verdict.FAIL or ours


def test_event_after_the_bound_is_late_not_lost(platform: EventPlatform) -> None:
    platform.late = {41: 1.6, 60: 2.4}
    _, judged = tried(section(platform, within="1500ms", look_on="2s"))
    assert judged.verdict is not Verdict.PASS
    assert "came out after more than 1.5 s" in judged.reason
    assert "never" not in judged.reason


@pytest.mark.long
def test_refused_events_fail_with_the_answer(platform: EventPlatform) -> None:
    platform.refused = {5, 6}
    _, judged = tried(section(platform))
    assert judged.verdict is Verdict.FAIL
    assert f"http: 2 of {EVENTS} events were not accepted: answered with 503: overloaded" in judged.reason
    assert "never" not in judged.reason


def test_events_without_an_answer_that_came_out_nowhere_are_unknown(platform: EventPlatform) -> None:
    platform.silent = {5}
    entrance = {"name": "http", "http": {"url": f"{platform.url}/readings", "timeout": "500ms"}}
    _, judged = tried(section(platform, within="2s", entrances=[entrance]))
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "1 event got no answer (no answer in time) and came out nowhere" in judged.reason


def test_credentials_that_are_refused_are_unknown(platform: EventPlatform) -> None:
    platform.status = 401
    _, judged = tried(section(platform, within="1s"))
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "answered with 401; check address, credentials and message" in judged.reason


def test_entrance_that_is_broken_fails(platform: EventPlatform) -> None:
    platform.status = 500
    _, judged = tried(section(platform, within="1s"))
    assert judged.verdict is Verdict.FAIL
    assert "was accepted: answered with 500" in judged.reason


def test_exit_that_shows_nothing_fails_and_the_others_are_judged(platform: EventPlatform) -> None:
    platform.quiet = True
    found, judged = tried(section(platform, within="1s"))
    assert judged.verdict is Verdict.FAIL
    assert "live: none of" in judged.reason
    assert "and came out at store; look at what passes events on to live" in judged.reason
    assert len(found.outs[1].order) == EVENTS


def test_connection_that_the_platform_closes_is_no_lost_event(platform: EventPlatform) -> None:
    platform.cuts_at = 41
    _, judged = tried(section(platform, within="2s"))
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert (
        "but the connection to live ended meanwhile (the platform closed the connection with code 1011)"
        in judged.reason
    )


def test_server_sent_events_and_a_websocket_in(platform: EventPlatform) -> None:
    pipeline = section(
        platform,
        entrances=[
            {"name": "socket", "websocket": {"url": f"{platform.socket}/ingest", "acknowledges": True}}
        ],
        exits=[{"name": "stream", "sse": {"url": f"{platform.url}/events"}, "id": "id"}],
    )
    found, judged = tried(pipeline)
    assert judged.verdict is Verdict.PASS, judged.reason
    assert all(at is not None for at in found.sent.accepted_s)
    platform.lost = {7}
    _, judged = tried(pipeline.model_copy(update={"within": pipeline.look_on * 3}))
    assert "whether they were stored is not known" in judged.reason


@pytest.mark.long
def test_synthetic_devices_that_users_see(platform: EventPlatform) -> None:
    page = {"name": "plant", "url": f"{platform.url}/page"}
    left_out = {"pages": [page], "numbers": [{**page, "number": r"([\d,]+) readings today"}]}
    clean = [{"http": {"url": f"{platform.url}/readings?device={{device}}"}}]
    _, judged = tried(section(platform, left_out=left_out, clean_up=clean))
    assert judged.verdict is Verdict.FAIL
    assert "plant rose by" in judged.reason
    assert "leave synthetic devices out of it" in judged.reason
    assert "shows the device" not in judged.reason
    assert platform.cleaned == 4
    assert not platform.stored
    platform.shows_devices = True
    _, judged = tried(section(platform, left_out={"pages": [page]}, clean_up=clean))
    assert "plant shows the device synthetic-1" in judged.reason


def test_clean_up_that_does_not_clean(platform: EventPlatform) -> None:
    clean = [{"http": {"url": f"{platform.url}/readings?device=another"}}]
    _, judged = tried(section(platform, clean_up=clean))
    assert judged.verdict is Verdict.FAIL
    assert "synthetic events are still in store after the clean-up" in judged.reason


def test_nothing_is_sent_without_leave(platform: EventPlatform) -> None:
    with pytest.raises(
        CannotTell, match=r"no event was sent: the inventory has no opt-in; set `opt_in: ours`"
    ):
        tried(section(platform, opt_in=""))
    assert not platform.stored


def test_entrance_that_cannot_be_reached_is_unknown(platform: EventPlatform) -> None:
    entrance = {"name": "socket", "websocket": {"url": "ws://127.0.0.1:1/ingest"}}
    with pytest.raises(CannotTell, match=r"socket .*connection refused"):
        tried(section(platform, entrances=[entrance]))


def test_own_client_that_cannot_keep_the_rate_is_unknown(
    platform: EventPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow_send(self: Http, number: int, device: str, message: bytes) -> None:
        time.sleep(0.002)  # nobody knows how quick the machine of the test is
        quick_send(self, number, device, message)

    quick_send = Http.send
    monkeypatch.setattr(Http, "send", slow_send)
    _, judged = tried(section(platform, events=500, per_second=2500))
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert "of the events were sent in the time for them" in judged.reason or "late" in judged.reason
