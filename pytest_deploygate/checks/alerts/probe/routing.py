"""What the nodes' configurations and silences say of the routes, and whether Prometheus' alerts come to the nodes. Only reads."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from pytest_deploygate.checks.alerts.facts import Node, Path, Routing, Sender, Silence
from pytest_deploygate.checks.alerts.probe import matchers
from pytest_deploygate.checks.alerts.probe.tree import Configuration
from pytest_deploygate.checks.alerts.section import Alerts, Route
from pytest_deploygate.clients import alertmanager, prometheus
from pytest_deploygate.fields.alertmanager import Alertmanager
from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.model import CannotTell

#: Stands for the name and number of an alert of ours, which no other alert has.
_OURS = "deploygate-0"
#: Prometheus finds its Alertmanagers again within 5 seconds after a reload.
_RELOADED_S, _EVERY_S = 8.0, 0.5


def read(section: Alerts, nodes: Sequence[Alertmanager], server: Prometheus) -> Routing:
    """Read all nodes side by side, and Prometheus' list of them. What cannot be read is a value."""
    with ThreadPoolExecutor(len(nodes) + 1, "alertmanagers") as pool:
        sender = pool.submit(_sender, section, nodes, server)
        found = list(pool.map(lambda node: _node(node, section), nodes))
        return Routing(
            tuple(node for node, _, _ in found),
            tuple(path for _, paths, _ in found for path in paths),
            _once([silence for _, _, silences in found for silence in silences]),
            sender.result(),
        )


def _node(node: Alertmanager, section: Alerts) -> tuple[Node, list[Path], list[Silence]]:
    try:
        status = alertmanager.status(node)
        configuration = Configuration(status.config)
        paths = [
            Path(
                route.name,
                node.called,
                configuration.steps(labels(section, route), ("alertname", section.label)),
            )
            for route in section.routes
        ]
        silences = [
            silence
            for told in alertmanager.silences(node)
            if (told.get("status") or {}).get("state") == "active"
            for silence in _hides(told, section)
        ]
    except CannotTell as error:
        return Node(node.called, problem=str(error)), [], []
    except (ValueError, TypeError, AttributeError):
        said = f"Alertmanager {node.called} returned silences of another form than documented"
        return Node(node.called, problem=said), [], []
    about = Node(
        node.called,
        status.cluster,
        None if status.cluster == "disabled" else len(status.peers),
        configuration.dead_ends(),
        configuration.unresolved(),
        configuration.receivers,
        status.low_s,
        status.high_s,
    )
    return about, paths, silences


def labels(section: Alerts, route: Route, number: str = _OURS) -> dict[str, str]:
    """Return the labels of an alert of ours that takes a route."""
    return {**route.labels, "alertname": f"DeploygateTest_{number}", section.label: number}


def _hides(silence: Mapping[str, Any], section: Alerts) -> list[Silence]:
    """Return which alerts of which routes a silence hides."""
    found = []
    conditions = matchers.of_silence(silence)
    for route in section.routes:
        for name in route.alerts or [""]:
            known = {**route.labels, **({"alertname": name} if name else {})}
            on_known = [each for each in conditions if each.name in known]
            # Of other labels we only know that an alert may have them.
            others = [each for each in conditions if each.name not in known]
            if not on_known or not all(each.matches(known) for each in on_known):
                continue
            found.append(
                Silence(
                    str(silence.get("id", "")),
                    route.name,
                    name,
                    ", ".join(map(str, conditions)),
                    str(silence.get("createdBy", "")),
                    str(silence.get("comment", "")),
                    datetime.fromisoformat(str(silence.get("endsAt", ""))),
                    whole=all(each.how in ("!=", "!~") or each.takes("") for each in others),
                )
            )
    return found


def _once(silences: list[Silence]) -> tuple[Silence, ...]:
    """Return each silence once: the nodes share them."""
    return tuple({(each.id, each.route, each.alert): each for each in silences}.values())


def _sender(section: Alerts, nodes: Sequence[Alertmanager], server: Prometheus) -> Sender:
    try:
        active = _active(server)
        fires, standing = False, {}
        if section.always is not None:
            firing = prometheus.vector(server, f'ALERTS{{alertname="{section.always}",alertstate="firing"}}')
            fires = bool(firing)
            standing = _standing(nodes, section.always)
        return Sender(active, standing, fires)
    except CannotTell as error:
        return Sender(problem=str(error))
    except (KeyError, TypeError):
        return Sender(problem=f"Prometheus at {server.url} returned no list of Alertmanagers")


def _active(server: Prometheus) -> tuple[str, ...]:
    """Return the Alertmanagers that Prometheus sends to; for a few seconds after a reload it knows none."""
    until = time.monotonic() + _RELOADED_S
    while True:
        told = prometheus.api(server, "alertmanagers")["activeAlertmanagers"]
        if told or time.monotonic() > until:
            return tuple(str(each["url"]) for each in told)
        time.sleep(_EVERY_S)


def _standing(nodes: Sequence[Alertmanager], name: str) -> dict[str, bool]:
    """Return which nodes have an alert; Prometheus sends it again within some seconds after a reload."""
    until = time.monotonic() + _RELOADED_S
    while True:
        found = {node.called: _has(node, name) for node in nodes}
        if all(found.values()) or time.monotonic() > until:
            return found
        time.sleep(_EVERY_S)


def _has(node: Alertmanager, name: str) -> bool:
    return bool(alertmanager.alerts(node, f'alertname="{name}"'))
