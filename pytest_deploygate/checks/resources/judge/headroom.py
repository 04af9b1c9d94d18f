"""How much of a resource was left at the busiest time of a window."""

from __future__ import annotations

import dataclasses

from pytest_deploygate.checks.resources.facts import Point, Use, Used
from pytest_deploygate.checks.resources.judge.criterion import Criterion
from pytest_deploygate.checks.resources.judge.pictures import picture
from pytest_deploygate.checks.resources.judge.seen import clock, current, limit_of, share
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Judgement, Reading, words_for, words_for_count

_MOST_READINGS = 5
_MOST_PICTURES = 3
#: What may be full for a moment is judged by the share of time in which it is fuller.
_BRIEFLY = 0.05


@dataclass(frozen=True)
class _Busiest:
    use: Use
    percent: float
    at: float


def judge_headroom(found: Used, wanted: Criterion) -> Judgement:
    """Fail where less was left than required; a window of which too little was seen is inconclusive."""
    said = Collector(about=found.name, most=4, confirmed=True)
    busiest = [_busiest(use, wanted) for use in current(found, wanted, said)]
    busiest.sort(key=lambda each: (-each.percent, each.use.of))
    for each in busiest:
        if each.percent > wanted.most_percent:
            said.wrong(_too_little(each, wanted), where=each.use.of)
    for each in busiest[:_MOST_READINGS]:
        said.read(
            Reading(
                f"most used of {each.use.of}",
                round(each.percent, 2),
                "%",
                f"<= {wanted.most_percent:g} %",
                each.percent <= wanted.most_percent,
            )
        )
    judgement = said.judgement(lambda: _good(busiest, found, wanted))
    shown = [each for each in busiest if each.percent > wanted.most_percent][:_MOST_PICTURES] or busiest[:1]
    return dataclasses.replace(
        judgement, figures=tuple(picture(found, each.use, wanted.unit) for each in shown)
    )


def _busiest(use: Use, wanted: Criterion) -> _Busiest:
    """Return the highest share of the limit, without the fullest 5 % of the time where a moment may be full."""
    shares = sorted((_share(p), p.at) for p in use.points if p.used is not None and p.limit is not None)
    if not shares:
        return _Busiest(use, 0.0, use.points[-1].at)
    left_out = int(_BRIEFLY * len(shares)) if wanted.brief else 0
    share, at = shares[len(shares) - 1 - left_out]
    return _Busiest(use, 100 * share, at)


def _share(point: Point) -> float:
    if point.used is None or not point.limit or point.limit < 0:
        return 0.0
    return point.used / point.limit


def _too_little(each: _Busiest, wanted: Criterion) -> str:
    briefly = f" for more than {_BRIEFLY:.0%} of the time" if wanted.brief else ""
    return (
        f"{share(each.percent, limit_of(each.use), wanted, 'was')}{briefly} ({clock(each.at)}), limit"
        f" {wanted.most_percent:g} %: {wanted.next_step}"
    )


def _good(busiest: list[_Busiest], found: Used, wanted: Criterion) -> str:
    most = busiest[0]
    return (
        f"{found.name}: in {words_for(wanted.window_s)} of {words_for_count(len(busiest), 'series', 'series')} at most"
        f" {share(most.percent, limit_of(most.use), wanted, 'was')} ({most.use.of}, {clock(most.at)}), limit"
        f" {wanted.most_percent:g} %"
    )
