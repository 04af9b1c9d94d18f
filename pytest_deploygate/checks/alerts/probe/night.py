"""The alerts that fire now and that fired in the night, and whether the rules behind them can see anything. Only reads."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from pytest_deploygate.checks.alerts.facts import Firing, Night, Rule
from pytest_deploygate.checks.alerts.probe import history
from pytest_deploygate.checks.alerts.probe.selectors import Selector, needed
from pytest_deploygate.checks.alerts.section import Alerts
from pytest_deploygate.clients import alertmanager, prometheus, scrapes
from pytest_deploygate.fields.alertmanager import Alertmanager
from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

#: So far back the series of a target that is down are looked for; and so many selectors are counted by one query.
_BACK, _AT_ONCE = "1h", 40
_YEAR_OF_NEVER = 1


@dataclass(frozen=True)
class _Read:
    """A rule as Prometheus returns it, with its selectors; `problem`: its expression cannot be read."""

    told: Mapping[str, Any]
    every_s: float | None
    selectors: tuple[Selector, ...] = ()
    problem: str = ""

    @property
    def name(self) -> str:
        return str(self.told.get("name", ""))

    @property
    def labels(self) -> dict[str, str]:
        return _texts(self.told.get("labels"))

    @property
    def alerts(self) -> list[dict[str, Any]]:
        return [alert for alert in self.told.get("alerts") or () if isinstance(alert, dict)]


def night(section: Alerts, nodes: Sequence[Alertmanager], server: Prometheus) -> Night:
    """Read rules, alerts and their history from Prometheus, and the alerts of each node of Alertmanager.

    Raises CannotTell if Prometheus cannot be asked, or its answer has another form than documented.
    """
    scrapes.missed(server)  # the series of such a target are there again
    clock_s, now = _clock(server)
    window_s = section.night.since.total_seconds()
    try:
        every = [
            _read(told, every_s)
            for told, every_s in _rules(server)
            if told.get("name") not in section.night.leave_out
        ]
        critical = [rule for rule in every if _is_critical(rule, section)]
        firing = [
            _firing(rule, alert) for rule in every for alert in rule.alerts if alert.get("state") == "firing"
        ]
        with ThreadPoolExecutor(len(nodes) + 2, "alerts") as pool:
            past = pool.submit(
                history.past, server, section, {rule.name: rule.selectors for rule in critical}, now, firing
            )
            looked = pool.submit(_looked_at, critical, server, now)
            asked = list(pool.map(lambda node: _at(node, section), nodes))
            others = [_unlike(rule, now) for rule in every if rule not in critical]
            rules = [*looked.result(), *others]
            ended = past.result()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CannotTell(
            f"Prometheus at {server.url} returned rules or alerts of another form than documented ({type(error).__name__}): "
            "check that it is Prometheus"
        ) from None
    for node_firing, _, _ in asked:
        firing += [one for one in node_firing if not any(_same(one, other) for other in firing)]
    return Night(
        now - timedelta(seconds=window_s),
        window_s,
        ended.step_s,
        tuple(rules),
        tuple(firing),
        ended.alerts,
        ended.gaps,
        max((ours for _, ours, _ in asked), default=0),
        clock_s,
        tuple(problem for _, _, problem in asked if problem),
    )


def _is_critical(rule: _Read, section: Alerts) -> bool:
    return section.night.is_critical(rule.labels) or any(
        section.night.is_critical(_texts(alert.get("labels"))) for alert in rule.alerts
    )


def _clock(server: Prometheus) -> tuple[float, datetime]:
    """Return the server's clock minus ours, 0 where the answer took longer than they differ; and its time."""
    before = time.time()
    found = prometheus.finite(server, "vector(time())")
    after = time.time()
    if not found:
        raise CannotTell(f"Prometheus at {server.url} does not say what time it is")
    low_s, high_s = found[0].value - after, found[0].value - before
    return (
        min((low_s, high_s), key=abs) if low_s * high_s > 0 else 0.0,
        datetime.fromtimestamp(found[0].value, UTC),
    )


def _rules(server: Prometheus) -> Iterable[tuple[dict[str, Any], float | None]]:
    """Yield each alerting rule with the interval of its group."""
    for group in prometheus.api(server, "rules", {"type": "alert"})["groups"]:
        for rule in group["rules"]:
            if rule.get("type", "alerting") == "alerting":
                yield rule, float(group["interval"]) if "interval" in group else None


def _read(told: dict[str, Any], every_s: float | None) -> _Read:
    try:
        return _Read(told, every_s, tuple(needed(str(told.get("query", "")))))
    except CannotTell as error:
        return _Read(told, every_s, problem=str(error))


def _unlike(rule: _Read, now: datetime) -> Rule:
    """Return a rule whose series are not looked at."""
    at = rule.told.get("lastEvaluation")
    evaluated = datetime.fromisoformat(str(at)) if at else None
    known = evaluated is not None and evaluated.year > _YEAR_OF_NEVER
    return Rule(
        rule.name,
        rule.labels,
        str(rule.told.get("health", "unknown")),
        str(rule.told.get("lastError", "")),
        float(rule.told.get("duration") or 0.0),
        round((now - evaluated).total_seconds(), 1) if known and evaluated else None,
        rule.every_s,
    )


