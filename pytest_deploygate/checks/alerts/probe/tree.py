"""Where Alertmanager's configuration sends an alert: its tree of routes, read as Alertmanager reads it.

https://prometheus.io/docs/alerting/latest/configuration/#route
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from yaml.error import YAMLError

from pytest_deploygate.checks.alerts.facts import Step
from pytest_deploygate.checks.alerts.probe import matchers
from pytest_deploygate.files import yaml
from pytest_deploygate.model import CannotTell

_DEFAULTS = {"group_wait": "30s", "group_interval": "5m", "repeat_interval": "4h"}
_UNITS_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}
_DURATION = re.compile(r"(\d+)(ms|[smhdwy])")
#: What a route has from the one above it, unless it has its own.
_INHERITED = ("receiver", "group_by", *_DEFAULTS)


class Configuration:
    """A node's configuration."""

    def __init__(self, text: str) -> None:
        """Raises CannotTell for what is no configuration of Alertmanager."""
        try:
            read = yaml.load(text)
        except (YAMLError, RecursionError, ValueError) as error:
            raise CannotTell(f"its configuration cannot be read: {type(error).__name__}") from None
        if not isinstance(read, dict) or not isinstance(read.get("route"), dict):
            raise CannotTell("its configuration has no `route`")
        self._route: dict[str, Any] = read["route"]
        self._receivers = [each for each in read.get("receivers") or () if isinstance(each, dict)]

    @property
    def receivers(self) -> tuple[str, ...]:
        """The names of all receivers."""
        return tuple(str(receiver.get("name")) for receiver in self._receivers)

    def dead_ends(self) -> tuple[str, ...]:
        """Return the receivers without any integration: what is sent there is dropped."""
        return tuple(str(receiver.get("name")) for receiver in self._receivers if not _integrations(receiver))

    def unresolved(self) -> tuple[str, ...]:
        """Return the receivers of which no integration says that an alert is resolved."""
        return tuple(
            str(receiver.get("name"))
            for receiver in self._receivers
            if (parts := _integrations(receiver)) and not any(part.get("send_resolved") for part in parts)
        )

    def steps(self, labels: Mapping[str, str], own: tuple[str, ...]) -> tuple[Step, ...]:
        """Return where an alert with these labels arrives; `own` are the labels whose value no other alert has.

        Raises CannotTell for a part of the tree that cannot be read.
        """
        return tuple(_step(route, own) for route in _matching({**_DEFAULTS, **self._route}, labels))


def _matching(route: Mapping[str, Any], labels: Mapping[str, str]) -> list[Mapping[str, Any]]:
    """Return the deepest routes that take an alert: each first child, and the next ones after a `continue`."""
    if not all(matcher.matches(labels) for matcher in matchers.of_route(route)):
        return []
    found: list[Mapping[str, Any]] = []
    for child in route.get("routes") or ():
        own = {name: value for name, value in child.items() if value not in (None, [], "")}
        below = _matching({**{name: route.get(name) for name in _INHERITED}, **own}, labels)
        found += below
        if below and not child.get("continue"):
            break
    return found or [route]


def _step(route: Mapping[str, Any], own: tuple[str, ...]) -> Step:
    grouped = [str(name) for name in route.get("group_by") or ()]
    intervals = [*(route.get("mute_time_intervals") or ()), *(route.get("active_time_intervals") or ())]
    return Step(
        str(route.get("receiver", "")),
        _seconds(route["group_wait"]),
        _seconds(route["group_interval"]),
        _seconds(route["repeat_interval"]),
        fresh="..." in grouped or any(name in grouped for name in own),
        muted=tuple(map(str, intervals)),
    )


def _integrations(receiver: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    lists = [
        value for name, value in receiver.items() if name.endswith("_configs") and isinstance(value, list)
    ]
    return [part for parts in lists for part in parts if isinstance(part, dict)]


def _seconds(text: object) -> float:
    parts = _DURATION.findall(str(text))
    if "".join(number + unit for number, unit in parts) != str(text):
        raise CannotTell(f"its configuration has the duration {text!r}, which cannot be read")
    return float(sum(int(number) * _UNITS_S[unit] for number, unit in parts))
