"""Dashboards of a small site in a real browser, and how they are judged."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import chromium
import pytest
from served_site import Answer, Site, site

from pytest_deploygate.checks.dashboards import facts as f
from pytest_deploygate.checks.dashboards import judge, probe
from pytest_deploygate.checks.dashboards.probe import paintings, points
from pytest_deploygate.checks.dashboards.section import Dashboard, DataRequest
from pytest_deploygate.clients.browser.running import Browser
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.fields.browser import Browser as Settings
from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.model import Judgement, Verdict

DRAWS = """
  const canvas = document.getElementById('chart'), pen = canvas.getContext('2d');
  fetch(canvas.dataset.from).then(r => r.ok ? r.json() : {points: []}).then(({points}) => {
    if (canvas.dataset.blank === undefined) pen.strokeRect(20, 20, 200, 80);
    points.filter(([, v]) => v !== null).forEach(([t, v], n) => pen.lineTo(20 + n * 20, 90 - v)); pen.stroke();
  });"""


def _page(series: str = "/series", more: str = "", total: str = "1,234 readings today") -> str:
    return (
        f"<!doctype html><h1>Plant</h1><p id=total>{total}</p>{more}"
        f"<canvas id=chart data-from={series}></canvas><script>{DRAWS}</script>"
    )


def _series(seconds_ago: float, *, empty: bool = False, number: int = 10) -> Any:
    def answer(_handler: BaseHTTPRequestHandler) -> Answer:
        now = time.time() - seconds_ago
        return Answer(
            json.dumps({"points": [[now - n, None if empty else 20 + n * 5] for n in range(number)]}),
            kind="application/json",
        )

    return answer


def _late(_handler: BaseHTTPRequestHandler) -> Answer:
    time.sleep(0.7)
    return Answer(_page())


def _once(pages: list[Answer]) -> Any:
    return lambda _handler: pages.pop(0) if len(pages) > 1 else pages[0]


@pytest.fixture(scope="module")
def served() -> Iterator[Site]:
    pages = {
        "/plant": _page(),
        "/series": _series(2),
        "/old": _page("/series-old"),
        "/series-old": _series(26 * 3600),
        "/axes": _page("/series-null"),
        "/series-null": _series(2, empty=True),
        "/none": _page("/series-none", more="<p>No data</p>"),
        "/series-none": _series(2, number=0),
        "/failing": _page("/series-502"),
        "/series-502": Answer("no", 502),
        "/broken": "<!doctype html><h1>Plant</h1><p id=total>1</p><canvas id=chart></canvas><script>plant.draw()</script>",
        "/blank": _page().replace("<canvas", "<canvas data-blank").replace("points.filter", "[].filter"),
        "/wrong": _page(total="1,233 readings today"),
        "/hidden": _page().replace("<p id=total", "<p hidden id=total"),
        "/late": _late,
        "/down": Answer("no", 503),
        "/secret": Answer("no", 403),
        "/elsewhere": Answer("", 302, {"Location": "/login"}),
        "/login": "<!doctype html><h1>Log in</h1>",
        "/needs-token": lambda h: (
            Answer(_page()) if h.headers["Authorization"] == "Bearer t0ken" else Answer("", 401)
        ),
        "/grafana": GRAFANA,
        "/api/ds/query": _frames,
        "/api/ds/query-empty": Answer(json.dumps({"results": {"A": {"status": 200, "frames": []}}})),
    }
    with site(pages) as found:
        yield found


#: As Grafana answers to /api/ds/query (its HTTP API, "Query a data source"): frames of columns, times in milliseconds.
GRAFANA = """<!doctype html><h1>Hosts</h1><section data-testid=panel><canvas id=chart></canvas></section><script>
  fetch('/api/ds/query?ds_type=prometheus', {method: 'POST', body: '{}'}).then(r => r.json()).then(({results}) => {
    const pen = document.getElementById('chart').getContext('2d');
    results.A.frames[0].data.values[1].forEach((v, n) => pen.fillRect(n * 10, 80 - v, 5, v));
  });</script>"""


def _frames(_handler: BaseHTTPRequestHandler) -> Answer:
    now = time.time() * 1000
    frame = {
        "schema": {
            "refId": "A",
            "fields": [{"name": "Time", "type": "time"}, {"name": "Value", "type": "number"}],
        },
        "data": {"values": [[now - 30_000, now - 15_000, now], [40, 55.5, None]]},
    }
    return Answer(json.dumps({"results": {"A": {"status": 200, "frames": [frame]}}}), kind="application/json")


@pytest.fixture(scope="module")
def browser(served: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    chromium.needed()
    found = Browser(Settings(url=served.url), Path(tmp_path_factory.mktemp("out")))
    yield found
    found.close()


@pytest.fixture(autouse=True)
def _at_rest_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paintings, "_AT_REST_S", 0.7)


def _dashboard(served: Site, page: str, **more: Any) -> Dashboard:
    given = {
        "name": "plant",
        "url": f"{served.url}{page}",
        "data": [{"url": "/series", "points": "points", "newest": "1m"}],
        "charts": ["#chart"],
        "within": "8s",
        "timeout": "10s",
        "visits": 2,
    }
    return Dashboard.model_validate(given | more)


def _see(dashboard: Dashboard, browser: Browser, cluster: Cluster | None = None) -> Judgement:
    return judge.judge(probe.opened(dashboard, browser, cluster), dashboard)


def test_dashboard_with_fresh_data(served: Site, browser: Browser, cluster: Cluster) -> None:
    total = {"element": "#total", "query": {"name": "today", "sql": "SELECT 1234"}}
    dashboard = _dashboard(served, "/plant", shows=[{"element": "h1", "text": "Plant"}, total])
    judged = _see(dashboard, browser, cluster)
    assert judged.verdict is Verdict.PASS, judged.reason
    assert "all that is expected was there in each of 2 visits" in judged.reason
    assert len(judged.figures) == 1
    asked = next(headers for path, headers in reversed(served.asked) if path == "/plant")
    assert "deploygate/" in asked["User-Agent"]
    assert "Deploygate-Probe" not in asked, "it reads what any user may read"


@pytest.mark.parametrize(
    ("page", "verdict", "said"),
    [
        ("/old", Verdict.FAIL, "the newest point of its data (/series) is 26 h old, at most 60 s is allowed"),
        (
            "/axes",
            Verdict.FAIL,
            "its data (/series) have 0 points and 10 without a value, at least 2 with a value",
        ),
        ("/none", Verdict.FAIL, "shows 'No data'"),
        ("/failing", Verdict.FAIL, "its data request /series was answered 502"),
        (
            "/broken",
            Verdict.FAIL,
            "made no request with /series; it had an error: script: plant is not defined",
        ),
        ("/blank", Verdict.FAIL, "#chart is blank: its picture has one colour"),
        ("/down", Verdict.FAIL, "answered 503"),
        ("/secret", Verdict.INCONCLUSIVE, "answered 403: `form` or `token` must be of a user who may see it"),
        ("/elsewhere", Verdict.INCONCLUSIVE, "/login: `form` or `token` must be of a user who may see it"),
    ],
)
def test_dashboards_without_data(
    page: str, verdict: Verdict, said: str, served: Site, browser: Browser
) -> None:
    judged = _see(_dashboard(served, page), browser)
    assert (judged.verdict, said in judged.reason) == (verdict, True), judged.reason


@pytest.mark.parametrize(
    ("page", "shown", "verdict", "said"),
    [
        (
            "/wrong",
            {"query": {"name": "today", "sql": "SELECT 1234"}},
            Verdict.FAIL,
            "the database has 1234 (query 'today')",
        ),
        (
            "/wrong",
            {"query": {"name": "today", "sql": "SELECT 1234"}, "tolerance": 1},
            Verdict.PASS,
            "all that is expected",
        ),
        (
            "/plant",
            {"query": {"name": "today", "sql": "SELECT x"}},
            Verdict.INCONCLUSIVE,
            "the query 'today' has no answer",
        ),
        (
            "/plant",
            {"query": {"name": "today", "sql": "SELECT 'x'"}},
            Verdict.INCONCLUSIVE,
            "it returns no number",
        ),
        ("/plant", {"matches": "[1-9][0-9]* alerts"}, Verdict.FAIL, "which does not match"),
        (
            "/plant",
            {"text": "yesterday"},
            Verdict.FAIL,
            "#total shows '1,234 readings today', not 'yesterday'",
        ),
        ("/hidden", {"text": "today"}, Verdict.FAIL, "has no visible element #total"),
    ],
)
def test_elements(
    page: str,
    shown: dict[str, Any],
    verdict: Verdict,
    said: str,
    served: Site,
    browser: Browser,
    cluster: Cluster,
) -> None:
    judged = _see(_dashboard(served, page, shows=[{"element": "#total", **shown}]), browser, cluster)
    assert (judged.verdict, said in judged.reason) == (verdict, True), judged.reason


def test_dashboard_that_is_late(served: Site, browser: Browser) -> None:
    dashboard = _dashboard(served, "/late", within="500ms")
    found = probe.opened(dashboard, browser, None)
    slow = replace(found, visits=tuple(replace(visit, lag=OwnLag()) for visit in found.visits))
    judged = judge.judge(slow, dashboard)
    assert judged.verdict is Verdict.FAIL, judged.reason
    assert "until it showed everything, at most 0.5 s is allowed; 2 of 2 visits were late" in judged.reason
    assert judge.judge_open(slow, dashboard).verdict is Verdict.PASS, "the monitoring's have no bound"


def test_token_goes_to_the_pages_own_server_only(
    served: Site, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAFANA", "t0ken")
    with site({"/x.css": "p {}"}) as other:
        served.pages["/needs-token"] = lambda h: (
            Answer(_page(more=f"<link rel=stylesheet href={other.url}/x.css>"))
            if h.headers["Authorization"] == "Bearer t0ken"
            else Answer("", 401)
        )
        judged = _see(_dashboard(served, "/needs-token", token="env:GRAFANA"), browser)
        assert judged.verdict is Verdict.PASS, judged.reason
        assert other.asked
        assert not any("Authorization" in headers for _, headers in other.asked)


def test_grafana_by_its_documented_answer(served: Site, browser: Browser) -> None:
    dashboard = _dashboard(served, "/grafana", data=[{"url": "/api/ds/query", "form": "grafana"}])
    assert _see(dashboard, browser).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("form", "body", "expected"),
    [
        ({}, [[100, 1], [200, None], [150, 2]], (2, 1, 150)),
        ({"points": "data.rows", "time": "at", "value": "v", "unit": "iso"},
         {"data": {"rows": [{"at": "2026-11-29T00:00:00Z", "v": 7}]}}, (1, 0, 1795910400)),
        ({"unit": "ms"}, [[150_000, 7]], (1, 0, 150)),
        ({"form": "prometheus"}, {"data": {"result": [{"values": [[100, "1"], [115, "NaN"]]}, {"values": [[115, "3"]]}]}},
         (2, 1, 115)),
        ({"form": "grafana"}, {"results": {"A": {"frames": []}}}, (0, 0, None)),
    ],
)  # fmt: skip
def test_points_of_answers(form: dict[str, str], body: Any, expected: tuple[Any, ...]) -> None:
    found = points.read(
        DataRequest.model_validate({"url": "/x"} | form), "/x", 200, json.dumps(body).encode()
    )
    assert (found.points, found.empty, found.newest_s) == expected, found.problem


@pytest.mark.parametrize(
    ("form", "body"),
    [
        ("points", "<html>"),
        ("points", '{"points": [1]}'),
        ("grafana", '{"results": {"A": {"error": "no such metric"}}}'),
    ],
)
def test_answers_that_are_not_as_declared(form: str, body: str) -> None:
    found = points.read(DataRequest.model_validate({"url": "/x", "form": form}), "/x", 200, body.encode())
    assert "is not of the form declared" in found.problem
    assert found.points == 0


def _visit(took_s: float | None = 0.5, **more: Any) -> f.Painting:
    data = ((f.Answer("/series", 200, 10, 0, 990.0),),)
    return replace(f.Painting(200, took_s, 1000.0, data), **more)


@pytest.mark.parametrize(
    ("visits", "verdict", "said"),
    [
        ((_visit(), _visit(9.0), _visit()), Verdict.INCONCLUSIVE, "but only once, so run it again"),
        ((_visit(), _visit(9.0), _visit(9.0)), Verdict.FAIL, "2 of 3 visits were late"),
        (
            (_visit(), _visit(9.0, lag=OwnLag(9.0, 5.0)), _visit(9.0)),
            Verdict.INCONCLUSIVE,
            "may be our own delay",
        ),
        (
            (_visit(), _visit(unwanted=("No data",)), _visit()),
            Verdict.INCONCLUSIVE,
            "that was so in one of 3 visits",
        ),
        ((_visit(), _visit(data=((),)), _visit(data=((),))), Verdict.INCONCLUSIVE, "check `data.url`"),
        ((_visit(status=None),) * 3, Verdict.FAIL, "cannot be opened"),
    ],
)
def test_several_visits(visits: tuple[f.Painting, ...], verdict: Verdict, said: str) -> None:
    dashboard = Dashboard.model_validate(
        {"name": "plant", "url": "https://app.example.com/plant", "data": [{"url": "/series"}]}
    )
    judged = judge.judge(f.Opened("plant", dashboard.url, visits), dashboard)
    assert (judged.verdict, said in judged.reason) == (verdict, True), judged.reason


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"shows": [{"element": "h1", "text": "Plant"}]}, "a page without data paints well, too"),
        ({"data": [{"url": "/x"}], "timeout": "5s"}, "`timeout` must be longer than `within`"),
        ({"shows": [{"element": "h1"}]}, "say what the element shows"),
        ({"shows": [{"element": "h1", "matches": "("}]}, "is not a regular expression"),
    ],
)
def test_sections_that_say_too_little(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Dashboard.model_validate({"name": "plant", "url": "https://app.example.com/plant"} | wrong)
