"""Observes the nodes of an Alertmanager cluster, and what hides the required alerts. Only reads."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from yaml import YAMLError

from pytest_deploygate.checks.alerts.probe import matchers
from pytest_deploygate.checks.alerts.probe.matchers import Matcher
from pytest_deploygate.checks.monitoring.facts import Alertmanagers, Clock, Node, Silence
from pytest_deploygate.checks.monitoring.probe import told
from pytest_deploygate.checks.monitoring.section import Expected
from pytest_deploygate.clients import alertmanager, prometheus
from pytest_deploygate.fields.alertmanager import Alertmanager
from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.files import yaml
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact

#: An alert by its labels, and as Alertmanager tells it.
Labels = Mapping[str, str]
Told = Mapping[str, Any]


def alertmanagers(asked: Prometheus, nodes: Sequence[Alertmanager], expected: Expected) -> Alertmanagers:
    """Ask every node, and Prometheus where it sends alerts. Never raises: what could not be asked is a value."""
    required = _required(asked, expected)
    return Alertmanagers(tuple(_node(node, required) for node in nodes), _told_to(asked, expected))


def _required(asked: Prometheus, expected: Expected) -> dict[str, Labels]:
    """Return the labels of the required alerts, those that their rules set included where Prometheus tells them."""
    found: dict[str, Labels] = {
        alert.name: {"alertname": alert.name} | alert.labels for alert in expected.alerts
    }
    try:
        _, rules = told.groups(prometheus.api(asked, "rules", {"type": "alert"}), 0.0)
    except CannotTell:  # the judge of Prometheus itself says so
        return found
    by_name = {rule.name: rule.labels for rule in rules if rule.alerting}
    return {name: {**by_name.get(name, {}), **labels} for name, labels in found.items()}


def _told_to(asked: Prometheus, expected: Expected) -> tuple[str, ...] | str:
    if "alertmanagers" in expected.does_without:
        return ()
    try:
        data = prometheus.api(asked, "alertmanagers")
    except CannotTell as why:
        return str(why)
    active = data.get("activeAlertmanagers") if isinstance(data, dict) else None
    if not isinstance(active, list):
        return f"Prometheus at {asked.url} does not tell where it sends alerts"
    urls = [str(entry.get("url")) for entry in active if isinstance(entry, dict)]
    return tuple(sorted(urlsplit(url).netloc for url in urls))


def _node(node: Alertmanager, required: Mapping[str, Labels]) -> Node:
    try:
        status = alertmanager.status(node)
        silences = [s for s in alertmanager.silences(node) if _status(s).get("state") == "active"]
        alerts = alertmanager.alerts(node)
        clock = None if status.low_s is None or status.high_s is None else Clock(status.low_s, status.high_s)
        return Node(
            node.called,
            state=status.cluster,
            peers=len(status.peers),
            configuration=hashlib.sha256(status.config.encode()).hexdigest(),
            clock=clock,
            silences=tuple(filter(None, (_silence(silence, required) for silence in silences))),
            suppressed=_suppressed(alerts, required),
            inhibited=_inhibited(status.config, alerts, required),
        )
    except CannotTell as why:
        return Node(node.called, str(why))


def _status(entry: Told) -> Told:
    status = entry.get("status")
    return status if isinstance(status, dict) else {}


def _silence(found: Told, required: Mapping[str, Labels]) -> Silence | None:
    """Return a silence with the required alerts that it matches; None if it concerns none of them. Raises CannotTell."""
    conditions = matchers.of_silence(found)
    matched = {name: _matches(conditions, labels) for name, labels in required.items()}
    hides = tuple(name for name, all_of_it in matched.items() if all_of_it is True)
    may_hide = tuple(name for name, all_of_it in matched.items() if all_of_it is None)
    if not conditions or not (hides or may_hide):
        return None
    number, by, comment, until = (
        redact(str(found.get(key, "")))[:100] for key in ("id", "createdBy", "comment", "endsAt")
    )
    return Silence(number, by, comment, until, hides, may_hide)


def _matches(conditions: Sequence[Matcher], labels: Labels) -> bool | None:
    """Return whether all conditions match an alert; None if that depends on labels that its rule does not set."""
    found = [one.takes(labels[one.name]) if one.name in labels else None for one in conditions]
    return False if False in found else None if None in found else True


def _suppressed(alerts: Sequence[Told], required: Mapping[str, Labels]) -> dict[str, str]:
    """Return the required alerts that fire now and are hidden, with what hides them."""
    found = {}
    names = {str(alert.get("fingerprint")): _labels(alert).get("alertname", "") for alert in alerts}
    for alert in alerts:
        name, status = _labels(alert).get("alertname", ""), _status(alert)
        if name in required and status.get("state") == "suppressed":
            by = [f"silence {i}" for i in status.get("silencedBy") or ()]
            by += [f"the alert {names.get(i) or i}" for i in status.get("inhibitedBy") or ()]
            found[name] = ", ".join(by) or "nothing that it names"
    return found


def _labels(alert: Told) -> Labels:
    labels = alert.get("labels")
    return {str(k): str(v) for k, v in labels.items()} if isinstance(labels, dict) else {}


def _inhibited(config: str, alerts: Sequence[Told], required: Mapping[str, Labels]) -> dict[str, str]:
    """Return the required alerts that an inhibition hides whatever they are about, with the alert that fires for it.

    Raises CannotTell if the configuration cannot be read.
    """
    try:
        rules = (yaml.load(config) or {}).get("inhibit_rules") or []
    except (YAMLError, AttributeError):
        raise CannotTell("its configuration cannot be read, so what it inhibits is unknown") from None
    found = {}
    firing = [_labels(alert) for alert in alerts if _status(alert).get("state") == "active"]
    for rule in (rule for rule in rules if isinstance(rule, dict) and not rule.get("equal")):
        source, target = _side(rule, "source"), _side(rule, "target")
        sources = [labels for labels in firing if all(one.matches(labels) for one in source)]
        for name, labels in required.items():
            if sources and _matches(target, labels) is True:
                found[name] = sources[0].get("alertname", "")
    return found


def _side(rule: Told, side: str) -> list[Matcher]:
    """Return the conditions of one side of an inhibition, in the three spellings that a route has, too."""
    own = {"match": f"{side}_match", "match_re": f"{side}_match_re", "matchers": f"{side}_matchers"}
    return matchers.of_route({spelling: rule.get(key) for spelling, key in own.items()})
