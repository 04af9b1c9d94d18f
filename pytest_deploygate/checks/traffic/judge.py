"""Requests per second of both sides against their limits, with bounds for counts (Garwood 1936)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_deploygate.checks.traffic.facts import Sides
from pytest_deploygate.judging import counted_words
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.judging.counters import Counted
from pytest_deploygate.judging.proportions import rate_bounds
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Judgement, Reading, Series, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.traffic.section import Traffic

__all__ = ["judge"]

_LAST = 0.2


@dataclass(frozen=True)
class _Rate:
    """What was counted in so many seconds, and the bounds of the rate per second."""

    count: float
    lasted_s: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.count:.0f} in {words_for(self.lasted_s)}, {self.count / self.lasted_s:.3g}/s"


def judge(found: Sides, criterion: Traffic) -> Judgement:
    """Fail on too little on the new side or too much on the old one; what is between the bounds is inconclusive."""
    # Counts of a whole window with bounds need no second look.
    said = Collector(confirmed=True)
    _new(found.new, criterion, said)
    _old(found.old, criterion, said)
    for side in (found.new, found.old):
        said.note(*counted_words.notes(side))
    judged = said.judgement(lambda: _good(found, criterion))
    return replace(judged, figures=tuple(_figures(found, criterion)))


def _new(found: Counted, criterion: Traffic, said: Collector) -> None:
    floor = criterion.new.at_least_per_second
    if why := counted_words.unusable(found):
        said.unknown(why, where="new side")
        return
    whole, last = _whole(found, criterion.alpha), _last(found, criterion.alpha)
    for what, rate in (("", whole), (f" in the last {words_for(last.lasted_s)}", last)):
        wrong, good = rate.high < floor, rate.low > floor
        said.read(_reading(f"requests per second, new side{what}", rate, f"> {floor:g}/s", wrong, good))
        if wrong:
            said.wrong(
                f"{rate}{what and ' (the last part of the window)'}; at least {floor:g}/s must arrive: check DNS and the load balancer",
                where="new side",
            )
        elif not good:
            said.unknown(
                f"{rate}{what and ' (the last part of the window)'}, too close to the floor of {floor:g}/s to decide: use a longer "
                "`traffic.window`, or run this again later",
                where="new side",
            )


def _old(found: Counted, criterion: Traffic, said: Collector) -> None:
    ceiling = criterion.old.at_most_per_second
    if why := counted_words.unusable(found):
        said.unknown(why, where="old side")
        return
    rate = _whole(found, criterion.alpha)
    wrong, good = rate.low > ceiling, rate.high < ceiling
    said.read(_reading("requests per second, old side", rate, f"< {ceiling:g}/s", wrong, good))
    if wrong:
        last = _last(found, criterion.alpha)
        said.wrong(
            f"{rate}; at most {ceiling:g}/s may still arrive (the last {words_for(last.lasted_s)}: {last.count:.0f}): look for clients "
            "that keep the old address",
            where="old side",
        )
    elif not good:
        least_s = rate_bounds(0, criterion.alpha)[1] / ceiling
        said.unknown(
            f"{rate}, too close to the ceiling of {ceiling:g}/s to decide: use a `traffic.window` of more than {words_for(least_s)}, "
            "or run this again later",
            where="old side",
        )
    said.unknown(*counted_words.doubts(found), where="old side")


def _reading(name: str, rate: _Rate, limit: str, wrong: bool, good: bool) -> Reading:
    value = float(f"{rate.count / rate.lasted_s:.4g}")
    return Reading(name, value, "/s", limit, ok=good) if wrong or good else Reading(name, value, "/s")


def _whole(found: Counted, alpha: float) -> _Rate:
    return _rate(found.blocks, found.appeared, found.covered_s, alpha)


def _last(found: Counted, alpha: float) -> _Rate:
    """Return the rate in the last fifth of the window: requests that ended a while ago are hidden in the whole."""
    number = max(1, round(len(found.blocks) * _LAST))
    lasted = number * (found.end_s - found.start_s) / len(found.blocks) - found.newest_age_s
    return _rate(found.blocks[-number:], 0.0, min(lasted, found.covered_s), alpha)


def _rate(blocks: Sequence[float], appeared: float, lasted_s: float, alpha: float) -> _Rate:
    count = sum(blocks)
    lasted_s = max(lasted_s, 1e-3)
    low, _ = rate_bounds(count, alpha)
    _, high = rate_bounds(count + appeared, alpha)
    return _Rate(count, lasted_s, low / lasted_s, high / lasted_s)


def _good(found: Sides, criterion: Traffic) -> str:
    new, old = _whole(found.new, criterion.alpha), _whole(found.old, criterion.alpha)
    return (
        f"new side {new} (at least {criterion.new.at_least_per_second:g}/s), old side {old} (at most "
        f"{criterion.old.at_most_per_second:g}/s)"
    )


def _figures(found: Sides, criterion: Traffic) -> list[Series]:
    start = counted_words.moment(found.new.start_s)
    figures = []
    if found.new.series:
        floor = criterion.new.at_least_per_second
        lines = (counted_words.per_second("new side", found.new),)
        figures.append(Series("requests per second on the new side", "/s", lines, start=start, least=floor))
    if found.old.series:
        ceiling = criterion.old.at_most_per_second
        lines = (counted_words.per_second("old side", found.old),)
        figures.append(Series("requests per second on the old side", "/s", lines, ceiling, start))
    return figures
