"""Uptime over a window: seconds of the budget that are spent, with bounds for unobserved time.

Computed twice, with unknown time as up and as down. A pass needs both to be under the budget, a fail both to be over
it. A majority of the vantage points decides the state; without a majority, it is unknown.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pytest_deploygate.checks.uptime.causes import Cause, causes, outvoted
from pytest_deploygate.checks.uptime.facts import State, Stretch, View, Watched, joined
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Judgement, Reading, Spans, Verdict, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.uptime.section import Uptime

__all__ = ["judge"]

#: A longer silence than this many intervals means that the watch has ended.
_SILENT = 3.0
_MOST_SPANS = 300
_MOST_GAPS = 3
#: What is said of unknown time, and what to do about it.
_UNKNOWN: dict[Cause, tuple[str, str]] = {
    "unobserved": (
        "were not observed",
        "check another vantage point's record or the load balancer's log",
    ),
    "around failures": (
        "are around failed answers, before and after which it may have been down",
        "check the load balancer's log, or watch more often",
    ),
    "own network": (
        "passed while the network of the watch itself was down, so they say nothing of the target",
        "use the record of another vantage point",
    ),
    "disagreement": (
        "were up from some vantage points and down from others, without a majority",
        "find out what differs on the way to it, and watch from one more place",
    ),
    "missing records": (
        "lack the records of vantage points that `vantage_points` promises",
        "copy those records here",
    ),
}
_WORST: tuple[State, ...] = ("down", "unknown", "up")


@dataclass(frozen=True)
class Spent:
    """How much of a window was down at least (`low_s`) and at most (`high_s`), and the stretches that show it.

    `high_s` counts future time as up: it is what is known now.
    """

    low_s: float
    high_s: float
    stretches: tuple[Stretch, ...]

    @property
    def unknown_s(self) -> float:
        """Seconds whose state is unknown."""
        return self.high_s - self.low_s


def spent(views: Sequence[tuple[Stretch, ...]], voters: int, start: float, end: float) -> Spent:
    """Merge views of `voters` vantage points by majority from `start` to `end`; outside of a view the state is unknown."""
    merged = joined(_merged(views, voters, start, end))
    low_s = sum((s.end - s.start for s in merged if s.state == "down"), 0.0)
    unknown_s = sum((s.end - s.start for s in merged if s.state == "unknown"), 0.0)
    return Spent(round(low_s, 3), round(low_s + unknown_s, 3), merged)


def _merged(views: Sequence[tuple[Stretch, ...]], voters: int, start: float, end: float) -> Iterator[Stretch]:
    cuts = {start, end} | {t for view in views for s in view for t in (s.start, s.end) if start < t < end}
    moments = sorted(cuts)
    places = [0] * len(views)
    for left, right in itertools.pairwise(moments):
        states = [_state(view, places, number, left) for number, view in enumerate(views)]
        agreed: State = "unknown"
        for state in ("up", "down"):
            if 2 * states.count(state) > voters:
                agreed = state
        yield Stretch(left, right, agreed)


def _state(view: tuple[Stretch, ...], places: list[int], number: int, moment: float) -> State:
    """Return a view's state from `moment` on; `places` keeps its position, as moments ascend."""
    while places[number] < len(view) and view[places[number]].end <= moment:
        places[number] += 1
    here = places[number]
    return view[here].state if here < len(view) and view[here].start <= moment else "unknown"


def judge(found: Watched, expected: Uptime) -> Judgement:
    """Pass when the whole window is over and less than the budget was lost, even if all unobserved time was down."""
    start, why = _t0(found, expected)
    if start is None:
        return Judgement(Verdict.INCONCLUSIVE, why)
    if found.now <= start:
        return Judgement(
            Verdict.INCONCLUSIVE, f"the window has not begun: t0 is {_clock(start)}", notes=found.notes
        )
    end = start + expected.window.total_seconds()
    voters = max(expected.vantage_points or len(found.views), len(found.views))
    known_until = _known_until(found, start, end)
    lost = spent([view.stretches for view in found.views], voters, start, known_until)
    why_unknown = causes(found.views, voters, lost.stretches)
    verdict, reason = _verdict(found, expected, lost, end, known_until, why_unknown)
    return Judgement(
        verdict,
        f"{found.target}: {reason}",
        tuple(_readings(found, expected, lost, known_until - start, voters, why_unknown)),
        notes=(
            *found.notes,
            *_alone(found, lost),
            *(note for view in found.views for note in view.notes),
            *_overlooked(found, expected),
        ),
        confirmed=verdict is Verdict.FAIL,
        figures=(_figure(found, lost, start, end),),
    )


