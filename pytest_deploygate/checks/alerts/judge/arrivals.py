"""Judge what became of each alert that was sent: where it arrived, when, how often, and whether it was resolved."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from pytest_deploygate.checks.alerts.facts import Arrival, Sent, Step, Told, Tried
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Reading, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.alerts.section import Alerts, Receiver, Route

_RESOLVED = "resolved"


def judge(sent: Sent, dead: Collection[str], criterion: Alerts, found: Collector) -> None:
    """Judge the alerts of all routes. `dead` are receivers without any integration, which is said already."""
    routes = {route.name: route for route in criterion.routes}
    receivers = {receiver.name: receiver for receiver in criterion.receivers}
    blind = {watched.receiver: watched.problem for watched in sent.receivers if watched.problem}
    for name, problem in blind.items():
        found.unknown(f"what arrives there could not be seen: {problem}", where=f"receiver {name}")
    if sent.doubled:
        found.note(
            f"in a first test {', '.join(sent.doubled)} {'was' if len(sent.doubled) == 1 else 'were'} told twice of an alert, so it was "
            "repeated: this is the second one"
        )
    tried = {one.route for one in sent.tried}
    for name in routes.keys() - tried:
        found.unknown("no alert was sent for it", where=f"route {name}")
    for one in sent.tried:
        if route := routes.get(one.route):
            _Route(one, route, receivers, sent, criterion, found).judge(blind, dead)


class _Route:
    """The judgement of one route."""

    def __init__(
        self,
        tried: Tried,
        route: Route,
        receivers: Mapping[str, Receiver],
        sent: Sent,
        criterion: Alerts,
        found: Collector,
    ) -> None:
        self._tried, self._route, self._receivers = tried, route, receivers
        self._sent, self._criterion, self._found = sent, criterion, found
        self._where = f"route {route.name}"
        steps = [step for path in sent.paths if path.route == route.name for step in path.steps]
        self._steps: dict[str, list[Step]] = {}
        for step in steps:
            self._steps.setdefault(step.receiver, []).append(step)
        #: That the configuration leads elsewhere is said once, with what to correct.
        self._as_configured = set(self._steps) == set(route.receivers)

    def judge(self, blind: Mapping[str, str], dead: Collection[str]) -> None:
        """Judge where the alert arrived."""
        tried, found = self._tried, self._found
        for node, problem in tried.refused:
            found.unknown(f"it did not take the alert: {problem}", where=f"{self._where}, {node}")
        hidden = self._hidden()
        self._told()
        came = {arrival.receiver for arrival in tried.arrivals}
        for name in self._route.receivers:
            if name in blind or not self._receivers[name].way:
                continue
            if name in came:
                self._arrived(name)
            elif name in dead or (self._steps and name not in self._steps):
                self._read_absent(name)
            elif not hidden:
                self._absent(name)
        for name in sorted(came - set(self._route.receivers)):
            found.read(Reading(f"{self._route.name}: arrives at {name}", "yes", limit="no", ok=False))
            if name not in self._steps:
                found.wrong(
                    f"its alert arrived at {name}, declared is {', '.join(self._route.receivers)}",
                    where=self._where,
                )

    def _hidden(self) -> bool:
        """Say what suppressed the alert; return whether something did."""
        suppressed = [told for told in self._tried.told if told.state == "suppressed"]
        for told in suppressed:
            by = f"the silence {told.silenced_by[0]}" if told.silenced_by else _inhibitor(told)
            self._found.wrong(f"its alert was suppressed by {by}, so nobody was told", where=self._where)
        return bool(suppressed)

    def _told(self) -> None:
        """Judge where the nodes said that they send the alert."""
        wanted = sorted(self._route.receivers)
        if hidden := sorted({name for told in self._tried.told for name in told.hides}):
            self._found.note(
                f"while its alert fired it inhibited {', '.join(hidden)}, which really fires: add `equal` to the inhibition rule",
                where=self._where,
            )
        for told in self._tried.told:
            if told.problem:
                self._found.unknown(told.problem, where=f"{self._where}, {told.node}")
            elif sorted(set(told.receivers)) != wanted and self._as_configured:
                self._found.wrong(
                    f"Alertmanager sent its alert to {', '.join(sorted(set(told.receivers))) or 'nobody'}, declared is "
                    f"{', '.join(wanted)}",
                    where=self._where,
                )

    def _arrived(self, name: str) -> None:
        arrivals = [each for each in self._tried.arrivals if each.receiver == name]
        fired = [each for each in arrivals if each.state != _RESOLVED]
        if fired:
            self._in_time(name, min(fired, key=lambda each: each.after_s))
            self._once(name, fired)
        else:
            self._found.unknown(
                f"{name} was told that its alert is resolved, but not that it fires", where=self._where
            )
        if self._receivers[name].resolved:
            self._resolved(name, arrivals)

    def _in_time(self, name: str, first: Arrival) -> None:
        limit_s = self._wait_s(name) + self._criterion.within.total_seconds()
        limit = f"at most {words_for(limit_s)}"
        # Between two polls, the earlier time counts.
        late = first.not_before_s > limit_s
        after_s = first.not_before_s if first.after_s > limit_s else first.after_s
        reading = f"{self._route.name}: arrives at {name} after"
        why = self._sent.lag.explains(after_s, limit_s) if late else ""
        if why:
            self._found.read(Reading(reading, round(after_s, 2), "s"))
            self._found.unknown(
                f"its alert arrived at {name} after {words_for(after_s)}, {why}", where=self._where
            )
            return
        self._found.read(Reading(reading, round(after_s, 2), "s", limit, ok=not late))
        if late:
            self._found.wrong(
                f"its alert arrived at {name} after {words_for(after_s)}, {limit} is allowed",
                where=self._where,
            )

    def _wait_s(self, name: str) -> float:
        return max((step.longest_s for step in self._steps.get(name, ())), default=0.0)

    def _once(self, name: str, fired: Sequence[Arrival]) -> None:
        steps = self._steps.get(name, [])
        times = len(fired)
        reading = f"{self._route.name}: times that {name} was told"
        shared = not all(step.fresh for step in steps) or not steps
        again = any(step.repeat_s < self._tried.watched_s for step in steps)
        if times > 1 and (shared or again):
            self._found.read(Reading(reading, times))
            why = (
                "the group that its alert is in was notified again"
                if shared
                else "its notification was repeated"
            )
            self._found.note(f"{name} was told {times} times: {why}", where=self._where)
            return
        self._found.read(Reading(reading, times, limit="1", ok=times == 1))
        if times > 1:
            self._found.wrong(
                f"{name} was told {times} times of one alert: look whether the nodes of Alertmanager share what they sent, and "
                "whether two routes lead there",
                where=self._where,
            )

    def _resolved(self, name: str, arrivals: Sequence[Arrival]) -> None:
        resolved = [each for each in arrivals if each.state == _RESOLVED]
        reading = f"{self._route.name}: {name} is told that it is resolved after"
        steps = self._steps.get(name, [])
        limit_s = (
            max((step.interval_s for step in steps), default=0.0) + self._criterion.within.total_seconds()
        )
        limit = f"at most {words_for(limit_s)}"
        if self._tried.unresolved:
            node, problem = self._tried.unresolved[0]
            self._found.unknown(f"its alert could not be resolved: {problem}", where=f"{self._where}, {node}")
            return
        if not resolved:
            if any(each.state == "" for each in arrivals):
                self._found.unknown(
                    f"the messages at {name} do not say whether the alert fires or is resolved: add the status to their "
                    "template, or set `resolved: false`",
                    where=self._where,
                )
                return
            self._found.read(Reading(reading, "not at all", limit=limit, ok=False))
            self._found.wrong(
                f"{name} was not told within {words_for(limit_s)} that its alert is resolved: set send_resolved in "
                "Alertmanager's configuration",
                where=self._where,
            )
            return
        first = min(resolved, key=lambda each: each.after_s)
        late = first.not_before_s > limit_s
        after_s = first.not_before_s if first.after_s > limit_s else first.after_s
        why = self._sent.resolved_lag.explains(after_s, limit_s) if late else ""
        if why:
            self._found.read(Reading(reading, round(after_s, 2), "s"))
            self._found.unknown(
                f"{name} was told after {words_for(after_s)} that its alert is resolved, {why}",
                where=self._where,
            )
            return
        self._found.read(Reading(reading, round(after_s, 2), "s", limit, ok=not late))
        if late:
            self._found.wrong(
                f"{name} was told after {words_for(after_s)} that its alert is resolved, {limit} is allowed",
                where=self._where,
            )

    def _absent(self, name: str) -> None:
        """Judge an alert that did not arrive at a receiver within the whole bound."""
        limit_s = self._wait_s(name) + self._criterion.within.total_seconds()
        said = f"its alert did not arrive at {name} within {words_for(self._tried.watched_s)}"
        steps = self._steps.get(name, [])
        reading = f"{self._route.name}: arrives at {name} after"
        muted = sorted({interval for step in steps for interval in step.muted})
        unsure = ""
        if not self._steps:
            unsure = "but it is not known how long Alertmanager waits, because no configuration could be read"
        elif self._tried.watched_s < limit_s:
            unsure = f"which is less than the {words_for(limit_s)} that it may take"
        elif muted:
            unsure = f"but nothing is sent there at some times ({', '.join(muted)}): run this at another time"
        elif all(told.problem for told in self._tried.told):
            unsure = "and no node says what it did with it"
        else:
            unsure = self._sent.lag.explains(self._tried.watched_s, limit_s)
        if unsure:
            self._found.read(Reading(reading, "not at all"))
            self._found.unknown(f"{said}, {unsure}", where=self._where)
            return
        self._found.read(Reading(reading, "not at all", limit=f"at most {words_for(limit_s)}", ok=False))
        self._found.wrong(
            f"{said}: look at its routes and at the errors of its integration in Alertmanager's log",
            where=self._where,
        )

    def _read_absent(self, name: str) -> None:
        limit_s = self._wait_s(name) + self._criterion.within.total_seconds()
        limit = f"at most {words_for(limit_s)}"
        reading = f"{self._route.name}: arrives at {name} after"
        self._found.read(Reading(reading, "not at all", limit=limit, ok=False))


def _inhibitor(told: Told) -> str:
    return f"the alert {told.inhibited_by[0]}, which inhibits it" if told.inhibited_by else "a mute time"
