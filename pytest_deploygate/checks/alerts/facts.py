"""Measurements of alerts and their routing, as frozen values: no I/O, no limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime

from pytest_deploygate.drills.record import Evidence
from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Step:
    """One place of the routing tree at which an alert arrives, with the waiting times there, in seconds.

    `fresh`: an alert with labels of its own begins a group of its own there, so it waits `wait_s`; else up to `interval_s`.
    `muted` are the names of time intervals in which nothing is sent, or outside of which.
    """

    receiver: str
    wait_s: float
    interval_s: float
    repeat_s: float
    fresh: bool
    muted: tuple[str, ...] = ()

    @property
    def longest_s(self) -> float:
        """The longest time until a new alert is sent."""
        return self.wait_s if self.fresh else max(self.wait_s, self.interval_s)


@dataclass(frozen=True)
class Path:
    """Where one node's configuration sends the alerts of a route."""

    route: str
    node: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Silence:
    """A silence in force that matches alerts of a route. `whole` is false if it may hide only a part of them."""

    id: str
    route: str
    alert: str
    matchers: str
    by: str
    comment: str
    until: datetime
    whole: bool


@dataclass(frozen=True)
class Node:
    """One node of Alertmanager. `peers` are the nodes that it knows, itself among them; None if it is in no cluster.

    `dead_ends` are receivers without any integration, `unresolved` those of which no integration sends that an alert is
    resolved. Its clock minus ours is between `low_s` and `high_s`. `problem`: it could not be asked.
    """

    name: str
    cluster: str = ""
    peers: int | None = None
    dead_ends: tuple[str, ...] = ()
    unresolved: tuple[str, ...] = ()
    receivers: tuple[str, ...] = ()
    low_s: float | None = None
    high_s: float | None = None
    problem: str = ""


@dataclass(frozen=True)
class Sender:
    """Prometheus as the sender of alerts: the Alertmanagers that it sends to, and those that it dropped.

    `standing` tells for each node whether it has the alert that always fires; empty if none is declared. `fires` tells
    whether Prometheus has it.
    """

    active: tuple[str, ...] = ()
    standing: Mapping[str, bool] = field(default_factory=dict)
    fires: bool = False
    problem: str = ""


@dataclass(frozen=True)
class Routing:
    """What the nodes' configurations and silences say, without any alert being sent."""

    nodes: tuple[Node, ...]
    paths: tuple[Path, ...]
    silences: tuple[Silence, ...]
    sender: Sender


@dataclass(frozen=True)
class Arrival:
    """A notification of our alert. It came between `not_before_s` and `after_s`, in seconds since the alert was sent or resolved.

    `state` is firing, resolved, or empty if the message does not say.
    """

    receiver: str
    state: str
    not_before_s: float
    after_s: float


@dataclass(frozen=True)
class Told:
    """What one node said of our alert while it fired; `hides` are alerts that it inhibited. `problem`: it did not say."""

    node: str
    receivers: tuple[str, ...] = ()
    state: str = ""
    silenced_by: tuple[str, ...] = ()
    inhibited_by: tuple[str, ...] = ()
    hides: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Tried:
    """An alert that was sent for one route. `refused` are nodes that did not take it, with the reason.

    Arrivals were looked for `watched_s` after it was sent, and `watched_resolved_s` after it was resolved.
    """

    route: str
    alert: str
    accepted: tuple[str, ...]
    refused: tuple[tuple[str, str], ...] = ()
    unresolved: tuple[tuple[str, str], ...] = ()
    told: tuple[Told, ...] = ()
    arrivals: tuple[Arrival, ...] = ()
    watched_s: float = 0.0
    watched_resolved_s: float = 0.0


@dataclass(frozen=True)
class Watched:
    """A receiver at which arrivals were looked for. `problem`: it could not be read at the end."""

    receiver: str
    way: str
    problem: str = ""


@dataclass(frozen=True)
class Sent:
    """The alerts that were sent for all routes, and what became of them. `paths` are those at that time.

    `doubled` are receivers that were told twice of an alert before; so all alerts were sent once more, and these are they.
    """

    tried: tuple[Tried, ...]
    receivers: tuple[Watched, ...] = ()
    paths: tuple[Path, ...] = ()
    lag: OwnLag = field(default_factory=OwnLag)
    resolved_lag: OwnLag = field(default_factory=OwnLag)
    doubled: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measured:
    """What is configured now, and the alerts that were sent: in this run, or those on record."""

    routing: Routing
    evidence: Evidence[Sent]


@dataclass(frozen=True)
class Rule:
    """A rule of Prometheus that makes alerts. `health` is ok, err or unknown; `for_s` is how long its condition must last.

    `evaluated_s` is how long ago it was evaluated, and `every_s` how often it should be (None: not known).
    `no_metric` are the metrics that it needs and that do not exist, `no_series` selectors of it that match no series.
    `down` are targets of its metrics that are down now. `oldest` is the target whose newest sample is the oldest, of
    `oldest_s` seconds. `problem`: it could not be found out what it needs.
    """

    name: str
    labels: Mapping[str, str]
    health: str
    error: str = ""
    for_s: float = 0.0
    evaluated_s: float | None = None
    every_s: float | None = None
    no_metric: tuple[str, ...] = ()
    no_series: tuple[str, ...] = ()
    down: tuple[str, ...] = ()
    oldest_s: float | None = None
    oldest: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Firing:
    """An alert that fires now. `seen_by` is Prometheus or a node of Alertmanager; `hidden` says what silences or inhibits it."""

    name: str
    labels: Mapping[str, str]
    since: datetime
    seen_by: str
    value: float | None = None
    hidden: str = ""


@dataclass(frozen=True)
class Past:
    """An alert that fired in the window, in spans of (from, to) in seconds since its start.

    `lost` names the data that was no longer there when it ended, empty if all was there or it fires still; `back` tells
    whether this is there again now. `problem`: it could not be found out.
    """

    name: str
    labels: Mapping[str, str]
    spans: tuple[tuple[float, float], ...]
    lost: str = ""
    back: bool = False
    problem: str = ""


@dataclass(frozen=True)
class Night:
    """The alerts of a window that ends now, and the rules that make them.

    Time is looked at in steps of `step_s`; `gaps` are those in which Prometheus has no samples at all, as (from, to) in
    seconds since `start`. `ours` is how many alerts of our own tests were left out. `clock_s` is the server's clock minus
    ours. `unasked` are nodes of Alertmanager that could not be asked, with the reason.
    """

    start: datetime
    until_s: float
    step_s: float
    rules: tuple[Rule, ...]
    firing: tuple[Firing, ...]
    past: tuple[Past, ...]
    gaps: tuple[tuple[float, float], ...] = ()
    ours: int = 0
    clock_s: float = 0.0
    unasked: tuple[str, ...] = ()
