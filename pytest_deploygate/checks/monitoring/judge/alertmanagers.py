"""Judges the Alertmanager cluster: all nodes there and joined, one configuration, and nothing that hides a required alert."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_deploygate.checks.monitoring.facts import Alertmanagers, Node
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading

if TYPE_CHECKING:
    from pytest_deploygate.checks.monitoring.section import Expected


def judge_alertmanagers(found_there: Alertmanagers, expected: Expected) -> Judgement:
    """Pass if every node knows all others, all run the same, Prometheus sends to all, and no required alert is hidden."""
    found = Collector(most=6)
    nodes = found_there.nodes
    joined = 0
    for node in nodes:
        joined += _joined(found, node, len(nodes))
        if not node.problem:
            _hidden(found, node)
            _clock(found, node, expected)
    number = len(nodes)
    if joined == number or found.failed:
        found.read(Reading("nodes that know all nodes", joined, "", f"≥ {number}", ok=joined == number))
    else:
        found.read(Reading("nodes that know all nodes", joined))
    if len({node.configuration for node in nodes if not node.problem}) > 1:
        found.wrong(
            "the nodes run different configurations, so who is told depends on the node: give them the same"
        )
    if "alertmanagers" not in expected.does_without:
        _told_to(found, found_there, number)
    return found.judgement(
        lambda: (
            f"{number} Alertmanagers know each other and run one configuration; no required alert is hidden"
        )
    )


def _clock(found: Collector, node: Node, expected: Expected) -> None:
    """A silence, and an alert's end, are moments by the node's clock."""
    limit_s = expected.clock_tolerance.total_seconds()
    if node.clock is None or node.clock.low_s <= 0 <= node.clock.high_s:
        return
    off_s = min(abs(node.clock.low_s), abs(node.clock.high_s))
    if off_s > limit_s:
        found.unknown(
            f"its clock is {off_s:.0f} s from ours (tolerance {limit_s:g} s), so when silences end is unknown: correct the "
            "wrong one",
            where=node.name,
        )


def _told_to(found: Collector, found_there: Alertmanagers, number: int) -> None:
    if isinstance(found_there.told_to, str):
        found.unknown(f"where Prometheus sends alerts is unknown: {found_there.told_to}")
        return
    told = len(set(found_there.told_to))
    good = told >= number
    found.read(Reading("nodes that Prometheus sends to", told, "", f"≥ {number}", ok=good))
    if not good:
        found.wrong(
            f"Prometheus sends alerts to {told} of {number} Alertmanagers ({', '.join(found_there.told_to) or 'none'}): nodes do "
            "not share alerts, so name all of them in `alerting.alertmanagers`"
        )


def _joined(found: Collector, node: Node, number: int) -> bool:
    """Return whether a node is ready and knows all others."""
    if node.problem:
        found.unknown(f"it cannot be asked: {node.problem}", where=node.name)
        return False
    if node.state == "settling":
        found.unknown("it still settles (10 s after a start): run this again", where=node.name)
        return False
    if number == 1 and node.state == "disabled":
        return True
    if node.state != "ready":
        found.wrong(
            f"its cluster is {node.state or 'not told'}, so each node notifies by itself: set --cluster.listen-address and "
            "--cluster.peer",
            where=node.name,
        )
        return False
    if node.peers != number:
        found.wrong(
            f"it knows {node.peers} of {number} nodes: notifications are doubled or lost; check --cluster.peer and port 9094",
            where=node.name,
        )
        return False
    return True


def _hidden(found: Collector, node: Node) -> None:
    for silence in node.silences:
        for name in silence.hides:
            found.wrong(
                f"the silence {silence.id} of {silence.by or 'nobody'} ({silence.comment or 'without a comment'}) hides the required "
                f"alert {name} until {silence.until}: expire it"
            )
        if silence.may_hide:
            found.note(
                f"the silence {silence.id} of {silence.by} hides {', '.join(silence.may_hide)} for some labels until {silence.until}"
            )
    for name, by in node.suppressed.items():
        found.wrong(f"the required alert {name} fires now and is hidden by {by}: nobody is told")
    for name, source in node.inhibited.items():
        found.wrong(
            f"an inhibition without `equal` hides the required alert {name} while {source} fires: add labels that both must share"
        )
