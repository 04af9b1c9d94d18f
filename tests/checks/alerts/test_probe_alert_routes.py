"""Alerts that go through a real Alertmanager to receivers that the gate listens as, and servers that are none."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import alertmanager_server
import pytest
from alertmanager_server import Answers

from pytest_deploygate.checks.alerts import judge, probe
from pytest_deploygate.checks.alerts.probe import catchers, messages
from pytest_deploygate.checks.alerts.section import Alerts
from pytest_deploygate.clients import reach
from pytest_deploygate.clients.budget import Ended, unrecorded
from pytest_deploygate.fields.alertmanager import Alertmanager
from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.judging.spending import Limits
from pytest_deploygate.model import CannotTell, Judgement, Verdict

ITEM = "phase1.alert-routing"
WAITS = {"group_wait": "200ms", "group_interval": "300ms", "repeat_interval": "4h"}
ROUTE = {
    "receiver": "mail",
    "group_by": ["alertname"],
    **WAITS,
    "routes": [
        {"matchers": ['severity="critical"'], "receiver": "pager"},
        {"matchers": ['severity="shared"'], "receiver": "pager", "group_by": ["severity"]},
        {"matchers": ['severity="dropped"'], "receiver": "nobody"},
    ],
}
INHIBIT = [
    {"source_matchers": ['alertname="SiteDown"'], "target_matchers": ['team="web"']},
    {"source_matchers": ['severity="fatal"'], "target_matchers": ['severity="minor"']},
]


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    return {name: alertmanager_server.free_port() for name in ("pager", "mail")}


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, ports: dict[str, int]
) -> Iterator[alertmanager_server.Server]:
    hooks = [
        {"name": name, "webhook_configs": [{"url": f"http://127.0.0.1:{port}/"}]}
        for name, port in ports.items()
    ]
    folder = tmp_path_factory.mktemp("alertmanager")
    with alertmanager_server.running(
        folder, ROUTE, [*hooks, {"name": "nobody"}], inhibit_rules=INHIBIT
    ) as running:
        yield running


@pytest.fixture
def prometheus() -> Iterator[Prometheus]:
    """Prometheus' list of Alertmanagers, by documentation."""
    made = Answers()
    active = {"activeAlertmanagers": [{"url": "http://x/api/v2/alerts"}], "droppedAlertmanagers": []}
    made.given["/api/v1/alertmanagers"] = (200, {"status": "success", "data": active})
    yield Prometheus(url=made.url)
    made.end()


@pytest.fixture(autouse=True)
def afresh() -> None:
    reach.begin()


def section(
    ports: dict[str, int],
    *routes: dict[str, object],
    **more: object,
) -> Alerts:
    receivers = [{"name": name, "listen": f"127.0.0.1:{port}"} for name, port in ports.items()]
    return Alerts.model_validate(
        {
            "receivers": receivers,
            "routes": routes,
            "within": "3s",
            "opt_in": "prod",
            **more,
        }
    )


def nodes(server: alertmanager_server.Server | Answers) -> list[Alertmanager]:
    return [Alertmanager(name="am", url=server.url)]


def judged(server: alertmanager_server.Server | Answers, wanted: Alerts, prometheus: Prometheus) -> Judgement:
    found = probe.routed(wanted, nodes(server), prometheus, "prod", unrecorded(ITEM), allowed=False)
    return judge.judge_routing(found, wanted)


CRITICAL = {"name": "critical", "labels": {"severity": "critical"}, "receivers": ["pager"]}
WARNING = {"name": "warning", "labels": {"severity": "warning"}, "receivers": ["mail"]}


def test_alerts_arrive_and_are_resolved(
    server: alertmanager_server.Server, ports: dict[str, int], prometheus: Prometheus
) -> None:
    wanted = section(ports, CRITICAL, WARNING)
    found = probe.routed(wanted, nodes(server), prometheus, "prod", unrecorded(ITEM), allowed=False)
    got = judge.judge_routing(found, wanted)
    assert got.verdict is Verdict.PASS, got.reason
    record = found.evidence.record
    assert record is not None
    assert {(a.receiver, a.state) for one in record.facts.tried for a in one.arrivals} == {
        ("pager", "firing"),
        ("pager", "resolved"),
        ("mail", "firing"),
        ("mail", "resolved"),
    }
    assert server.ask("/api/v2/alerts") == []


