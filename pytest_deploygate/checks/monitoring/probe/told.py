"""What Prometheus tells of its targets and rules, read from its answers.

https://prometheus.io/docs/prometheus/latest/querying/api/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pytest_deploygate.checks.monitoring.facts import Group, Rule, Target
from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact

_LONGEST = 300
_DURATION = re.compile(r"(\d+)(ms|s|m|h|d|w|y)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}


def duration_s(text: object) -> float | None:
    """Return a duration such as 1m30s in seconds; None for anything else."""
    found = _DURATION.findall(str(text))
    if not found or "".join(number + unit for number, unit in found) != text:
        return None
    return sum(int(number) * _SECONDS[unit] for number, unit in found)


def ago_s(moment: object, now_s: float) -> float | None:
    """Return how long before `now_s` a moment was; None for one that never was (Go's zero time)."""
    try:
        at = datetime.fromisoformat(str(moment))
    except ValueError:
        return None
    return None if at.year <= 1 or at.tzinfo is None else now_s - at.timestamp()


def running_s(data: object, now_s: float) -> float | None:
    """Return for how long the server of /api/v1/status/runtimeinfo runs; None if it does not tell."""
    return ago_s(data.get("startTime"), now_s) if isinstance(data, dict) else None


def targets(data: object, now_s: float) -> tuple[Target, ...]:
    """Return the targets of /api/v1/targets. Raises CannotTell for what is no such answer."""
    return tuple(_target(entry, now_s) for entry in _entries(data, "activeTargets"))


def _target(entry: Mapping[str, Any], now_s: float) -> Target:
    labels = _texts(entry.get("labels"))
    return Target(
        labels.get("job", ""),
        labels.get("instance", ""),
        str(entry.get("health", "unknown")),
        _short(entry.get("lastError")),
        _short(entry.get("scrapeUrl")),
        ago_s(entry.get("lastScrape"), now_s),
        duration_s(entry.get("scrapeInterval")),
        ",".join(f"{name}={value}" for name, value in sorted(labels.items())),
    )


def no_samples(asked: Prometheus) -> CannotTell:
    """Return that queries find nothing at all: that the targets have no samples would be a guess."""
    return CannotTell(
        f"Prometheus at {asked.url} has scraped targets, but finds no series of them, not even `up`: check whether the "
        "address is that of what stores the samples, and the tenant or filter before it"
    )


def dropped(data: object) -> list[dict[str, str]]:
    """Return the labels of targets that were discovered and dropped. Raises CannotTell as `targets` does."""
    return [_texts(entry.get("discoveredLabels")) for entry in _entries(data, "droppedTargets")]


def groups(data: object, now_s: float) -> tuple[tuple[Group, ...], tuple[Rule, ...]]:
    """Return the groups of /api/v1/rules, and all their rules. Raises CannotTell as `targets` does."""
    found, rules = [], []
    for entry in _entries(data, "groups"):
        name = str(entry.get("name", ""))
        found.append(
            Group(
                name,
                str(entry.get("file", "")),
                _seconds(entry.get("interval")),
                _seconds(entry.get("evaluationTime")),
                ago_s(entry.get("lastEvaluation"), now_s),
            )
        )
        rules += [_rule(name, rule) for rule in entry.get("rules") or () if isinstance(rule, dict)]
    return tuple(found), tuple(rules)


def _rule(group: str, entry: Mapping[str, Any]) -> Rule:
    return Rule(
        group,
        str(entry.get("name", "")),
        entry.get("type") == "alerting",
        str(entry.get("health", "unknown")),
        _short(entry.get("lastError")),
        str(entry.get("state", "")),
        str(entry.get("query", "")),
        _texts(entry.get("labels")),
    )


def _entries(data: object, key: str) -> list[Mapping[str, Any]]:
    entries = data.get(key) if isinstance(data, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise CannotTell(f"its answer has no list `{key}`: check that it is Prometheus")
    return entries


def _seconds(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return 0.0


def _texts(labels: object) -> dict[str, str]:
    return {str(k): str(v) for k, v in labels.items()} if isinstance(labels, dict) else {}


def _short(text: object) -> str:
    return redact(str(text or ""))[:_LONGEST]
