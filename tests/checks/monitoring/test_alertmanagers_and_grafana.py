"""Nodes of Alertmanager and what hides a required alert; and Grafana by its documented answers (not tried on a server)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from prometheus_answers import Answers, answering

from pytest_deploygate.checks.monitoring import judge, probe
from pytest_deploygate.checks.monitoring.facts import Alertmanagers, Clock, GrafanaFacts, Node, Silence
from pytest_deploygate.checks.monitoring.section import Expected, Grafana
from pytest_deploygate.fields.alertmanager import Alertmanager
from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.model import CannotTell, Verdict

FAIL, UNKNOWN, PASS = Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS
EXPECTED = Expected.model_validate(
    {
        "targets": [{"job": "node"}],
        "alerts": [{"name": "DatabaseDown", "labels": {"severity": "critical"}}],
    }
)
NODE = Node("a", state="ready", peers=2, configuration="1", clock=Clock(-0.5, 0.6))
BOTH = Alertmanagers((NODE, replace(NODE, name="b")), ("a:9093", "b:9093"))


def second(**more: object) -> Alertmanagers:
    return replace(BOTH, nodes=(NODE, replace(NODE, name="b", **more)))


@pytest.mark.parametrize(
    ("found", "verdict", "words"),
    [
        (BOTH, PASS, "2 Alertmanagers know each other and run one configuration"),
        (second(peers=1), FAIL, "b: it knows 1 of 2 nodes"),
        (second(state="disabled", peers=0), FAIL, "b: its cluster is disabled, so each node notifies by itself"),
        (second(state="settling"), UNKNOWN, "b: it still settles"),
        (second(problem="no connection"), UNKNOWN, "b: it cannot be asked: no connection"),
        (second(configuration="2"), FAIL, "the nodes run different configurations"),
        (second(clock=Clock(89.0, 91.0)), UNKNOWN, "b: its clock is 89 s from ours"),
        (replace(BOTH, told_to=("a:9093",)), FAIL, "Prometheus sends alerts to 1 of 2 Alertmanagers (a:9093)"),
        (replace(BOTH, told_to=()), FAIL, "Prometheus sends alerts to 0 of 2 Alertmanagers (none)"),
        (replace(BOTH, told_to="HTTP 404"), UNKNOWN, "where Prometheus sends alerts is unknown: HTTP 404"),
        (Alertmanagers((replace(NODE, state="disabled", peers=0),), ("a:9093",)), PASS, ""),
        (second(silences=(Silence("7", "bob", "", "later", ("DatabaseDown",), ()),)), FAIL,
         "the silence 7 of bob (without a comment) hides the required alert DatabaseDown until later"),
        (second(silences=(Silence("7", "bob", "", "later", (), ("DatabaseDown",)),)), PASS, ""),
        (second(suppressed={"DatabaseDown": "silence 7"}), FAIL, "fires now and is hidden by silence 7"),
        (second(inhibited={"DatabaseDown": "SiteDown"}), FAIL, "while SiteDown fires"),
    ],
)  # fmt: skip
def test_judged(found: Alertmanagers, verdict: Verdict, words: str) -> None:
    said = judge.judge_alertmanagers(found, EXPECTED)
    assert (said.verdict, words in said.reason) == (verdict, True), said.reason


def plain(document: object, status: int = 200) -> tuple[int, dict[str, str], str]:
    return status, {"Content-Type": "application/json"}, json.dumps(document)


def silence(state: str = "active", **matchers: str) -> dict[str, object]:
    kinds = [{"name": n, "value": v, "isRegex": "*" in v, "isEqual": True} for n, v in matchers.items()]
    return {"id": state, "status": {"state": state}, "matchers": kinds, "createdBy": "bob", "endsAt": "later"}


def alert(name: str, state: str = "active", **more: object) -> dict[str, object]:
    return {
        "labels": {"alertname": name, "severity": "critical"},
        "fingerprint": name.lower(),
        "status": {"state": state, **more},
    }


CONFIGURATION = """
inhibit_rules:
  - source_matchers: [alertname="SiteDown"]
    target_matchers: [severity="critical"]
  - source_match: {alertname: Other}
    target_match_re: {alertname: .*}
    equal: [instance]