def test_an_alert_that_goes_elsewhere_is_seen_there(
    server: alertmanager_server.Server, ports: dict[str, int], prometheus: Prometheus
) -> None:
    got = judged(server, section(ports, {**WARNING, "receivers": ["pager"]}), prometheus)
    assert got.verdict is Verdict.FAIL
    assert "alerts with severity=warning go to mail, declared is pager" in got.reason
    assert [r.value for r in got.readings if r.name == "warning: arrives at mail"] == ["yes"]


def test_a_receiver_that_drops_alerts_is_named(
    server: alertmanager_server.Server, ports: dict[str, int], prometheus: Prometheus
) -> None:
    receivers = [{"name": "nobody", "unseen": "it should page somebody"}]
    route = {"name": "dropped", "labels": {"severity": "dropped"}, "receivers": ["nobody"]}
    got = judged(server, section(ports, route, receivers=receivers), prometheus)
    assert (got.verdict, "its receiver nobody sends nothing anywhere" in got.reason) == (Verdict.FAIL, True)


def test_in_a_group_that_is_known_an_alert_waits_for_the_interval(
    server: alertmanager_server.Server, ports: dict[str, int], prometheus: Prometheus
) -> None:
    ends = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    server.ask("/api/v2/alerts", [{"labels": {"alertname": "Other", "severity": "shared"}, "endsAt": ends}])
    route = {"name": "shared", "labels": {"severity": "shared"}, "receivers": ["pager"]}
    try:
        got = judged(server, section(ports, route), prometheus)
    finally:
        over = datetime.now(UTC).isoformat()
        server.ask(
            "/api/v2/alerts", [{"labels": {"alertname": "Other", "severity": "shared"}, "endsAt": over}]
        )
    assert got.verdict is Verdict.PASS, got.reason
    assert [r.limit for r in got.readings if r.name == "shared: arrives at pager after"] == ["at most 3.3 s"]


def test_a_silence_and_an_inhibition_are_named(
    server: alertmanager_server.Server, ports: dict[str, int], prometheus: Prometheus
) -> None:
    now = datetime.now(UTC)
    matchers = [{"name": "zone", "value": "north", "isRegex": False, "isEqual": True}]
    ends = (now + timedelta(minutes=5)).isoformat()
    server.ask(
        "/api/v2/silences",
        {
            "matchers": matchers,
            "startsAt": now.isoformat(),
            "endsAt": ends,
            "createdBy": "night-shift",
            "comment": "works",
        },
    )
    server.ask("/api/v2/alerts", [{"labels": {"alertname": "SiteDown"}, "endsAt": ends}])
    silenced = {"name": "north", "labels": {"severity": "critical", "zone": "north"}, "receivers": ["pager"]}
    inhibited = {"name": "web", "labels": {"severity": "critical", "team": "web"}, "receivers": ["pager"]}
    try:
        got = judged(server, section(ports, silenced, inhibited, within="500ms"), prometheus)
    finally:
        server.ask("/api/v2/alerts", [{"labels": {"alertname": "SiteDown"}, "endsAt": now.isoformat()}])
    assert got.verdict is Verdict.FAIL
    assert "route north: a silence by night-shift" in got.reason
    assert "(night-shift: works), so nobody was told" in got.reason
    assert (
        "route web: its alert was suppressed by the alert SiteDown, which inhibits it, so nobody was told"
        in got.reason
    )


