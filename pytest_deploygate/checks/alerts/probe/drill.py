"""Send an alert for each route to all nodes, watch all receivers, resolve the alerts, and watch on.

Alerts end by themselves a while after the test should have ended: a gate that was killed leaves nothing that fires.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import repeat

from pytest_deploygate.checks.alerts.facts import Arrival, Measured, Path, Routing, Sent, Told, Tried, Watched
from pytest_deploygate.checks.alerts.probe import routing, told
from pytest_deploygate.checks.alerts.probe.kept import Follow
from pytest_deploygate.checks.alerts.probe.messages import RESOLVED
from pytest_deploygate.checks.alerts.section import Alerts, Route
from pytest_deploygate.clients import alertmanager, own_lag, stopping
from pytest_deploygate.clients.budget import Budget, Spending
from pytest_deploygate.clients.own_lag import Lag
from pytest_deploygate.drills import record as drills
from pytest_deploygate.fields.alertmanager import Alertmanager
from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.model import CannotTell

_UNWATCHED = "it sends one alert for each route, and Alertmanager's nodes say whether they take it"
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 1.0
#: After the last notification that was waited for, others are looked for a little longer: so long at least, and when an
#: alert begins so long after the longest waiting time of a route.
_MORE_S, _LOOK_ON_S = 0.3, 1.5
#: Alertmanager's own waiting times, where the configuration cannot be read.
_USUAL_WAIT_S, _USUAL_INTERVAL_S = 30.0, 300.0
#: What comes shortly after the bound is seen, and then is late.
_MARGIN_S = 0.5
#: An alert ends by itself so long after the test should have ended.
_SPARE = timedelta(minutes=2)


def routed(
    section: Alerts,
    nodes: Sequence[Alertmanager],
    server: Prometheus,
    environment: str,
    budget: Budget,
    *,
    allowed: bool,
) -> Measured:
    """Read the routing, and send an alert for each route if that is allowed, else read the record of the last time.

    Raises CannotTell if no alert could be sent, and Ended.
    """
    found = routing.read(section, nodes, server)
    about = drills.described(configuration(section, found.paths))
    ran = None
    if allowed or section.opt_in == environment:
        sent = _sent(section, nodes, found, budget)
        alone = len(nodes) > 1 and any((node.peers or 1) < len(nodes) for node in found.nodes)
        if not alone and (doubled := _doubled(sent)):
            # A node that is slow for a moment lets the next one send, too. Nodes that share nothing are wrong already.
            sent = replace(_sent(section, nodes, found, budget), doubled=doubled)
        ran = drills.made(sent, drills.GOOD, about, environment=environment)
        if section.record:
            drills.write(section.record, ran)
    evidence = drills.evidence(section.record, Sent, ran=ran, configuration=about, environment=environment)
    return Measured(found, evidence)


def _doubled(sent: Sent) -> tuple[str, ...]:
    """Return the receivers that were told more than once that one alert fires."""
    times = Counter(
        (one.alert, each.receiver) for one in sent.tried for each in one.arrivals if each.state != RESOLVED
    )
    return tuple(sorted({receiver for (_, receiver), number in times.items() if number > 1}))


def configuration(section: Alerts, paths: Sequence[Path]) -> dict[str, str]:
    """Return what the result depends on: the routes as declared, and as the nodes are configured."""
    routes = {
        f"route {route.name}": f"{', '.join(f'{k}={v}' for k, v in sorted(route.labels.items()))} to {', '.join(route.receivers)}"
        for route in section.routes
    }
    configured = {
        f"{path.node}, {path.route}": ", ".join(f"{s.receiver} after {s.longest_s:g} s" for s in path.steps)
        for path in paths
    }
    return {**routes, **configured}


class _Alert:
    """An alert of ours for one route."""

    def __init__(self, section: Alerts, route: Route, ends: datetime) -> None:
        self.route, self.number = route, secrets.token_hex(8)
        self.labels = routing.labels(section, route, self.number)
        self.name = self.labels["alertname"]
        self.accepted: list[str] = []
        self.refused: dict[str, str] = {}
        self.unresolved: dict[str, str] = {}
        self.told: list[Told] = []
        self._annotations = {
            "summary": f"Test of the route {route.name} by a deployment gate: nothing is wrong, do nothing",
            "description": "This alert tests whether notifications arrive. It is resolved by itself.",
            **section.annotations,
        }
        self._starts, self._ends = datetime.now(UTC), ends

    def document(self, *, ends: datetime | None = None) -> dict[str, object]:
        """Return the alert as it is sent; with `ends` as it is resolved."""
        return {
            "labels": self.labels,
            "annotations": self._annotations,
            "startsAt": self._starts.isoformat(),
            "endsAt": (ends or self._ends).isoformat(),
        }


def _sent(section: Alerts, nodes: Sequence[Alertmanager], found: Routing, budget: Budget) -> Sent:
    if not section.routes:
        raise CannotTell(
            "no route is declared: add `alerts.routes`, with the labels of alerts and their receivers"
        )
    steps = [step for path in found.paths for step in path.steps]
    longest_s = max((step.longest_s for step in steps), default=_USUAL_WAIT_S)
    within_s = section.within.total_seconds() + _MARGIN_S
    resolve_s = max((step.interval_s for step in steps), default=_USUAL_INTERVAL_S) + within_s
    ends = datetime.now(UTC) + timedelta(seconds=3 * (longest_s + within_s + resolve_s)) + _SPARE
    alerts = [_Alert(section, route, ends) for route in section.routes]
    with contextlib.ExitStack() as held:
        spending = held.enter_context(budget.probe("alerts", unwatched=_UNWATCHED))
        lag = held.enter_context(own_lag.watching())
        pool = held.enter_context(ThreadPoolExecutor(16, "alerts"))
        receivers = _Receivers(section, alerts, found, lag, spending, pool)
        held.callback(receivers.end)
        receivers.begin()
        try:
            sent = resolved = _post(nodes, alerts, spending, pool)
            spending.leaves("alerts that fire", lambda: not _firing(section, nodes))
            fired_s = receivers.watch("", sent, longest_s + within_s, longest_s + _LOOK_ON_S)
            fire_lag = lag.since(sent)
            _ask(section, nodes, alerts, pool)
        finally:
            with stopping.shielded():
                resolved = _resolve(nodes, alerts, spending.headers, pool)
        over_s = receivers.watch(RESOLVED, resolved, resolve_s, 0.0)
        tried = tuple(
            Tried(
                alert.route.name,
                alert.name,
                tuple(alert.accepted),
                tuple(alert.refused.items()),
                tuple(alert.unresolved.items()),
                tuple(alert.told),
                receivers.arrivals(alert.number, sent, resolved),
                fired_s,
                over_s,
            )
            for alert in alerts
        )
        return Sent(tried, receivers.facts, found.paths, fire_lag, lag.since(resolved))


class _Receivers:
    """All receivers whose arrivals can be seen."""

    def __init__(
        self,
        section: Alerts,
        alerts: Sequence[_Alert],
        found: Routing,
        lag: Lag,
        spending: Spending,
        pool: ThreadPoolExecutor,
    ) -> None:
        self._follows = [Follow(receiver, section.label) for receiver in section.receivers if receiver.way]
        self._told_the_end = {receiver.name for receiver in section.receivers if receiver.resolved}
        self._expected = {route.name: _expected(route, found) for route in section.routes}
        self._alerts, self._lag, self._spending, self._pool = alerts, lag, spending, pool
        self._numbers = [alert.number for alert in alerts]

    def begin(self) -> None:
        """Begin to look at all of them."""
        list(self._pool.map(Follow.begin, self._follows))

    def end(self) -> None:
        """End it."""
        for follow in self._follows:
            follow.end()

    def watch(self, state: str, began: float, limit_s: float, least_s: float) -> float:
        """Poll all until everything that should come has come and `least_s` is over, and a moment longer.

        The limit is a time without what we were late ourselves. Returns how long it was, in seconds.
        """
        wait_s, enough_at = _FIRST_WAIT_S, 0.0
        while True:
            self._spending.check()
            over = self._lag.fair_s(began) > limit_s
            list(self._pool.map(Follow.poll, self._follows, repeat(self._numbers), repeat(over)))
            now = time.monotonic()
            if not enough_at and self._complete(state):
                enough_at = max(now + _MORE_S, began + least_s)
            if over or (enough_at and now >= enough_at):
                return round(now - began, 3)
            time.sleep(wait_s)
            wait_s = min(wait_s * 1.2, _LONGEST_WAIT_S, max(_FIRST_WAIT_S, limit_s / 20))

    def _complete(self, state: str) -> bool:
        """Return whether each receiver was told of what is declared; with a state only of what it was told before."""
        return all(
            follow.problem or follow.of(alert.number, state or None)
            for follow in self._follows
            for alert in self._alerts
            if (follow.name in self._expected[alert.route.name] and not state)
            or (state and follow.name in self._told_the_end and follow.of(alert.number))
        )

    def arrivals(self, number: str, sent: float, resolved: float) -> tuple[Arrival, ...]:
        """Return when an alert arrived."""
        return tuple(one for follow in self._follows for one in follow.arrivals(number, sent, resolved))

    @property
    def facts(self) -> tuple[Watched, ...]:
        """The receivers as values."""
        return tuple(follow.fact for follow in self._follows)


def _expected(route: Route, found: Routing) -> set[str]:
    """Return the receivers that are waited for: not those that the configuration does not lead to, or that send nothing."""
    led = {step.receiver for path in found.paths if path.route == route.name for step in path.steps}
    dead = {name for node in found.nodes for name in node.dead_ends}
    return set(route.receivers) & (led or set(route.receivers)) - dead


def _post(
    nodes: Sequence[Alertmanager], alerts: Sequence[_Alert], spending: Spending, pool: ThreadPoolExecutor
) -> float:
    """Send all alerts to each node; return when. Raises CannotTell if no node takes them."""
    documents = [alert.document() for alert in alerts]

    def to(node: Alertmanager) -> str:
        with spending.request(connects=True) as asked:
            try:
                alertmanager.post(node, documents, spending.headers)
            except CannotTell as error:
                return str(error)
            asked.answered()
            return ""

    before = time.monotonic()
    problems = list(pool.map(to, nodes))
    for node, problem in zip(nodes, problems, strict=True):
        for alert in alerts:
            if problem:
                alert.refused[node.called] = problem
            else:
                alert.accepted.append(node.called)
    if all(problems):
        raise CannotTell(f"no node of Alertmanager took an alert: {'; '.join(dict.fromkeys(problems))}")
    return before


def _ask(
    section: Alerts, nodes: Sequence[Alertmanager], alerts: Sequence[_Alert], pool: ThreadPoolExecutor
) -> None:
    """Ask each node what it says of each alert."""
    numbers = [alert.number for alert in alerts]
    said = pool.map(lambda node: told.by_number(node, section.label, numbers), nodes)
    for node, by_number in zip(nodes, said, strict=True):
        for alert in alerts:
            if node.called in alert.accepted:
                alert.told.append(by_number[alert.number])


def _resolve(
    nodes: Sequence[Alertmanager],
    alerts: Sequence[_Alert],
    headers: Mapping[str, str],
    pool: ThreadPoolExecutor,
) -> float:
    """End all alerts at each node; return when. A budget that is used up does not keep us from it."""
    now = datetime.now(UTC)
    documents = [alert.document(ends=now) for alert in alerts]

    def to(node: Alertmanager) -> str:
        try:
            alertmanager.post(node, documents, headers)
        except CannotTell as error:
            return str(error)
        return ""

    resolved = time.monotonic()
    for node, problem in zip(nodes, pool.map(to, nodes), strict=True):
        if problem:
            for alert in alerts:
                alert.unresolved[node.called] = problem
    return resolved


def _firing(section: Alerts, nodes: Sequence[Alertmanager]) -> bool:
    """Return whether an alert of ours still fires at a node."""
    return any(alertmanager.alerts(node, f'{section.label}=~".+"') for node in nodes)
