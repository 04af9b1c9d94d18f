"""Alerts of a small platform, in its list and on its page in a real browser, and how they are judged."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import chromium
import pytest
from served_site import Answer, Site, site

from pytest_deploygate.checks.platform_alerts import judge, probe
from pytest_deploygate.checks.platform_alerts.facts import Alert, Episode, OnPage
from pytest_deploygate.checks.platform_alerts.section import PlatformAlerts
from pytest_deploygate.clients.browser.running import Browser
from pytest_deploygate.clients.budget import unrecorded
from pytest_deploygate.fields.browser import Browser as Settings
from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.judging.sent_reading import Sent
from pytest_deploygate.model import CannotTell, Judgement, Verdict

PAGE = """<!doctype html><h1>Alerts</h1><ul id=list></ul><script>
  setInterval(async () => { const found = await (await fetch('/list')).json();
    document.getElementById('list').innerHTML = found.items.filter(a => !a.hidden).map(
      a => `<li data-alert="${a.id}">${a.device} ${a.state}</li>`).join(''); }, 50);
</script>"""


class _Plant:
    """Alerts of a device whose limit is 100; `fault` is what is wrong with them."""

    def __init__(self) -> None:
        self.lock, self.alerts, self.fault = threading.Lock(), [], ""
        self.values: list[float] = []

    def begin(self, fault: str) -> None:
        self.alerts, self.fault, self.values = [self.alert("old", "press-9", "cleared")], fault, []

    def alert(self, name: str, device: str, state: str = "firing") -> dict[str, Any]:
        return {"id": name, "device": device, "state": state, "hidden": self.fault == "hidden"}

    def take(self, handler: BaseHTTPRequestHandler) -> Answer:
        value = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))["value"]
        with self.lock:
            self.values.append(value)
            if self.fault == "refused":
                return Answer("", 403)
            if value > 100 and self.fault != "none":
                self._raise(len(self.values))
            elif value <= 100 and self.fault != "stays":
                for alert in self.alerts:
                    alert["state"] = "cleared"
        return Answer("", 202)

    def _raise(self, number: int) -> None:
        if self.fault == "each" or not any(alert["state"] == "firing" for alert in self.alerts):
            self.alerts.append(self.alert(f"a{number}", "press-1"))
            if self.fault == "storm":
                self.alerts += [self.alert(f"b{number}-{n}", f"press-{n}") for n in range(2, 7)]

    def list(self, _handler: BaseHTTPRequestHandler) -> Answer:
        with self.lock:
            if self.fault == "list":
                return Answer("no", 502)
            return Answer(json.dumps({"items": self.alerts}), kind="application/json")


@pytest.fixture(scope="module")
def plant() -> _Plant:
    return _Plant()


@pytest.fixture(scope="module")
def served(plant: _Plant) -> Iterator[Site]:
    with site({"/alerts": PAGE, "/readings": plant.take, "/list": plant.list}) as found:
        yield found


@pytest.fixture(scope="module")
def browser(served: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    chromium.needed()
    found = Browser(Settings(url=served.url), Path(tmp_path_factory.mktemp("out")))
    yield found
    found.close()


def _section(url: str, **more: Any) -> PlatformAlerts:
    given = {
        "device": "press-1",
        "send": {"url": f"{url}/readings", "json": {"value": "{value}"}},
        "normal": 40,
        "over": 130,
        "alerts": {"url": f"{url}/list", "items": "items"},
        "page": {"url": f"{url}/alerts", "element": "[data-alert='{id}']"},
        "within": "1s",
        "clears_within": "1s",
        "timeout": "1500ms",
        "look_on": "500ms",
        "opt_in": "test",
    }
    return PlatformAlerts.model_validate(given | more)


def _cause(section: PlatformAlerts) -> Judgement:
    found = probe.raised(section, "test", unrecorded("phase3.alerts"), allowed=False)
    return judge.judge(found, section)


@pytest.mark.parametrize(
    ("fault", "verdict", "said"),
    [
        ("", Verdict.PASS, "3 readings of 130 raised one alert of press-1 (a1)"),
        ("none", Verdict.FAIL, "no alert within 1.5 s after 3 readings of 130 were taken"),
        ("each", Verdict.FAIL, "3 alerts (a1, a2, a3) for 3 readings of 130, one was expected"),
        (
            "storm",
            Verdict.FAIL,
            "5 alerts of other devices came with it (press-2, press-3, press-4 and 2 more)",
        ),
        ("stays", Verdict.FAIL, "alert a1 still fires 1.5 s after a reading of 40"),
        ("refused", Verdict.INCONCLUSIVE, "was answered 403, so nothing was caused"),
    ],
)
def test_alerts_in_the_list(fault: str, verdict: Verdict, said: str, served: Site, plant: _Plant) -> None:
    plant.begin(fault)
    judged = _cause(_section(served.url))
    assert (judged.verdict, said in judged.reason) == (verdict, True), judged.reason
    assert plant.values[-1] == 40, "the last reading is a normal one, whatever happened"


def test_list_that_cannot_be_read_cannot_tell(served: Site, plant: _Plant) -> None:
    plant.begin("list")
    with pytest.raises(CannotTell, match=r"the list of alerts, .* answered 502"):
        _cause(_section(served.url))
    plant.begin("")
    with pytest.raises(CannotTell, match=r"is not as declared .* check `items`, `id`, `device` and `state`"):
        _cause(
            _section(served.url, alerts={"url": f"{served.url}/list", "items": "items", "state": "status"})
        )


def test_alert_of_an_earlier_run_is_cleared_first(served: Site, plant: _Plant) -> None:
    plant.begin("")
    plant.alerts.append(plant.alert("left", "press-1"))
    assert _cause(_section(served.url)).verdict is Verdict.PASS
    plant.begin("stays")
    plant.alerts.append(plant.alert("left", "press-1"))
    judged = _cause(_section(served.url))
    assert judged.verdict is Verdict.FAIL
    assert "alert left fired before, and did not clear within 1.5 s after a reading of 40" in judged.reason


@pytest.mark.parametrize(
    ("fault", "verdict", "said"),
    [
        ("", Verdict.PASS, "the page showed it after"),
        (
            "hidden",
            Verdict.FAIL,
            "does not show that alert a1 of press-1 fires, 3 s after it was caused; it has no element",
        ),
    ],
)
def test_alerts_on_the_page(
    fault: str, verdict: Verdict, said: str, served: Site, browser: Browser, plant: _Plant
) -> None:
    plant.begin(fault)
    section = _section(served.url, within="2s", timeout="3s")
    assert section.page is not None
    found = probe.shown(section, section.page, browser, "test", unrecorded("crit.alerts"), allowed=False)
    judged = judge.judge(found, section)
    assert (judged.verdict, said in judged.reason) == (verdict, True), judged.reason
    assert len(judged.figures) == 1


def test_nothing_is_sent_without_leave(served: Site, plant: _Plant) -> None:
    plant.begin("")
    with pytest.raises(CannotTell, match=r"no alert was caused: set `platform_alerts.opt_in: prod`"):
        probe.raised(_section(served.url), "prod", unrecorded("phase3.alerts"), allowed=False)
    assert plant.values == []


TAKEN = Sent("r", 130, 0.0, 202, taken=True)
GOOD = Episode(
    "press-1",
    over=(TAKEN,),
    raised=(Alert("a1", "press-1", firing=True),),
    raised_after_s=0.2,
    normal=TAKEN,
    cleared_after_s=0.2,
    page=OnPage(200, 0.3, 0.3),
)


@pytest.mark.parametrize(
    ("more", "verdict", "said"),
    [
        ({}, Verdict.PASS, "no other alert came"),
        ({"raised_after_s": 2.0}, Verdict.FAIL, "alert raised after 2 s, at most 1 s is allowed"),
        ({"raised_after_s": 2.0, "lag": OwnLag(2.0, 1.5)}, Verdict.INCONCLUSIVE, "may be our own delay"),
        ({"cleared_after_s": 1.2}, Verdict.FAIL, "alert cleared after 1.2 s"),
        ({"page": OnPage(200, 1.4, 0.3)}, Verdict.FAIL, "alert shown after 1.4 s"),
        ({"page": OnPage(200, 0.3, None)}, Verdict.FAIL, "still shows alert a1 as firing, which has cleared"),
        ({"page": OnPage(200, None, None, shown="press-1 new")}, Verdict.FAIL, "it has 'press-1 new' there"),
        ({"page": OnPage(403)}, Verdict.INCONCLUSIVE, "`page.form` must name a user who may see alerts"),
        ({"page": OnPage(500)}, Verdict.FAIL, "answered 500"),
        ({"page": OnPage(None)}, Verdict.FAIL, "cannot be opened"),
        (
            {"raised": (), "problem": "answered 502", "page": None},
            Verdict.INCONCLUSIVE,
            "answered 502, so whether one",
        ),
        (
            {"cleared_after_s": None, "problem": "answered 502", "page": None},
            Verdict.INCONCLUSIVE,
            "a1 cleared is unknown",
        ),
        ({"over": (replace(TAKEN, status=500, taken=False),)}, Verdict.FAIL, "was answered 500"),
        (
            {"over": (replace(TAKEN, status=None, taken=False, problem="refused"),)},
            Verdict.INCONCLUSIVE,
            "could not be sent",
        ),
    ],
)
def test_episodes(more: dict[str, Any], verdict: Verdict, said: str) -> None:
    judged = judge.judge(replace(GOOD, **more), _section("https://app.example.com"))
    assert (judged.verdict, said in judged.reason) == (verdict, True), judged.reason


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"over": 40}, "`over` and `normal` are the same value"),
        ({"timeout": "1s"}, "`timeout` must be longer than `within` and `clears_within`"),
        ({"page": {"url": "https://app.example.com", "element": "li"}}, "`element` must name one alert"),
    ],
)
def test_sections_that_say_too_little(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        _section("https://app.example.com", **wrong)
