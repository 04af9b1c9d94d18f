"""Judges whether a metric that we caused to move was seen to move."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_deploygate.checks.monitoring.facts import Movement
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading

if TYPE_CHECKING:
    from pytest_deploygate.checks.monitoring.section import Moved


def judge_moved(movement: Movement, moved: Moved) -> Judgement:
    """Pass if the counter rose by all requests in time, and does not rise by as many without them."""
    found = Collector()
    within_s = moved.within.total_seconds()
    if movement.answered < movement.sent:
        found.read(Reading("requests answered as declared", movement.answered))
        found.unknown(
            f"{movement.url} answered {movement.answered} of {movement.sent} requests as declared, so what Prometheus should "
            "count is unknown: check the address and `status`"
        )
        return found.judgement(str)
    if movement.rise is None:
        found.unknown(
            f"Prometheus has no series {movement.metric}, so nothing can move: check the name, and that its target is scraped"
        )
        return found.judgement(str)
    good = movement.rise >= movement.sent
    if good and movement.alone * 2 >= movement.sent:
        found.read(
            Reading("rise after our requests", round(movement.rise)),
            Reading("rise without", round(movement.alone)),
        )
        found.unknown(
            f"{movement.metric} rises by {movement.alone:.0f} in {movement.took_s:.1f} s without us, so our {movement.sent} "
            "requests do not show: name a counter that fewer others move, or raise `requests`"
        )
        return found.judgement(str)
    found.read(
        Reading("rise after our requests", round(movement.rise), "", f"≥ {movement.sent}", ok=good),
        Reading("seen after", round(movement.took_s, 1), "s", f"≤ {within_s:g} s", ok=True)
        if good
        else Reading("waited", round(movement.took_s, 1), "s"),
    )
    if not good:
        found.wrong(
            f"{movement.metric} rose by {movement.rise:.0f} within {within_s:g} s after {movement.sent} requests to {movement.url}: "
            "Prometheus scrapes another server than the one that answers, or its samples do not arrive"
        )
    return found.judgement(
        lambda: (
            f"{movement.metric} rose by {movement.rise:.0f} after {movement.sent} requests of ours, seen after "
            f"{movement.took_s:.1f} s"
        )
    )