"""


@pytest.fixture
def there() -> Iterator[Answers]:
    """One server that answers as Alertmanager, and as Prometheus where its rules are asked for."""
    status = {"cluster": {"status": "ready", "peers": [{"name": "1"}]}, "config": {"original": CONFIGURATION}}
    answers = Answers(
        {
            "/api/v2/status": plain(status),
            "/api/v2/silences": plain([]),
            "/api/v2/alerts": plain([]),
            "/api/v1/rules": {
                "groups": [
                    {"rules": [{"name": "DatabaseDown", "type": "alerting", "labels": {"team": "db"}}]}
                ]
            },
            "/api/v1/alertmanagers": {"activeAlertmanagers": [{"url": "http://a:9093/api/v2/alerts"}]},
        }
    )
    with answering(answers) as serving:
        yield serving


def asked(there: Answers) -> Alertmanagers:
    node = Alertmanager.model_validate({"name": "a", "url": there.url})
    return probe.alertmanagers(Prometheus.model_validate({"url": there.url}), [node], EXPECTED)


def test_a_single_node(there: Answers) -> None:
    found = asked(there)
    assert (found.nodes[0].problem, found.nodes[0].peers, found.told_to) == ("", 1, ("a:9093",))
    assert judge.judge_alertmanagers(found, EXPECTED).verdict is PASS


@pytest.mark.parametrize(
    ("told", "hides", "may_hide"),
    [
        (silence(alertname="DatabaseDown"), ("DatabaseDown",), ()),
        (silence(severity="critical"), ("DatabaseDown",), ()),
        # A label that its rule sets, though the inventory does not name it.
        (silence(team="db"), ("DatabaseDown",), ()),
        (silence(alertname="Data.*"), ("DatabaseDown",), ()),
        (silence(alertname="DatabaseDown", instance="db2"), (), ("DatabaseDown",)),
    ],
)
def test_silences(there: Answers, told: dict, hides: tuple, may_hide: tuple) -> None:
    there.paths["/api/v2/silences"] = plain([told])
    (found,) = asked(there).nodes[0].silences
    assert (found.hides, found.may_hide) == (hides, may_hide)


@pytest.mark.parametrize(
    "told", [silence("expired", alertname="DatabaseDown"), silence("pending", severity="critical"), silence(alertname="Data")]
)  # fmt: skip
def test_silences_that_hide_nothing(there: Answers, told: dict) -> None:
    there.paths["/api/v2/silences"] = plain([told])
    assert asked(there).nodes[0].silences == ()


def test_what_is_hidden_now(there: Answers) -> None:
    hidden = alert("DatabaseDown", "suppressed", silencedBy=["7"], inhibitedBy=["sitedown"])
    there.paths["/api/v2/alerts"] = plain([hidden, alert("SiteDown")])
    (node,) = asked(there).nodes
    assert node.suppressed == {"DatabaseDown": "silence 7, the alert SiteDown"}
    assert node.inhibited == {"DatabaseDown": "SiteDown"}


def test_an_inhibition_whose_source_does_not_fire_or_that_compares_labels_hides_nothing(
    there: Answers,
) -> None:
    there.paths["/api/v2/alerts"] = plain([alert("Other"), alert("SiteDown", "suppressed")])
    assert asked(there).nodes[0].inhibited == {}


@pytest.mark.parametrize("path", ["status", "silences", "alerts"])
@pytest.mark.parametrize(
    "answer",
    [(200, {}, "<html>Log in</html>"), (503, {}, "busy"), (401, {}, ""), plain({"a": 1}), plain("x")],
)
def test_odd_answers_are_unknown(there: Answers, path: str, answer: tuple) -> None:
    there.paths[f"/api/v2/{path}"] = answer
    found = asked(there)
    assert found.nodes[0].problem
    assert judge.judge_alertmanagers(found, EXPECTED).verdict is UNKNOWN


def test_a_configuration_that_cannot_be_read_is_unknown(there: Answers) -> None:
    status = {"cluster": {"status": "ready", "peers": [{"name": "1"}]}, "config": {"original": "a: [1"}}
    there.paths["/api/v2/status"] = plain(status)
    assert "its configuration cannot be read" in asked(there).nodes[0].problem


GRAFANA = Grafana.model_validate({"url": "http://grafana", "dashboards": ["platform"]})
BOARDS = GrafanaFacts("http://grafana", "11.2.0", "ok", {"platform": 12}, {"prom": "OK"})


@pytest.mark.parametrize(
    ("found", "verdict", "words"),
    [
        (BOARDS, PASS, "Grafana 11.2.0 has 1 dashboards; 1 data sources are healthy"),
        (replace(BOARDS, database="failing"), FAIL, "its database is failing"),
        (replace(BOARDS, dashboards={"platform": "there is none"}), FAIL, "the dashboard platform is missing"),
        (replace(BOARDS, dashboards={"platform": 0}), FAIL, "the dashboard platform has no panel"),
        (replace(BOARDS, data_sources={"prom": "HTTP 400 ERROR: no such host"}), FAIL, "the data source prom is not healthy"),
        (replace(BOARDS, data_sources={}), UNKNOWN, "it has no data source"),
    ],
)  # fmt: skip
def test_grafana_judged(found: GrafanaFacts, verdict: Verdict, words: str) -> None:
    said = judge.judge_grafana(found, GRAFANA)
    assert (said.verdict, words in said.reason) == (verdict, True), said.reason


@pytest.fixture
def grafana() -> Iterator[Answers]:
    """Its documented answers."""
    panels = [{"type": "timeseries"}, {"type": "row", "panels": [{"type": "stat"}, {"type": "stat"}]}]
    answers = Answers(
        {
            "/api/health": plain({"database": "ok", "version": "11.2.0"}),
            "/api/dashboards/uid/platform": plain({"dashboard": {"panels": panels}}),
            "/api/datasources": plain([{"uid": "prom"}]),
            "/api/datasources/uid/prom/health": plain({"status": "OK", "message": "Successfully queried"}),
        }
    )
    with answering(answers) as serving:
        yield serving


def section(there: Answers, **more: object) -> Grafana:
    return Grafana.model_validate({"url": there.url, "dashboards": ["platform"]} | more)


def test_grafana_by_its_documented_answers(grafana: Answers) -> None:
    found = probe.grafana(section(grafana))
    assert (found.dashboards, found.data_sources, found.database) == ({"platform": 3}, {"prom": "OK"}, "ok")


def test_what_grafana_lacks(grafana: Answers) -> None:
    grafana.paths["/api/dashboards/uid/night"] = plain({"message": "Dashboard not found"}, 404)
    bad = plain({"status": "ERROR", "message": "dial tcp: no such host"}, 400)
    grafana.paths["/api/datasources/uid/loki/health"] = bad
    found = probe.grafana(section(grafana, dashboards=["platform", "night"], data_sources=["prom", "loki"]))
    assert found.dashboards["night"] == "there is none"
    assert found.data_sources["loki"] == "HTTP 400 ERROR: dial tcp: no such host"


@pytest.mark.parametrize(
    ("path", "answer", "words"),
    [
        ("/api/health", (302, {"Location": "/login"}, ""), "redirects to /login: it requires a login"),
        ("/api/health", (200, {}, "<html>"), "no JSON"),
        ("/api/health", plain({}), "without its state"),
        ("/api/dashboards/uid/platform", plain({"message": "Unauthorized"}, 401), "HTTP 401 for the dashboard"),
        ("/api/datasources", plain({"message": "Permission denied"}, 403), "Permission denied; name them in `data_sources`"),
        ("/api/datasources/uid/prom/health", plain({"message": "Permission denied"}, 403), "HTTP 403 for the data source"),
    ],
)  # fmt: skip
def test_grafana_that_does_not_tell(grafana: Answers, path: str, answer: tuple, words: str) -> None:
    grafana.paths[path] = answer
    with pytest.raises(CannotTell) as caught:
        probe.grafana(section(grafana))
    assert words in str(caught.value)