@pytest.mark.long
def test_a_receiver_that_is_told_twice_is_told_once_more(
    server: alertmanager_server.Server,
    ports: dict[str, int],
    prometheus: Prometheus,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By chance, and always."""
    count, rounds, most = messages.in_webhooks, [0], [0]

    def twice(document: object, label: str, numbers: Collection[str]) -> messages.Counted:
        found = count(document, label, numbers)
        return found + found if rounds[0] < most[0] else found

    begin = catchers.Listener.end

    def end(self: catchers.Listener) -> None:
        rounds[0] += 1
        begin(self)

    monkeypatch.setattr(messages, "in_webhooks", twice)
    monkeypatch.setattr(catchers.Listener, "end", end)
    for times, verdict in ((2, Verdict.PASS), (99, Verdict.FAIL)):
        rounds[0], most[0] = 0, times
        got = judged(server, section(ports, CRITICAL), prometheus)
        assert got.verdict is verdict, got.reason
        assert "in a first test pager was told twice" in got.notes[-1]


def test_what_our_alert_inhibits_is_a_note(
    server: alertmanager_server.Server, ports: dict[str, int], prometheus: Prometheus
) -> None:
    real = {"labels": {"alertname": "FanSlow", "severity": "minor"}}
    server.ask("/api/v2/alerts", [{**real, "endsAt": (datetime.now(UTC) + timedelta(minutes=1)).isoformat()}])
    route = {"name": "fatal", "labels": {"severity": "fatal"}, "receivers": ["mail"]}
    try:
        got = judged(server, section(ports, route), prometheus)
    finally:
        server.ask("/api/v2/alerts", [{**real, "endsAt": datetime.now(UTC).isoformat()}])
    assert got.verdict is Verdict.PASS, got.reason
    assert any("it inhibited FanSlow, which really fires" in note for note in got.notes)


def test_a_test_that_is_ended_takes_its_alerts_away(
    server: alertmanager_server.Server, ports: dict[str, int], prometheus: Prometheus
) -> None:
    wanted = section(ports, CRITICAL, within="20s", receivers=[{"name": "pager", "maildir": "/"}])
    began = time.monotonic()
    with pytest.raises(Ended):
        probe.routed(
            wanted, nodes(server), prometheus, "prod", unrecorded(ITEM, Limits(seconds=1.0)), allowed=False
        )
    assert time.monotonic() - began < 10
    assert server.ask("/api/v2/alerts") == []


def test_alerts_end_by_themselves_if_the_gate_is_killed(
    server: alertmanager_server.Server,
    ports: dict[str, int],
    prometheus: Prometheus,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pytest_deploygate.checks.alerts.probe.drill._resolve", lambda *_: time.monotonic())
    wanted = section(ports, CRITICAL, within="200ms")
    got = judged(server, wanted, prometheus)
    assert "was not told within" in got.reason
    (left,) = server.ask("/api/v2/alerts")
    remaining = datetime.fromisoformat(left["endsAt"]) - datetime.now(UTC)
    assert timedelta(0) < remaining < timedelta(minutes=3)
    server.ask("/api/v2/alerts", [{"labels": left["labels"], "endsAt": datetime.now(UTC).isoformat()}])


def test_without_leave_nothing_is_sent_and_the_record_counts(
    server: alertmanager_server.Server, ports: dict[str, int], prometheus: Prometheus, tmp_path: Path
) -> None:
    wanted = section(ports, CRITICAL, record=str(tmp_path / "record.json"))
    assert judged(server, wanted, prometheus).verdict is Verdict.PASS
    later = wanted.model_copy(update={"opt_in": ""})
    got = judged(server, later, prometheus)
    assert got.verdict is Verdict.PASS
    assert got.reason.endswith("UTC")
    (tmp_path / "record.json").unlink()
    assert judged(server, later, prometheus).verdict is Verdict.INCONCLUSIVE


LOGIN = "<html><body>log in</body></html>"
STATUS = {
    "cluster": {"status": "disabled"},
    "config": {"original": "route: {receiver: pager}\nreceivers: [{name: pager}]"},
}


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, LOGIN, "no JSON: check the URL, and whether it requires a login"),
        (302, LOGIN, "HTTP 302"),
        (401, LOGIN, "requires a login (HTTP 401)"),
        (503, "upstream connect error", "HTTP 503: upstream connect error"),
        (200, [], "a status of another form"),
        (200, {"cluster": {}}, "a status of another form"),
        (200, {**STATUS, "config": {"original": "receivers: []"}}, "no `route`"),
        (200, {**STATUS, "config": {"original": "route: {receiver: x, group_wait: soon}"}}, "soon"),
    ],
)
def test_what_is_no_alertmanager_is_never_good(
    status: int, body: object, said: str, ports: dict[str, int], prometheus: Prometheus
) -> None:
    other = Answers()
    other.given["/api/v2/status"] = (status, body)
    other.given["/api/v2/silences"] = (200, [])
    try:
        wanted = section(ports, CRITICAL, opt_in="")
        got = judged(other, wanted, prometheus)
        assert (got.verdict, said in got.reason) == (Verdict.INCONCLUSIVE, True), got.reason
        with pytest.raises(CannotTell, match="no node of Alertmanager took an alert"):
            judged(other, wanted.model_copy(update={"opt_in": "prod"}), prometheus)
    finally:
        other.end()


@pytest.mark.parametrize(
    "silences",
    ["{}", [{"status": {"state": "active"}, "matchers": [{"name": "severity", "value": "critical"}]}], [3]],
)
def test_silences_of_another_form_are_never_good(
    silences: object, ports: dict[str, int], prometheus: Prometheus
) -> None:
    other = Answers()
    other.given |= {"/api/v2/status": (200, STATUS), "/api/v2/silences": (200, silences)}
    try:
        got = judged(other, section(ports, CRITICAL, opt_in=""), prometheus)
        assert got.verdict is Verdict.INCONCLUSIVE, got.reason
    finally:
        other.end()


def test_a_node_whose_clock_is_off_is_named(ports: dict[str, int], prometheus: Prometheus) -> None:
    other = Answers()
    other.given |= {"/api/v2/status": (200, STATUS), "/api/v2/silences": (200, [])}
    other.date = datetime.now(UTC) - timedelta(seconds=90)
    try:
        got = judged(other, section(ports, opt_in=""), prometheus)
        assert (got.verdict, "am: its clock is 89" in got.reason or "am: its clock is 90" in got.reason) == (
            Verdict.INCONCLUSIVE,
            True,
        ), got.reason
    finally:
        other.end()


def test_a_login_page_takes_no_alert(ports: dict[str, int], prometheus: Prometheus) -> None:
    other = Answers()
    other.given["/api/v2/alerts"] = (200, LOGIN)
    try:
        with pytest.raises(CannotTell, match="did not accept alerts: HTTP 200"):
            judged(other, section(ports, CRITICAL), prometheus)
    finally:
        other.end()


def test_a_receiver_that_cannot_be_read_is_unknown(
    server: alertmanager_server.Server, ports: dict[str, int], prometheus: Prometheus
) -> None:
    receivers = [{"name": "pager", "webhook": {"url": f"{server.url}/-/ready"}}]
    got = judged(server, section(ports, CRITICAL, receivers=receivers), prometheus)
    assert (got.verdict, "receiver pager: what arrives there could not be seen" in got.reason) == (
        Verdict.INCONCLUSIVE,
        True,
    ), got.reason


def test_an_alert_that_prometheus_sends_again_after_a_reload_is_waited_for(
    ports: dict[str, int], prometheus: Prometheus
) -> None:
    """The nodes and Prometheus' series are by documentation."""
    asked: list[str] = []

    def later(path: str) -> tuple[int, object]:
        asked.append(path)
        return 200, [] if len(asked) < 3 else [{"labels": {"alertname": "Watchdog"}}]

    other, told = Answers(), Answers()
    other.given |= {
        "/api/v2/status": (200, STATUS),
        "/api/v2/silences": (200, []),
        "/api/v2/alerts": (200, later),
    }
    series = {"resultType": "vector", "result": [{"metric": {"alertname": "Watchdog"}, "value": [1, "1"]}]}
    active = {"activeAlertmanagers": [{"url": "http://x"}], "droppedAlertmanagers": []}
    told.given["/api/v1/query"] = (200, {"status": "success", "data": series})
    told.given["/api/v1/alertmanagers"] = (200, {"status": "success", "data": active})
    try:
        got = judged(other, section(ports, opt_in="", always="Watchdog"), Prometheus(url=told.url))
    finally:
        other.end()
        told.end()
    assert [r.ok for r in got.readings if r.name == "am: has Watchdog"] == [True]
    assert len(asked) == 3
