"""Judge the routes: as they are configured now, and by the alerts that went through them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_deploygate.checks.alerts.facts import Measured, Node, Routing, Sender, Sent, Step
from pytest_deploygate.checks.alerts.judge import arrivals
from pytest_deploygate.drills import judging as drills
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.alerts.section import Alerts

#: Whether an alert has ended is a matter of the node's clock.
_CLOCK_S = 5.0


def judge(measurement: Measured, criterion: Alerts) -> Judgement:
    """Pass if each route leads to exactly its receivers, and an alert went through it in time, once, and was resolved."""
    found = Collector(most=6, confirmed=True)
    routing = measurement.routing
    for node in routing.nodes:
        _node(node, len(routing.nodes), found)
    _sender(routing.sender, criterion, found)
    _configured(routing, criterion, found)
    _silences(routing, criterion, found)
    counted = drills.counted(
        measurement.evidence,
        criterion.max_age,
        "test of alert routing",
        f"set `alerts.opt_in: {measurement.evidence.environment}` or {drills.rerun(measurement.evidence.environment)}",
        readings=lambda _: (),
    )
    if isinstance(counted, Judgement):
        found.read(*counted.readings)
        found.unknown(counted.reason)
        return found.judgement(lambda: "")
    found.read(*counted.readings)
    sent = counted.record.facts
    if not sent.tried:
        found.unknown("no alert was sent, because no route is declared")
    dead = {name for node in routing.nodes for name in node.dead_ends}
    arrivals.judge(sent, dead, criterion, found)
    when = "" if measurement.evidence.ran_now else f", on {drills.when(counted.record)}"
    return found.judgement(lambda: _good(sent, when))


def _good(sent: Sent, when: str) -> str:
    number = len(sent.tried)
    which = "the alert of the route" if number == 1 else f"the alerts of all {number} routes"
    arrived = [one.after_s for tried in sent.tried for one in tried.arrivals if one.state != "resolved"]
    if not arrived:
        return f"Alertmanager sent {which} where they should go{when}; arrival cannot be seen anywhere"
    return (
        f"{which} arrived in time at exactly the receivers that are declared, once each and within {words_for(max(arrived))}, and "
        f"{'was' if number == 1 else 'were'} resolved{when}"
    )


def _node(node: Node, number: int, found: Collector) -> None:
    if node.problem:
        found.unknown(f"{node.problem}; until it can be asked, nobody knows what it would do with an alert")
        return
    if node.low_s is not None and node.high_s is not None:
        off_s = min((node.low_s, node.high_s), key=abs) if node.low_s * node.high_s > 0 else 0.0
        if abs(off_s) > _CLOCK_S:
            direction = "ahead of" if off_s > 0 else "behind"
            found.unknown(
                f"its clock is {words_for(abs(off_s))} {direction} ours, so alerts begin and end for it at other times: "
                "correct the clocks first",
                where=node.name,
            )
    if number < 2:
        return
    peers = node.peers or 1
    found.read(Reading(f"{node.name}: nodes in its cluster", peers, limit=f"{number}", ok=peers == number))
    if node.cluster == "settling":
        found.unknown("its cluster is still settling: run this again in a minute", where=node.name)
    elif peers < number:
        said = "is in no cluster" if node.peers is None else f"knows {peers} of {number} nodes"
        found.wrong(
            f"{said}, so they do not share what was sent: each sends every notification; correct --cluster.peer",
            where=node.name,
        )
    elif peers > number:
        found.unknown(
            f"its cluster has {peers} nodes, {number} are declared: add the others to `monitoring.alertmanagers`",
            where=node.name,
        )


def _sender(sender: Sender, criterion: Alerts, found: Collector) -> None:
    if sender.problem:
        found.unknown(sender.problem)
        return
    if not sender.active:
        found.wrong("Prometheus knows no Alertmanager, so none of its alerts is sent: correct `alerting`")
        return
    found.read(Reading("Alertmanagers that Prometheus sends to", len(sender.active)))
    if criterion.always is None:
        found.note(
            "our alerts went to Alertmanager directly: name an alert that always fires in `alerts.always`, so that the way "
            "from Prometheus is seen, too"
        )
    elif not sender.fires:
        found.wrong(
            f"{criterion.always} does not fire in Prometheus, which it always should: look at its rule",
        )
    else:
        for node, has in sender.standing.items():
            found.read(
                Reading(f"{node}: has {criterion.always}", "yes" if has else "no", limit="yes", ok=has)
            )
            if not has:
                found.wrong(
                    f"does not have {criterion.always}, which fires in Prometheus: Prometheus sends it nothing",
                    where=node,
                )


def _configured(routing: Routing, criterion: Alerts, found: Collector) -> None:
    """Judge the tree of routes of each node: a second opinion, which needs no alert."""
    routes = {route.name: route for route in criterion.routes}
    dead = {node.name: node.dead_ends for node in routing.nodes}
    known = {node.name: node.receivers for node in routing.nodes}
    for path in routing.paths:
        route = routes[path.route]
        led = sorted({step.receiver for step in path.steps})
        wanted = sorted(route.receivers)
        same = led == wanted
        found.read(
            Reading(f"{path.node}: {path.route} leads to", ", ".join(led), limit=", ".join(wanted), ok=same)
        )
        where = f"route {path.route}"
        if not same:
            absent = sorted(set(wanted) - set(known[path.node]))
            also = f" ({', '.join(absent)} is in no configuration there)" if absent else ""
            found.wrong(
                f"alerts with {_labels(route.labels)} go to {_and(led)}, declared is {_and(wanted)}{also}: correct the routes "
                "of Alertmanager",
                where=where,
            )
        for name in sorted(set(led) & set(dead[path.node])):
            found.wrong(
                f"its receiver {name} sends nothing anywhere: it has no integration in Alertmanager's configuration",
                where=where,
            )
        _muted(path.steps, where, found)
    unseen = {receiver.name: receiver.unseen for receiver in criterion.receivers if receiver.unseen}
    for name, why in unseen.items():
        found.note(f"only the routing to {name} was seen, not that alerts arrive there: {why}")


def _muted(steps: Sequence[Step], where: str, found: Collector) -> None:
    for step in steps:
        if step.muted:
            found.note(
                f"at some times nothing is sent to {step.receiver} (time intervals {', '.join(step.muted)})",
                where=where,
            )


def _silences(routing: Routing, criterion: Alerts, found: Collector) -> None:
    whole = {silence.id for silence in routing.silences if silence.whole}
    if any(not node.problem for node in routing.nodes):
        found.read(Reading("silences that hide a route's alerts", len(whole), limit="0", ok=not whole))
    for silence in routing.silences:
        which = (
            silence.alert
            or f"alerts with {_labels(next(r.labels for r in criterion.routes if r.name == silence.route))}"
        )
        said = (
            f"a silence by {silence.by or 'somebody'} until {silence.until:%Y-%m-%d %H:%M} UTC hides "
            f"{'' if silence.whole else 'a part of '}{which} ({silence.matchers}; {silence.comment or 'no comment'})"
        )
        where = f"route {silence.route}"
        if silence.whole:
            found.wrong(f"{said}: expire the silence {silence.id}", where=where)
        else:
            found.note(said, where=where)


def _labels(labels: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in labels.items())


def _and(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names) or "nowhere"
