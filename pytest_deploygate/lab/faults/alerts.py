"""Faults of alerts: routes that lead elsewhere or nowhere, nodes that do not share, and alerts that fire or cannot."""

from __future__ import annotations

from pytest_deploygate.lab import alert_catcher, sql
from pytest_deploygate.lab.faults import Change, Fault
from pytest_deploygate.lab.services import alerting, monitoring
from pytest_deploygate.lab.services.alerting import COOLANT, PRESSURE, Switches
from pytest_deploygate.lab.state import Lab

_INVENTORY = "lab-monitoring"
_ROUTING = {"phase1.alert-routing": "fail"}
_NEEDS = (*alerting.NODES, alert_catcher.CATCHER)


def _with(now: Switches) -> Change:
    return lambda lab: alerting.change(lab, now)


_as_started = _with(Switches())


def _silence(lab: Lab) -> None:
    alerting.silence(lab, "alertname", PRESSURE, "known, will be looked at tomorrow")
    alerting.silenced(lab)


def _show(**shown: float) -> Change:
    return lambda lab: alerting.show(lab, {**alert_catcher.HEALTHY, **shown})


def _firing(lab: Lab, name: str, *, fires: bool) -> None:
    wanted = f'ALERTS{{alertname="{name}",alertstate="firing"}}'
    sql.wait_until(f"{name}: {fires}", lambda: bool(monitoring.query(lab, wanted)) == fires, 20.0)


def _high(lab: Lab) -> None:
    _show(plant_pressure_bar=7.4)(lab)
    _firing(lab, PRESSURE, fires=True)


def _healthy(lab: Lab) -> None:
    _show()(lab)
    for name in (PRESSURE, COOLANT):
        _firing(lab, name, fires=False)
    sql.wait_until("the plant's values", lambda: bool(monitoring.query(lab, "plant_coolant_celsius")), 20.0)


def _gone(lab: Lab) -> None:
    """The coolant is hot, and then its value is no longer exported: the alert ends."""
    _show(plant_coolant_celsius=95)(lab)
    _firing(lab, COOLANT, fires=True)
    alerting.show(lab, {"plant_pressure_bar": 2.0})
    _firing(lab, COOLANT, fires=False)


WRONG = Fault(
    "alert-wrong-receiver",
    "critical alerts go to the team's mail, and not to the pager",
    _ROUTING,
    _with(Switches(critical="team-mail")),
    _as_started,
    says="alerts with severity=critical go to team-mail, declared is pager",
    needs=_NEEDS,
    inventory=_INVENTORY,
)
EMPTY = Fault(
    "alert-without-receiver",
    "the receiver of critical alerts has no integration, so they are dropped",
    _ROUTING,
    _with(Switches(empty=True)),
    _as_started,
    says="its receiver pager sends nothing anywhere",
    needs=_NEEDS,
    inventory=_INVENTORY,
)
SILENCED = Fault(
    "alert-silenced",
    "somebody has silenced an alert that must be seen",
    _ROUTING,
    _silence,
    alerting.end_silences,
    says=f"hides {PRESSURE}",
    needs=_NEEDS,
    inventory=_INVENTORY,
)
APART = Fault(
    "alertmanagers-apart",
    "the two nodes of Alertmanager do not share what they sent, so each alert is sent twice",
    {**_ROUTING, "infra.monitoring": "fail"},
    _with(Switches(shared=False)),
    _as_started,
    says="pager was told 2 times of one alert",
    tests=("test_alertmanagers",),
    needs=_NEEDS,
    inventory=_INVENTORY,
)
UNRESOLVED = Fault(
    "alert-never-resolved",
    "webhooks are not told when an alert is resolved",
    _ROUTING,
    _with(Switches(resolved=False)),
    _as_started,
    says="that its alert is resolved: set send_resolved",
    needs=_NEEDS,
    inventory=_INVENTORY,
)
CRITICAL = Fault(
    "alert-critical-fires",
    "the plant's pressure is high, and its critical alert fires",
    {"after.alerts": "fail"},
    _high,
    _healthy,
    says="severity=critical) fires since",
    needs=_NEEDS,
    inventory=_INVENTORY,
)
GONE = Fault(
    "alert-lost-its-data",
    "a critical alert ended because its metric is no longer exported, while its target is up",
    {"after.alerts": "inconclusive"},
    _gone,
    _healthy,
    says="because its data went away",
    needs=_NEEDS,
    inventory=_INVENTORY,
)
BROKEN = Fault(
    "alert-rule-in-error",
    "the rule of a critical alert cannot be evaluated, so it reads inactive while the pressure is high",
    {"after.alerts": "inconclusive", "infra.monitoring": "fail"},
    lambda lab: alerting.rules(lab, broken=True),
    alerting.rules,
    says=f"{PRESSURE}: its rule cannot be evaluated",
    tests=("test_prometheus",),
    needs=_NEEDS,
    inventory=_INVENTORY,
)
