"""What a Prometheus scrapes, evaluates and notifies, by its HTTP API; and the routes of its Alertmanagers, to their names."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_deploygate.clients import alertmanager, prometheus
from pytest_deploygate.discovery.found import Fact, Found, Unread, Wanted
from pytest_deploygate.fields.alertmanager import Alertmanager
from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.files import yaml
from pytest_deploygate.model import CannotTell

#: Alerts that are listed one by one; a server may have hundreds, and each is an expectation to read.
_MOST_ALERTS = 200
_EXPECTED = ("monitoring", "expected")


def look(url: str) -> Found:
    """Return what is found. Raises CannotTell if the server does not answer."""
    server = Prometheus.model_validate({"url": url})
    targets = _list(prometheus.api(server, "targets", {"state": "active"}), "activeTargets")
    facts = [Fact(("monitoring", "prometheus", "url"), server.url, "named", given=True)]
    unread: list[Unread] = []
    wanted: list[Wanted] = []
    alerts = _asked(unread, "rules", "/api/v1/rules", lambda: _alerts(server))
    jobs, remarks = _jobs(targets)
    if jobs and alerts:
        facts += [Fact((*_EXPECTED, "targets"), job, "/api/v1/targets", entry=True) for job in jobs]
        facts += [
            Fact((*_EXPECTED, "alerts"), alert, "/api/v1/rules", entry=True)
            for alert in alerts[:_MOST_ALERTS]
        ]
        if len(alerts) > _MOST_ALERTS:
            remarks.append(f"{len(alerts)} alerts, of which {_MOST_ALERTS} are written")
    else:
        what = "alerting rules" if jobs else "targets that are up"
        wanted.append(
            Wanted("monitoring.expected", f"the server has no {what}, so nothing can be expected of it")
        )
    facts += _asked(unread, "pg_up", "a query of pg_up", lambda: list(_exporters(server))) or []
    nodes = (
        _asked(unread, "Alertmanagers", "/api/v1/alertmanagers", lambda: list(_alertmanagers(server))) or []
    )
    facts += [
        Fact(("monitoring", "alertmanagers"), {"url": each}, "/api/v1/alertmanagers", entry=True)
        for each in nodes
    ]
    for each in nodes[:1]:
        routes = _asked(unread, f"routes of {each}", "/api/v2/status", lambda: _receivers(each))  # noqa: B023
        if routes:
            wanted.append(
                Wanted(
                    "alerts.routes",
                    f"where alerts should arrive; Alertmanager's receivers: {', '.join(routes)}",
                )
            )
    return Found(tuple(facts), tuple(unread), tuple(wanted), tuple(remarks))


def _asked(unread: list[Unread], what: str, path: str, ask: Any) -> Any:
    try:
        return ask()
    except CannotTell as unknown:
        unread.append(Unread(what, str(unknown), f"{path} must be reachable from here"))
        return None


def _list(data: object, key: str) -> list[Mapping[str, Any]]:
    held = data.get(key) if isinstance(data, Mapping) else None
    return [each for each in held if isinstance(each, Mapping)] if isinstance(held, list) else []


def _jobs(targets: list[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return each job with the number of its targets that are up, and a remark for those that are down."""
    labels = [(dict(each.get("labels") or {}), each.get("health")) for each in targets]
    up = Counter(str(of.get("job", "")) for of, health in labels if health == "up")
    down = [f"{of.get('job')} {of.get('instance')}" for of, health in labels if health != "up"]
    jobs = [{"job": job, "at_least": count} for job, count in sorted(up.items()) if job]
    return jobs, [
        f"targets that are not up now: {', '.join(down[:5])}{' …' if len(down) > 5 else ''}"
    ] if down else []


def _alerts(server: Prometheus) -> list[dict[str, Any]]:
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for group in _list(prometheus.api(server, "rules", {"type": "alert"}), "groups"):
        for rule in _list(group, "rules"):
            severity = str(dict(rule.get("labels") or {}).get("severity", ""))
            name = str(rule.get("name", ""))
            if name:
                alert: dict[str, Any] = {"name": name}
                found.setdefault((name, ""), alert | ({"labels": {"severity": severity}} if severity else {}))
    return list(found.values())


def _exporters(server: Prometheus) -> Iterator[Fact]:
    by_job: dict[str, list[str]] = {}
    for sample in prometheus.vector(server, "pg_up"):
        labels = dict(sample.labels)
        by_job.setdefault(labels.get("job", ""), []).append(labels.get("instance", ""))
    for job, instances in sorted(by_job.items())[:1]:
        if job and all(instances):
            yield Fact(("monitoring", "databases", "job"), job, "series of pg_up")
            yield Fact(("monitoring", "databases", "instances"), sorted(instances), "series of pg_up")


def _alertmanagers(server: Prometheus) -> Iterator[str]:
    for each in _list(prometheus.api(server, "alertmanagers"), "activeAlertmanagers"):
        url = str(each.get("url", ""))
        yield url.partition("/api/")[0]


def _receivers(url: str) -> list[str]:
    """Return the names of the receivers; the rest of the configuration, which may hold secrets, is not kept."""
    status = alertmanager.api(Alertmanager.model_validate({"url": url}), "status")
    original = status.get("config", {}).get("original", "") if isinstance(status, Mapping) else ""
    try:
        config = yaml.load(str(original))
    except Exception as error:  # whatever a parser says of a configuration that another program wrote
        raise CannotTell(f"{url} shows a configuration that cannot be read as YAML") from error
    return [str(each.get("name")) for each in _list(config, "receivers")]
