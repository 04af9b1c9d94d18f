"""What is used of a resource now, and when it is used up if it goes on like this.

It fails if even the latest time by the seen growth is within the horizon, and passes if even the earliest is beyond it. Growth
that was seen for a part of the window is believed for the same part of the horizon.
"""

from __future__ import annotations

import dataclasses
import math
import statistics

from pytest_deploygate.checks.resources.facts import Use, Used
from pytest_deploygate.checks.resources.judge.criterion import Criterion
from pytest_deploygate.checks.resources.judge.outlook import Outlook, outlooks, within_reach
from pytest_deploygate.checks.resources.judge.pictures import picture
from pytest_deploygate.checks.resources.judge.seen import clock, current, limit_of, listed, quantity, share
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Judgement, Reading, words_for, words_for_count

_MOST_READINGS = 5
_MOST_PICTURES = 3
_HOUR_S = 3600.0
#: Two times that differ by less are told as one.
_ALIKE = 1.05


@dataclass(frozen=True)
class _Judged:
    """One series as it was judged: which share of its limit is used, and its outlook, the worst one first.

    `bad` orders: 2 for wrong, 1 for unknown, 0 for good.
    """

    use: Use
    percent: float
    outlook: Outlook | None
    bad: int


def judge_use(found: Used, wanted: Criterion) -> Judgement:
    """Judge each series by what is used of it now and by its outlook; what is not seen, or has no limit, is inconclusive."""
    said = Collector(about=found.name, most=4, confirmed=True)
    for event in found.happened:
        if not event.hides:
            often = f" {words_for_count(event.times, 'time', 'times')}" if event.times > 1 else ""
            said.wrong(f"{event.what}{often} since {clock(found.now - found.window_s)}", where=event.of)
    if wanted.most_percent > wanted.usual_percent:
        said.note(
            f"{wanted.most_percent:g} % of it may be used now, which is more than the usual {wanted.usual_percent:g} %"
        )
    usable = current(found, wanted, said)
    judged = sorted(
        (_judge(use, found, wanted, said) for use in usable), key=lambda j: (-j.bad, -j.percent, j.use.of)
    )
    for each in judged[:_MOST_READINGS]:
        said.read(*_readings(each, wanted))
    judgement = said.judgement(lambda: _good(judged, found, wanted))
    shown = [each for each in judged if each.bad][:_MOST_PICTURES] or judged[:1]
    horizon_s = wanted.horizon_s or 0.0
    figures = tuple(
        picture(found, each.use, wanted.unit, each.outlook if each.bad else None, horizon_s) for each in shown
    )
    return dataclasses.replace(judgement, figures=figures)


def _judge(use: Use, found: Used, wanted: Criterion, said: Collector) -> _Judged:
    percent, limit, bad = now_percent(use, found, wanted), limit_of(use), 0
    if percent > wanted.most_percent:
        bad = 2
        said.wrong(
            f"{share(percent, limit, wanted)}, limit {wanted.most_percent:g} %: {wanted.next_step}",
            where=use.of,
        )
    ahead = _outlooks(use, wanted)
    worst = next(iter(sorted(ahead, key=lambda a: (not _is_wrong(a, wanted), a.early_s))), None)
    if worst is not None and not bad:
        if _is_wrong(worst, wanted):
            bad = 2
            said.wrong(_is_used_up(worst, percent, found, use, wanted), where=use.of)
        elif (unclear := next((a for a in reversed(ahead) if _is_unclear(a, wanted)), None)) is not None:
            bad, worst = 1, unclear
            said.unknown(_may_be_used_up(unclear, percent, found, use, wanted), where=use.of)
    return _Judged(use, percent, worst, bad)


def now_percent(use: Use, found: Used, wanted: Criterion) -> float:
    """Return how many per cent of the limit are used: the median of what is recent, or its mean where a moment may be full."""
    pairs = [(p.used, p.limit) for p in use.points if p.used is not None and p.limit is not None]
    recent = max(1, round(wanted.recent_s / found.step_s))
    pairs = pairs[-recent:]
    if wanted.brief:
        return 100 * sum(used for used, _ in pairs) / (sum(limit for _, limit in pairs) or math.inf)
    return 100 * statistics.median(
        used / limit if limit > 0 else 0.0 for used, limit in pairs or [(0.0, 1.0)]
    )