def _t0(found: Watched, expected: Uptime) -> tuple[float | None, str]:
    if expected.t0 is not None:
        return expected.t0.timestamp(), ""
    declared = {view.t0 for view in found.views if view.t0 is not None}
    if len(declared) == 1:
        return declared.pop(), ""
    if not declared:
        return None, "the beginning of the window was not declared; add `uptime: {t0: …}` or watch with --t0"
    times = ", ".join(f"{view.vantage}: {_clock(view.t0)}" for view in found.views if view.t0)
    return None, f"the records declare different times t0 ({times}); add the right one as `uptime: {{t0: …}}`"


def _known_until(found: Watched, start: float, end: float) -> float:
    """Return until when there should be observations: a running watch is up to an interval behind."""
    if found.now >= end:
        return end
    last = max((view.stretches[-1].end for view in found.views if view.stretches), default=start)
    silent = found.now - last > _SILENT * min(view.every_s for view in found.views)
    return found.now if silent else max(start, min(last, found.now))


def _verdict(
    found: Watched,
    expected: Uptime,
    lost: Spent,
    end: float,
    known_until: float,
    why_unknown: dict[Cause, float],
) -> tuple[Verdict, str]:
    budget = expected.budget_s
    words = f"between {_s(lost.low_s)} and {_s(lost.high_s)} s of {_s(budget)} s of downtime are spent"
    every_s = max(view.every_s for view in found.views)
    if lost.low_s >= budget:
        early = f", {words_for(end - found.now)} before the window ends" if found.now < end else ""
        return Verdict.FAIL, (
            f"down for at least {_s(lost.low_s)} s (at most {_s(lost.high_s)} s), the budget of {_s(budget)} s is"
            f" spent{early}: {_outages(lost)}{_why(found)}"
        )
    if not any(view.samples for view in found.views):
        return Verdict.INCONCLUSIVE, "there is no sample yet; check that the watch is running"
    if math.isinf(every_s):
        return Verdict.INCONCLUSIVE, "there are too few samples to determine the interval"
    if expected.too_long(every_s, budget):
        return Verdict.INCONCLUSIVE, (
            f"sampled only every {_s(every_s)} s: a single failed answer could be {_s(2 * every_s)} s of the"
            f" {_s(budget)} s; watch at least every {_s(budget / 2)} s, better every {_s(budget / 17)} s"
        )
    if found.now < end:
        return Verdict.INCONCLUSIVE, _not_yet(found, expected, lost, end, known_until, words)
    if lost.high_s < budget:
        alone = "".join(f"; but {told}" for told in _alone(found, lost))
        return Verdict.PASS, _passed(found, lost, budget, every_s) + alone
    told = "; ".join(f"{_s(seconds)} s {_UNKNOWN[cause][0]}" for cause, seconds in why_unknown.items())
    most = next(iter(why_unknown))
    return Verdict.INCONCLUSIVE, f"{words}: {told}{_gaps(lost)}; {_UNKNOWN[most][1]}"


def _alone(found: Watched, lost: Spent) -> Iterator[str]:
    """Yield what one vantage point saw down while most saw it up: its users were cut off, if nobody else's."""
    for view in found.views:
        if spans := outvoted(view, lost.stretches):
            longest = max(spans, key=lambda s: s.end - s.start)
            yield (
                f"{view.vantage} saw it down for {_s(sum(s.end - s.start for s in spans))} s while most saw it up, the "
                f"longest from {_clock(longest.start)} to {_time(longest.end)}: check the way from there"
            )


def _overlooked(found: Watched, expected: Uptime) -> Iterator[str]:
    if any(t.name == found.target and t.url and t.trusts_the_status for t in expected.targets):
        yield "only its status is looked at, so an error page with a good one counts as up: name its text with `contains`"


def _passed(found: Watched, lost: Spent, budget: float, every_s: float) -> str:
    places = f"{len(found.views)} vantage points" if len(found.views) > 1 else found.views[0].vantage
    how_much = (
        "no downtime"
        if lost.high_s == 0
        else f"at most {_s(lost.high_s)} s of downtime (at least {_s(lost.low_s)} s)"
    )
    return f"{how_much} of {_s(budget)} s allowed, sampled every {_s(every_s)} s from {places}"


