"""What a node of Alertmanager says of our alerts while they fire: where it sends them, and what keeps it from that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pytest_deploygate.checks.alerts.facts import Told
from pytest_deploygate.clients import alertmanager
from pytest_deploygate.fields.alertmanager import Alertmanager
from pytest_deploygate.model import CannotTell


def by_number(node: Alertmanager, label: str, numbers: Iterable[str]) -> dict[str, Told]:
    """Return what a node says of the alerts with these numbers. What it does not say is a value."""
    try:
        every = alertmanager.alerts(node)
        found = [alert for alert in every if label in (alert.get("labels") or {})]
        suppressed = any(_status(alert).get("silencedBy") for alert in found)
        silences = _silences(node) if suppressed else {}
    except CannotTell as error:
        return dict.fromkeys(numbers, Told(node.called, problem=str(error)))
    by = {str((alert.get("labels") or {}).get(label)): alert for alert in found}
    lacking = Told(node.called, problem="it does not have the alert that it took")
    return {
        number: _told(node, by[number], silences, every) if number in by else lacking for number in numbers
    }


def _told(
    node: Alertmanager,
    alert: Mapping[str, Any],
    silences: Mapping[str, str],
    every: Sequence[Mapping[str, Any]],
) -> Told:
    status, own = _status(alert), alert.get("fingerprint")
    names = {str(each.get("fingerprint")): _name(each) for each in every}
    return Told(
        node.called,
        tuple(str(each.get("name")) for each in alert.get("receivers") or ()),
        str(status.get("state", "")),
        tuple(silences.get(str(each), str(each)) for each in status.get("silencedBy") or ()),
        tuple(names.get(str(each), str(each)) for each in status.get("inhibitedBy") or ()),
        tuple(sorted({_name(each) for each in every if own in (_status(each).get("inhibitedBy") or ())})),
    )


def _name(alert: Mapping[str, Any]) -> str:
    return str((alert.get("labels") or {}).get("alertname"))


def _status(alert: Mapping[str, Any]) -> Mapping[str, Any]:
    status = alert.get("status")
    return status if isinstance(status, dict) else {}


def _silences(node: Alertmanager) -> dict[str, str]:
    """Return who made each silence, and why, by its id."""
    return {
        str(
            each.get("id")
        ): f"{each.get('id')} ({each.get('createdBy') or 'nobody'}: {each.get('comment') or 'no comment'})"
        for each in alertmanager.silences(node)
    }