def _outlooks(use: Use, wanted: Criterion) -> list[Outlook]:
    if wanted.horizon_s is None:
        return []
    samples, limit = [(p.at, p.used) for p in use.points if p.used is not None], limit_of(use)
    return outlooks(samples, limit) if within_reach(samples, limit, wanted.horizon_s) else []


def _is_wrong(ahead: Outlook, wanted: Criterion) -> bool:
    reach_s = (wanted.horizon_s or 0.0) * min(1.0, 1.05 * ahead.trend.span_s / wanted.window_s)
    return ahead.late_s <= reach_s and not ahead.returned


def _is_unclear(ahead: Outlook, wanted: Criterion) -> bool:
    return (ahead.likely_s if ahead.begun else ahead.early_s) <= (wanted.horizon_s or 0.0)


def _is_used_up(ahead: Outlook, percent: float, found: Used, use: Use, wanted: Criterion) -> str:
    when = words_for(ahead.early_s)
    if ahead.late_s > _ALIKE * ahead.early_s:
        when += f" to {words_for(ahead.late_s)}"
    return (
        f"is used up in {when} (from {clock(found.now + ahead.early_s)} on) if it goes on like this, horizon"
        f" {words_for(wanted.horizon_s or 0.0)}: {_course(ahead, percent, use, wanted)}: {wanted.next_step}"
    )


def _may_be_used_up(ahead: Outlook, percent: float, found: Used, use: Use, wanted: Criterion) -> str:
    if ahead.begun:
        why = "it came down by as much once" if ahead.returned else "that is too short to tell"
        return (
            f"would be used up in {words_for(ahead.likely_s)} if it goes on, horizon {words_for(wanted.horizon_s or 0.0)}:"
            f" {_course(ahead, percent, use, wanted)}; {why}: look what uses it, and run this again after"
            f" {clock(found.now + ahead.trend.span_s)}"
        )
    late = "never" if math.isinf(ahead.late_s) else f"in {words_for(ahead.late_s)}"
    return (
        f"may be used up in {words_for(ahead.early_s)}, or {late}, horizon {words_for(wanted.horizon_s or 0.0)}:"
        f" {_course(ahead, percent, use, wanted)}, which is too uneven to tell: look what uses it, or use a longer window"
    )


def _course(ahead: Outlook, percent: float, use: Use, wanted: Criterion) -> str:
    low, high = (quantity(slope * _HOUR_S, wanted.unit) for slope in (ahead.trend.low, ahead.trend.high))
    return (
        f"{share(percent, limit_of(use), wanted)}, and it {'grew' if ahead.trend.low >= 0 else 'changed'} by {_between(low, high)} an hour"
        f" for {words_for(ahead.trend.span_s)}"
    )


def _between(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


def _readings(each: _Judged, wanted: Criterion) -> list[Reading]:
    readings = [
        Reading(
            f"used of {each.use.of}",
            round(each.percent, 2),
            "%",
            f"<= {wanted.most_percent:g} %",
            each.percent <= wanted.most_percent,
        )
    ]
    if each.outlook is not None and wanted.horizon_s is not None and each.percent <= wanted.most_percent:
        soon_s = each.outlook.likely_s if each.outlook.begun else each.outlook.early_s
        if math.isfinite(soon_s):
            hours, limit = round(soon_s / _HOUR_S, 1), round(wanted.horizon_s / _HOUR_S, 2)
            readings.append(
                Reading(f"until it is used up, {each.use.of}", hours, "h", f"> {limit:g} h", each.bad == 0)
            )
    return readings


def _good(judged: list[_Judged], found: Used, wanted: Criterion) -> str:
    most = judged[0]
    series = listed([most.use.of])
    text = (
        f"{found.name}: of {words_for_count(len(judged), 'series', 'series')} the fullest is {series}:"
        f" {share(most.percent, limit_of(most.use), wanted)}, limit {wanted.most_percent:g} %"
    )
    if wanted.horizon_s is not None:
        text += f"; by {words_for(wanted.window_s)} of samples none is used up within {words_for(wanted.horizon_s)}"
    return text