def _not_yet(
    found: Watched, expected: Uptime, lost: Spent, end: float, known_until: float, words: str
) -> str:
    window_s = expected.window.total_seconds()
    text = (
        f"{words_for(window_s - (end - known_until))} of {words_for(window_s)} are over, {words};"
        f" run again after {_clock(end)}"
    )
    last = max((view.stretches[-1].end for view in found.views if view.stretches), default=None)
    if known_until == found.now and last is not None and last < found.now:
        text += f". The last sample is {words_for(found.now - last)} old: check the watch with `deploygate watch --status`"
    if lost.high_s >= expected.budget_s:
        text += f". It can no longer pass: {_s(lost.unknown_s)} s are unknown{_gaps(lost)}"
    return text


def _outages(lost: Spent) -> str:
    down = sorted((s for s in lost.stretches if s.state == "down"), key=lambda s: s.start - s.end)
    longest = f"{_clock(down[0].start)} to {_time(down[0].end)} ({_s(down[0].end - down[0].start)} s)"
    return longest if len(down) == 1 else f"{len(down)} outages, the longest {longest}"


def _gaps(lost: Spent) -> str:
    gaps = sorted((s for s in lost.stretches if s.state == "unknown"), key=lambda s: s.start - s.end)
    said = [f"{_clock(s.start)} to {_time(s.end)}" for s in gaps[:_MOST_GAPS]]
    more = f" and {len(gaps) - _MOST_GAPS} more times" if len(gaps) > _MOST_GAPS else ""
    return f", {', '.join(said)}{more}" if said else ""


def _why(found: Watched) -> str:
    reasons = [f"{why} ({count} times)" for view in found.views for why, count in view.failures[:1]]
    return f"; {reasons[0]}" if reasons else ""


def _readings(
    found: Watched,
    expected: Uptime,
    lost: Spent,
    seen_s: float,
    voters: int,
    why_unknown: dict[Cause, float],
) -> Iterator[Reading]:
    budget = expected.budget_s
    limit = f"under {_s(budget)} s ({expected.availability:g} % of {words_for(expected.window)})"
    yield Reading("downtime, at least", lost.low_s, "s", limit, lost.low_s < budget)
    yield Reading("downtime, at most", lost.high_s, "s", limit, lost.high_s < budget)
    yield Reading("unknown", lost.unknown_s, "s")
    yield from (Reading(f"unknown: {cause}", seconds, "s") for cause, seconds in why_unknown.items())
    whole = seen_s >= expected.window.total_seconds()
    yield Reading(
        "elapsed part of the window", round(seen_s, 1), "s", f"at least {words_for(expected.window)}", whole
    )
    yield Reading(f"vantage points (down is down from {voters // 2 + 1} of {voters})", len(found.views))
    for view in found.views:
        yield _view_reading(view)


def _view_reading(view: View) -> Reading:
    blind = f", {view.blind} while its own network was down" if view.blind else ""
    return Reading(
        f"samples from {view.vantage}",
        f"{view.samples}, {view.failed} failed{blind}, every {_s(view.every_s)} s",
    )


def _figure(found: Watched, lost: Spent, start: float, end: float) -> Spans:
    views = [(f"from {view.vantage}", view.stretches) for view in found.views]
    rows = [("majority", lost.stretches), *views] if len(views) > 1 else [(found.target, lost.stretches)]
    drawn = tuple((name, _spans(stretches, start, end)) for name, stretches in rows)
    return Spans(f"Uptime of {found.target}", drawn, round(end - start, 3), _iso(start))


def _spans(stretches: tuple[Stretch, ...], start: float, end: float) -> tuple[tuple[float, float, str], ...]:
    """Return what is drawn; with very many stretches each pixel shows the worst one that it covers."""
    inside = [Stretch(max(s.start, start), min(s.end, end), s.state) for s in stretches]
    inside = [s for s in inside if s.end > s.start]
    if len(inside) > _MOST_SPANS:
        inside = list(_coarser(inside, (end - start) / _MOST_SPANS, start))
    return tuple((round(s.start - start, 3), round(s.end - start, 3), s.state) for s in inside)


def _coarser(stretches: Sequence[Stretch], width: float, start: float) -> tuple[Stretch, ...]:
    worst: dict[int, State] = {}
    for s in stretches:
        for cell in range(int((s.start - start) / width), int((s.end - start) / width - 1e-9) + 1):
            worst[cell] = min(worst.get(cell, "up"), s.state, key=_WORST.index)
    cells = [(start + cell * width, start + (cell + 1) * width, worst[cell]) for cell in sorted(worst)]
    return joined(Stretch(*cell) for cell in cells)


def _s(seconds: float) -> str:
    return f"{seconds:.1f}".removesuffix(".0")


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S")


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
