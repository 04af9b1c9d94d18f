"""The alerts of the night, from a real Prometheus: its rules, what they need, and why alerts ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import prometheus_server
import pytest
import slow_server
from alertmanager_server import Answers
from slow_server import Answer

from pytest_deploygate.checks.alerts import judge, probe
from pytest_deploygate.checks.alerts.section import Alerts
from pytest_deploygate.clients import prometheus as client
from pytest_deploygate.clients import reach
from pytest_deploygate.fields.alertmanager import Alertmanager
from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.lab.services.monitoring_history import samples
from pytest_deploygate.model import CannotTell, Judgement, Verdict

RULES = {
    "high": "plant_pressure_bar > 5",
    "error": "plant_pressure_bar > 5 and on() (up * on() up)",
    "nothing": "no_such_metric > 1",
    "absent": "absent(plant_pressure_bar) or plant_pressure_bar > 50",
    "zone": 'plant_pressure_bar{zone="south"} > 1 or plant_pressure_bar > 50',
    "gone": "old_pressure_bar > 5",
    "back": "plant_pressure_bar > 55",
}
HEALTHY = "plant_pressure_bar 2\n"


class Plant:
    """What the exporter says; nothing at all is HTTP 500."""

    def __init__(self) -> None:
        self.text = HEALTHY

    def answer(self, _number: int, _at: float) -> Answer:
        return Answer(0.0, 200 if self.text else 500, self.text)


@pytest.fixture(scope="module")
def plant() -> Plant:
    return Plant()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, plant: Plant) -> Iterator[Prometheus]:
    with slow_server.serving(plant.answer) as exporter:
        targets = [f"127.0.0.1:{exporter.port}", f"localhost:{exporter.port}"]
        now = time.time()
        here = {"job": "test", "instance": targets[0]}
        times = [now - 60 * n for n in range(125, 0, -1)]
        # For five minutes after its last sample a series is still seen.
        fired = [at for at in times if 3300 < now - at <= 4200]
        lines = samples("up", here, [(at, 1.0) for at in times if not 6000 < now - at < 7000])
        lines += samples("old_pressure_bar", here, [(at, 9.0) for at in times if now - at > 3600])
        lines += samples(
            "plant_pressure_bar", here, [(at, 2.0) for at in times if not 3000 < now - at < 3600]
        )
        for name in ("gone", "back", "high"):
            labels = {"alertname": name, "alertstate": "firing", "case": name, **here}
            lines += samples("ALERTS", labels, [(at, 1.0) for at in (fired if name != "high" else fired[:3])])
        rules = [{"alert": name, "expr": expr, "labels": {"case": name}} for name, expr in RULES.items()]
        folder = tmp_path_factory.mktemp("prometheus")
        with prometheus_server.running(folder, lines, targets, 0.5, rules) as server:
            _until(lambda: len(client.vector(server.settings, "plant_pressure_bar")) == 2)
            _until(
                lambda: all(
                    rule["health"] == ("err" if rule["name"] == "error" else "ok")
                    for group in client.api(server.settings, "rules")["groups"]
                    for rule in group["rules"]
                )
            )
            yield server.settings


def _until(there: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not there():
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.fixture
def node() -> Iterator[Answers]:
    """A node of Alertmanager without alerts, by documentation."""
    made = Answers()
    made.given["/api/v2/alerts"] = (200, [])
    yield made
    made.end()


@pytest.fixture(autouse=True)
def afresh() -> None:
    reach.begin()


def judged(prometheus: Prometheus, node: Answers, *cases: str, **more: object) -> Judgement:
    night = {"critical": [{"case": case} for case in cases], "since": "12h", **more}
    section = Alerts.model_validate({"night": night})
    return judge.judge_night(
        probe.night(section, [Alertmanager(name="am", url=node.url)], prometheus), section.night
    )


def test_nothing_fires(prometheus: Prometheus, node: Answers) -> None:
    got = judged(prometheus, node, "absent")
    assert got.verdict is Verdict.PASS, got.reason
    assert any("Prometheus has no samples" in note for note in got.notes)


def test_a_selector_without_series_of_a_metric_that_exists_is_a_note(
    prometheus: Prometheus, node: Answers
) -> None:
    got = judged(prometheus, node, "zone")
    assert got.verdict is Verdict.PASS, got.reason
    assert (
        'zone: no series matches plant_pressure_bar{zone="south"}, so this part of its rule sees nothing'
        in got.notes
    )


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("error", "error: its rule cannot be evaluated, so it reads inactive whatever happens"),
        ("nothing", "nothing: the metric no_such_metric does not exist, so it cannot fire"),
        ("none", "Prometheus has no rule for alerts with case=none"),
        (
            "gone",
            "because its data went away, not because all was well: there is no old_pressure_bar of test 127.0.0.1",
        ),
    ],
)
def test_what_cannot_fire_is_never_good(prometheus: Prometheus, node: Answers, case: str, said: str) -> None:
    got = judged(prometheus, node, case)
    assert (got.verdict, said in got.reason) == (Verdict.INCONCLUSIVE, True), got.reason


def test_data_that_is_there_again_is_a_note_and_an_alert_that_ended_with_it_there_is_over(
    prometheus: Prometheus, node: Answers
) -> None:
    got = judged(prometheus, node, "back", "high")
    assert got.verdict is Verdict.PASS, got.reason
    assert any(
        "the data is there again, and it does not fire" in note
        for note in got.notes
        if note.startswith("back")
    )
    assert any("it fired for up to 3 min" in note for note in got.notes if note.startswith("high"))


def test_an_alert_that_is_left_out_is_not_looked_at(prometheus: Prometheus, node: Answers) -> None:
    assert judged(prometheus, node, "absent", "nothing", leave_out=["nothing"]).verdict is Verdict.PASS


@pytest.mark.parametrize("text", ["", "this is {no metric\n"])
def test_a_target_that_fails_is_named_also_if_its_old_values_stay(
    prometheus: Prometheus, node: Answers, plant: Plant, text: str
) -> None:
    plant.text = text
    try:
        _until(lambda: len(client.vector(prometheus, "up == 0")) == 2)
        got = judged(prometheus, node, "zone")
        assert got.verdict is Verdict.INCONCLUSIVE
        assert "zone: the target test 127.0.0.1" in got.reason
        assert "is down, so nobody knows whether it should fire" in got.reason
    finally:
        plant.text = HEALTHY
        _until(lambda: len(client.vector(prometheus, "plant_pressure_bar and on(instance) up == 1")) == 2)


def test_a_critical_alert_that_fires(prometheus: Prometheus, node: Answers, plant: Plant) -> None:
    plant.text = "plant_pressure_bar 7.5\n"
    try:
        _until(lambda: len(client.vector(prometheus, 'ALERTS{alertname="high",alertstate="firing"}')) == 2)
        got = judged(prometheus, node, "high")
        assert got.verdict is Verdict.FAIL
        assert "says Prometheus, its expression is 7.5" in got.reason
    finally:
        plant.text = HEALTHY
        _until(lambda: not client.vector(prometheus, 'ALERTS{alertname="high",alertstate="firing"}'))


def alert(**labels: str) -> dict[str, object]:
    """Return an alert as Alertmanager's API does (documented form)."""
    at = "2026-11-29T18:02:17.271Z"
    status = {"state": "suppressed", "silencedBy": ["7f"], "inhibitedBy": []}
    return {
        "labels": labels,
        "startsAt": at,
        "endsAt": at,
        "updatedAt": at,
        "status": status,
        "fingerprint": "1",
        "receivers": [],
    }