def _looked_at(critical: list[_Read], server: Prometheus, now: datetime) -> list[Rule]:
    """Return the critical rules with what they need and cannot see."""
    metrics = {selector.metric for rule in critical for selector in rule.selectors if selector.metric}
    there = _ages_s(server, metrics, now)
    down = _down(server)
    before = _places(server, metrics) if down else {}
    empty = _empty(server, [s for rule in critical for s in rule.selectors if s.metric in there])
    found = []
    for rule in critical:
        plain = _unlike(rule, now)
        needs = {selector.metric for selector in rule.selectors if selector.metric}
        ages = [
            (age_s, f"{metric} of {place}")
            for metric in needs
            for place, age_s in there.get(metric, {}).items()
        ]
        oldest_s, oldest = max(ages, default=(None, ""))
        found.append(
            Rule(
                plain.name,
                plain.labels,
                plain.health,
                plain.error,
                plain.for_s,
                plain.evaluated_s,
                plain.every_s,
                tuple(sorted(needs - there.keys())),
                tuple(selector.text for selector in rule.selectors if selector.text in empty),
                tuple(sorted({place for metric in needs for place in before.get(metric, set()) & down})),
                oldest_s,
                oldest,
                rule.problem,
            )
        )
    return found


def _ages_s(server: Prometheus, metrics: set[str], now: datetime) -> dict[str, dict[str, float]]:
    """Return how old the newest sample of each metric that exists is, for each of its targets."""
    found: dict[str, dict[str, float]] = {}
    names = sorted(metrics)
    for at in range(0, len(names), _AT_ONCE):
        some = names[at : at + _AT_ONCE]
        newest = [
            f'label_replace(max by (job, instance) (timestamp({{__name__="{name}"}})), "n", "{number}", "", "")'
            for number, name in enumerate(some)
        ]
        for sample in prometheus.finite(server, " or ".join(newest)):
            ages = found.setdefault(some[int(sample.labels["n"])], {})
            ages[_place(sample.labels)] = round(now.timestamp() - sample.value, 1)
    return found


def _places(server: Prometheus, metrics: set[str]) -> dict[str, set[str]]:
    """Return the targets that each metric had within the last hour."""
    found: dict[str, set[str]] = {}
    names = sorted(metrics)
    for at in range(0, len(names), _AT_ONCE):
        some = "|".join(names[at : at + _AT_ONCE])
        series = f'last_over_time({{__name__=~"{some}"}}[{_BACK}])'
        for sample in prometheus.vector(server, f"group by (__name__, job, instance) ({series})"):
            found.setdefault(sample.labels.get("__name__", ""), set()).add(_place(sample.labels))
    return found


def _down(server: Prometheus) -> set[str]:
    return {_place(sample.labels) for sample in prometheus.vector(server, "up == 0")}


def _place(labels: Mapping[str, str]) -> str:
    return " ".join(labels[name] for name in ("job", "instance") if labels.get(name))


def _empty(server: Prometheus, selectors: list[Selector]) -> set[str]:
    """Return the selectors that no series matches now."""
    texts = sorted({selector.text for selector in selectors})
    full: set[str] = set()
    for at in range(0, len(texts), _AT_ONCE):
        some = texts[at : at + _AT_ONCE]
        counted = [
            f'label_replace(count({text}), "n", "{number}", "", "")' for number, text in enumerate(some)
        ]
        full |= {some[int(sample.labels["n"])] for sample in prometheus.vector(server, " or ".join(counted))}
    return set(texts) - full


def _firing(rule: _Read, alert: Mapping[str, Any]) -> Firing:
    labels = _texts(alert.get("labels"))
    return Firing(
        rule.name,
        _without_name(labels),
        datetime.fromisoformat(str(alert["activeAt"])),
        "Prometheus",
        float(str(alert["value"])),
    )


def _at(node: Alertmanager, section: Alerts) -> tuple[list[Firing], int, str]:
    """Return the alerts that a node has, the number of those that our tests sent, and why it could not be asked."""
    try:
        return (*_shown(node, alertmanager.alerts(node), section), "")
    except CannotTell as error:
        return [], 0, str(error)
    except (KeyError, TypeError, ValueError, AttributeError):
        return [], 0, f"Alertmanager {node.called} returned alerts of another form than documented"


def _shown(
    node: Alertmanager, told: Iterable[Mapping[str, Any]], section: Alerts
) -> tuple[list[Firing], int]:
    found, ours = [], 0
    for alert in told:
        labels = _texts(alert.get("labels"))
        if section.label in labels:
            ours += 1
            continue
        name = labels.get("alertname", "")
        if name in section.night.leave_out:
            continue
        since = datetime.fromisoformat(str(alert["startsAt"]))
        found.append(Firing(name, _without_name(labels), since, node.called, hidden=_hidden(alert)))
    return found, ours


def _hidden(alert: Mapping[str, Any]) -> str:
    status = alert.get("status") or {}
    if silences := status.get("silencedBy"):
        return f"silenced by {silences[0]}"
    return "inhibited by another alert" if status.get("inhibitedBy") else ""


def _same(one: Firing, other: Firing) -> bool:
    """Return whether an alert of Alertmanager is one of Prometheus', which may have got labels on the way."""
    return one.name == other.name and other.labels.items() <= one.labels.items()


def _without_name(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name != "alertname"}


def _texts(labels: object) -> dict[str, str]:
    return {str(name): str(value) for name, value in labels.items()} if isinstance(labels, dict) else {}
