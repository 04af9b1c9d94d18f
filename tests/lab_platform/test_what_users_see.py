"""Alerts, reports, live values and dashboards of the lab's platform, in its own small database: each switch is noticed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chromium
import platform_server
import pytest

from pytest_deploygate.checks.dashboards import judge as dashboards_judge
from pytest_deploygate.checks.dashboards import probe as dashboards_probe
from pytest_deploygate.checks.dashboards.section import Dashboard
from pytest_deploygate.checks.live_values import judge as live_judge
from pytest_deploygate.checks.live_values import probe as live_probe
from pytest_deploygate.checks.live_values.section import LiveValue
from pytest_deploygate.checks.platform_alerts import judge as alerts_judge
from pytest_deploygate.checks.platform_alerts import probe as alerts_probe
from pytest_deploygate.checks.platform_alerts.section import PlatformAlerts
from pytest_deploygate.checks.reports import judge as reports_judge
from pytest_deploygate.checks.reports import probe as reports_probe
from pytest_deploygate.checks.reports.section import Report
from pytest_deploygate.clients.browser.running import Browser
from pytest_deploygate.clients.budget import unrecorded
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.fields.browser import Browser as Settings
from pytest_deploygate.inventory.models import Database
from pytest_deploygate.lab.services import platform as service
from pytest_deploygate.lab.state import HOST, PRIMARY
from pytest_deploygate.model import Verdict

ROWS = """SELECT d.id AS "Device", count(r.number) AS "Readings", avg(r.value) AS "Mean" FROM application.devices d
    LEFT JOIN application.readings r ON r.device = d.id AND r.sent_at >= %(day)s::date AT TIME ZONE 'UTC'
    AND r.sent_at < (%(day)s::date + 1) AT TIME ZONE 'UTC' WHERE d.tenant = 'plant' GROUP BY d.id"""
TOTAL = """SELECT 'Total' AS "Device", count(*) AS "Readings" FROM application.readings r
    JOIN application.devices d ON d.id = r.device AND d.tenant = 'plant'
    WHERE r.sent_at >= %(day)s::date AT TIME ZONE 'UTC' AND r.sent_at < (%(day)s::date + 1) AT TIME ZONE 'UTC'"""


@pytest.fixture(scope="module")
def platform(lab_place: Path) -> Iterator[platform_server.Running]:
    with platform_server.serving(lab_place / "seen", beside=[service.PLANT]) as running:
        yield running


@pytest.fixture
def _as_started(platform: platform_server.Running) -> Iterator[None]:
    yield
    platform.as_started()


pytestmark = pytest.mark.usefixtures("_as_started")


@pytest.fixture
def cluster(platform: platform_server.Running) -> Iterator[Cluster]:
    node = {"name": "db1", "host": HOST, "port": platform.lab.ports[PRIMARY]}
    settings = {"name": "platform", "user": "deploygate", "sslmode": "disable", "primary": node}
    opened = Cluster(Database.model_validate(settings), None)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def browser(platform: platform_server.Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    chromium.needed()
    settings = Settings(url=platform.url, ca_file=Path(platform.ca_file))
    found = Browser(settings, Path(tmp_path_factory.mktemp("out")))
    yield found
    found.close()


def _form(platform: platform_server.Running, user: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setenv("PASSWORD_OF_USER", platform.password(user))
    return {
        "url": f"{platform.url}/login",
        "user": user,
        "user_field": "user",
        "password": "env:PASSWORD_OF_USER",
    }


def _sent(platform: platform_server.Running, device: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("PASSWORD_OF_SYNTHETIC", platform.password("synthetic-a"))
    return {
        "url": f"{platform.url}/api/readings",
        "ca_file": platform.ca_file,
        "oauth": {
            "url": f"{platform.url}/oauth/token",
            "user": "synthetic-a",
            "password": "env:PASSWORD_OF_SYNTHETIC",
        },
        "json": {"id": "{id}", "device": device, "sent_at": "{sent_at}", "value": "{value}"},
    }


@pytest.mark.parametrize(
    ("switch", "verdict", "said"),
    [
        ("", Verdict.PASS, "raised one alert of synthetic-a-2"),
        ("alert_never", Verdict.FAIL, "no alert within"),
        ("alert_twice", Verdict.FAIL, "2 alerts ("),
        ("alert_storm", Verdict.FAIL, "9 alerts of other devices came with it"),
    ],
)
def test_alerts(
    switch: str,
    verdict: Verdict,
    said: str,
    platform: platform_server.Running,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    send = _sent(platform, "synthetic-a-2", monkeypatch)
    section = PlatformAlerts.model_validate(
        {
            "device": "synthetic-a-2",
            "send": send,
            "normal": 40,
            "over": 130,
            "alerts": {name: send[name] for name in ("ca_file", "oauth")}
            | {"url": f"{platform.url}/api/alerts", "items": "items"},
            "timeout": "15s",
            "opt_in": "test",
        }
    )
    if switch:
        platform.change(**{switch: True})
    found = alerts_probe.raised(section, "test", unrecorded("phase3.alerts"), allowed=False)
    judged = alerts_judge.judge(found, section)
    assert (judged.verdict, said in judged.reason) == (verdict, True), judged.reason


@pytest.mark.parametrize(
    ("switch", "verdict", "said"),
    [
        ("", Verdict.PASS, "has all 3 rows"),
        (
            "report_off_by_one",
            Verdict.FAIL,
            "daily, HTML, daily, CSV, daily, XLSX, daily, PDF: Readings of Total is 4321",
        ),
        ("report_csv_cut", Verdict.FAIL, "daily, CSV: lacks"),
    ],
)
def test_reports(
    switch: str,
    verdict: Verdict,
    said: str,
    platform: platform_server.Running,
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files = [
        {"url": f"{platform.url}/reports/daily.{form}?day={{day}}"} for form in ("html", "csv", "xlsx", "pdf")
    ]
    report = Report.model_validate(
        {
            "name": "daily",
            "files": files,
            "ca_file": platform.ca_file,
            "form": _form(platform, "viewer", monkeypatch),
            "rows": {"name": "rows", "sql": ROWS},
            "total": {"name": "total", "sql": TOTAL},
        }
    )
    if switch:
        platform.change(**{switch: True})
    judged = reports_judge.judge(reports_probe.generated(report, cluster), report)
    assert (judged.verdict, said in judged.reason) == (verdict, True), judged.reason


@pytest.mark.parametrize(("switch", "verdict"), [("", Verdict.PASS), ("live_frozen", Verdict.FAIL)])
def test_live_values(
    switch: str,
    verdict: Verdict,
    platform: platform_server.Running,
    browser: Browser,
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    live = LiveValue.model_validate(
        {
            "name": "pressure",
            "page": f"{platform.url}/dashboards/plant",
            "element": "#live-synthetic-a-1",
            "form": _form(platform, "synthetic-a", monkeypatch),
            "send": _sent(platform, "synthetic-a-1", monkeypatch),
            "within": "8s",
            "stored": {"sql": "SELECT FROM application.readings WHERE id = %(id)s"},
            "opt_in": "test",
        }
    )
    if switch:
        platform.change(**{switch: True})
    found = live_probe.watched(live, browser, cluster, "test", unrecorded("crit.realtime"), allowed=False)
    judged = live_judge.judge(found, live)
    assert judged.verdict is verdict, judged.reason
    assert ("it is in the database, so it was lost on the way" in judged.reason) == bool(switch)


@pytest.mark.parametrize(
    ("switch", "verdict", "said"),
    [
        ("", Verdict.PASS, "all that is expected was there"),
        ("dashboard_blank", Verdict.FAIL, "have 0 points and"),
        ("dashboard_stale", Verdict.FAIL, "min old, at most 60 s is allowed"),
    ],
)
def test_dashboards(
    switch: str,
    verdict: Verdict,
    said: str,
    platform: platform_server.Running,
    browser: Browser,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dashboard = Dashboard.model_validate(
        {
            "name": "plant",
            "url": f"{platform.url}/dashboards/plant",
            "ca_file": platform.ca_file,
            "form": _form(platform, "viewer", monkeypatch),
            "data": [{"url": "/series", "points": "points", "newest": "1m"}],
            "charts": ["#chart"],
            "visits": 2,
        }
    )
    if switch:
        platform.change(**{switch: True})
    judged = dashboards_judge.judge_open(dashboards_probe.opened(dashboard, browser, None), dashboard)
    assert (judged.verdict, said in judged.reason) == (verdict, True), judged.reason