def test_an_alert_of_another_sender_counts_and_ours_does_not(prometheus: Prometheus, node: Answers) -> None:
    ours = alert(alertname="DeploygateTest_1", deploygate="1", case="absent")
    node.given["/api/v2/alerts"] = (200, [ours])
    got = judged(prometheus, node, "absent")
    assert (got.verdict, "left out: 1 alert of our own tests" in got.notes) == (Verdict.PASS, True)
    node.given["/api/v2/alerts"] = (200, [ours, alert(alertname="FromElsewhere", case="absent")])
    got = judged(prometheus, node, "absent")
    assert got.verdict is Verdict.FAIL
    assert "FromElsewhere (case=absent) fires since 2026-11-29 18:02 UTC" in got.reason
    assert "says am; it is silenced by 7f, but fires" in got.reason


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, "<html>log in"), (503, "no"), (200, {}), (200, [{"labels": {}, "startsAt": "soon"}]), (200, [3])],
)
def test_a_node_that_cannot_be_asked_is_never_good(
    prometheus: Prometheus, node: Answers, status: int, body: object
) -> None:
    node.given["/api/v2/alerts"] = (status, body)
    got = judged(prometheus, node, "absent")
    assert got.verdict is Verdict.INCONCLUSIVE
    assert "Alertmanager am" in got.reason


TIME = {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [0, "0"]}]}}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "no JSON"),
        ({"query": (200, TIME), "rules": (200, "<html>log in")}, "no JSON: check the URL"),
        (
            {"query": (200, TIME), "rules": (200, {"status": "success", "data": {}})},
            "another form than documented",
        ),
        (
            {"query": (200, TIME), "rules": (200, {"status": "success", "data": {"groups": [3]}})},
            "another form than documented",
        ),
        (
            {"query": (200, {"status": "success", "data": {"resultType": "vector", "result": []}})},
            "does not say what time it is",
        ),
        ({"query": (200, TIME | {"warnings": ["a store is down"]})}, "partial answer: a store is down"),
        ({"query": (503, "upstream connect error")}, "HTTP 503"),
    ],
)
def test_what_is_no_prometheus_is_said(
    node: Answers, given: dict[str, tuple[int, object]], said: str
) -> None:
    other = Answers()
    other.given = {f"/api/v1/{path}": answer for path, answer in given.items()}
    try:
        with pytest.raises(CannotTell, match=said):
            judged(Prometheus(url=other.url, timeout=timedelta(seconds=5)), node, "absent")
    finally:
        other.end()
