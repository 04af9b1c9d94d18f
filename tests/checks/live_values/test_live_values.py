"""Live values of a small page in a real browser, and how they are judged."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import chromium
import pytest
from served_site import Answer, Site, site

from pytest_deploygate.checks.live_values import judge, probe
from pytest_deploygate.checks.live_values.facts import Change, Watched
from pytest_deploygate.checks.live_values.section import LiveValue
from pytest_deploygate.clients.browser.running import Browser
from pytest_deploygate.clients.budget import unrecorded
from pytest_deploygate.fields.browser import Browser as Settings
from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.judging.sent_reading import Sent
from pytest_deploygate.model import CannotTell, Judgement, Verdict

PAGE = """<!doctype html><h1>Plant</h1><p id=live>No data</p><script>
  setInterval(async () => document.getElementById('live').textContent = await (await fetch('/now')).text(), 50);
</script>"""


class _Plant:
    """What the page shows: the last reading, or what a test says instead."""

    def __init__(self) -> None:
        self.value, self.status, self.delay_s, self.frozen = "12.5 bar", 202, 0.0, False
        self.headers: list[Any] = []

    def take(self, handler: BaseHTTPRequestHandler) -> Answer:
        sent = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        self.headers.append(handler.headers)
        assert sent["id"].startswith("deploygate-")
        if self.status == 202 and not self.frozen:
            threading.Timer(self.delay_s, self._show, (sent["value"],)).start()
        return Answer("", self.status)

    def _show(self, value: float) -> None:
        self.value = f"{value} bar"

    def now(self, _handler: BaseHTTPRequestHandler) -> Answer:
        return Answer(self.value, kind="text/plain")


@pytest.fixture(scope="module")
def plant() -> _Plant:
    return _Plant()


@pytest.fixture(scope="module")
def served(plant: _Plant) -> Iterator[Site]:
    pages = {"/plant": PAGE, "/readings": plant.take, "/now": plant.now, "/empty": "<h1>Plant</h1>"}
    with site(pages | {"/down": Answer("no", 503), "/secret": Answer("no", 403)}) as found:
        yield found


@pytest.fixture(scope="module")
def browser(served: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    chromium.needed()
    found = Browser(Settings(url=served.url), Path(tmp_path_factory.mktemp("out")))
    yield found
    found.close()


@pytest.fixture(autouse=True)
def _as_usual(plant: _Plant) -> None:
    plant.status, plant.delay_s, plant.frozen = 202, 0.0, False


def _live(served: Site, page: str = "/plant", **more: Any) -> LiveValue:
    send = {"url": f"{served.url}/readings", "json": {"id": "{id}", "at": "{sent_at}", "value": "{value}"}}
    given = {"name": "pressure", "page": f"{served.url}{page}", "element": "#live", "send": send}
    return LiveValue.model_validate(
        given | {"changes": 3, "within": "2s", "timeout": "3s", "opt_in": "test"} | more
    )


def _look(live: LiveValue, browser: Browser) -> Judgement:
    found = probe.watched(live, browser, None, "test", unrecorded("crit.realtime"), allowed=False)
    return judge.judge(found, live)


def test_values_that_are_shown_in_time(served: Site, browser: Browser, plant: _Plant) -> None:
    judged = _look(_live(served), browser)
    assert judged.verdict is Verdict.PASS, judged.reason
    assert "each of 3 values that were sent was shown within" in judged.reason
    assert len(judged.figures) == 1
    assert "deploygate/" in plant.headers[-1]["User-Agent"]
    assert plant.headers[-1]["Deploygate-Probe"] == "crit.realtime"


def test_value_that_is_frozen(served: Site, browser: Browser, plant: _Plant) -> None:
    plant.frozen = True
    shown = plant.value
    judged = _look(_live(served), browser)
    assert judged.verdict is Verdict.FAIL
    assert f"shows {shown} and did not change within" in judged.reason
    assert "were sent and taken" in judged.reason


@pytest.mark.alone
def test_values_that_are_late(served: Site, browser: Browser, plant: _Plant) -> None:
    plant.delay_s = 1.2  # more than the own lag of a busy machine, and less than a quarter of the timeout
    judged = _look(_live(served, within="200ms", timeout="12s"), browser)
    assert judged.verdict is Verdict.FAIL, judged.reason
    assert "after it was sent, at most 0.2 s is allowed; 3 of 3 values were late" in judged.reason


@pytest.mark.parametrize(
    ("status", "verdict", "said"),
    [
        (503, Verdict.FAIL, "was answered 503"),
        (422, Verdict.INCONCLUSIVE, "check device, body and login of `send`"),
    ],
)
def test_readings_that_are_not_taken(
    status: int, verdict: Verdict, said: str, served: Site, browser: Browser, plant: _Plant
) -> None:
    plant.status = status
    judged = _look(_live(served), browser)
    assert (judged.verdict, said in judged.reason) == (verdict, True), judged.reason


@pytest.mark.parametrize(
    ("page", "verdict", "said"),
    [
        ("/empty", Verdict.INCONCLUSIVE, "the page has no such element"),
        ("/down", Verdict.FAIL, "the page answered 503"),
        ("/secret", Verdict.INCONCLUSIVE, "`form` must name a user who may see it"),
    ],
)
def test_pages_without_the_element(
    page: str, verdict: Verdict, said: str, served: Site, browser: Browser
) -> None:
    judged = _look(_live(served, page), browser)
    assert (judged.verdict, said in judged.reason) == (verdict, True), judged.reason


def test_nothing_is_sent_without_leave(served: Site, browser: Browser) -> None:
    asked = len(served.asked)
    with pytest.raises(CannotTell, match=r"no reading was sent to see pressure change: set `opt_in: prod`"):
        probe.watched(_live(served), browser, None, "prod", unrecorded("crit.realtime"), allowed=False)
    assert len(served.asked) == asked


def _change(shown_after_s: float | None, **more: Any) -> Change:
    return replace(Change(Sent("deploygate-1", 24.8, 0.0, 202, taken=True), shown_after_s, 3.0), **more)


@pytest.mark.parametrize(
    ("changes", "verdict", "said"),
    [
        ([_change(9.0, first=True), _change(0.4)], Verdict.PASS, "within 0.4 s"),
        (
            [_change(0.3), _change(None, instead="21.3 bar")],
            Verdict.FAIL,
            "shows 21.3 bar and not 24.8, which was sent 3 s",
        ),
        (
            [_change(0.3), _change(None, stored=True)],
            Verdict.FAIL,
            "it is in the database, so it was lost on the way",
        ),
        (
            [_change(0.3), _change(None, stored=False)],
            Verdict.FAIL,
            "it is not in the database, so it was lost before",
        ),
        ([_change(3.5)], Verdict.FAIL, "24.8 was shown 3.5 s after it was sent"),
        ([_change(3.5, lag=OwnLag(3.5, 1.0))], Verdict.INCONCLUSIVE, "may be our own delay"),
        ([_change(3.5, lag=OwnLag(3.5, 1.0)), _change(3.9)], Verdict.FAIL, "2 of 2 values were late"),
    ],
)
def test_changes(changes: list[Change], verdict: Verdict, said: str) -> None:
    send = {"url": "https://app.example.com/readings", "json": {"value": "{value}"}}
    live = LiveValue.model_validate(
        {"name": "p", "page": "https://app.example.com", "element": "#p", "send": send}
    )
    judged = judge.judge(
        Watched("p", "https://app.example.com", 200, before="1", changes=tuple(changes)), live
    )
    assert (judged.verdict, said in judged.reason) == (verdict, True), judged.reason


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"low": 10, "high": 11}, "are too few values with 1 decimals"),
        ({"timeout": "2s"}, "`timeout` must be longer than `within`"),
        ({"send": {"url": "https://app.example.com", "json": {"value": 3}}}, "say where the value stands"),
    ],
)
def test_sections_that_say_too_little(wrong: dict[str, Any], said: str) -> None:
    send = {"url": "https://app.example.com/readings", "json": {"value": "{value}"}}
    given = {"name": "p", "page": "https://app.example.com", "element": "#p", "send": send}
    with pytest.raises(ValueError, match=said):
        LiveValue.model_validate(given | wrong)


def test_values_have_no_zero_at_the_end_and_are_never_the_same() -> None:
    began = time.monotonic()
    live = _live(Site("http://127.0.0.1:9", {}, []), low=10, high=13.2)
    made = probe._values(live)
    values = [next(made) for _ in range(25)]
    assert len(set(values)) == 25
    assert all(10 <= value <= 13.2 and not float(value).is_integer() for value in values)
    assert time.monotonic() - began < 1
