"""Why time is unknown, and which vantage points saw something else than most: told apart, as each has another cure."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Literal

from pytest_deploygate.checks.uptime.facts import State, Stretch, View, joined

Cause = Literal["unobserved", "around failures", "own network", "disagreement", "missing records"]


def causes(views: Sequence[View], voters: int, merged: Sequence[Stretch]) -> dict[Cause, float]:
    """Return how many seconds of the merged view are unknown for which cause."""
    found: defaultdict[Cause, float] = defaultdict(float)
    starts = [[s.start for s in view.stretches] for view in views]
    cuts = sorted({t for view in views for s in view.stretches for t in (s.start, s.end)} | _ends(views))
    for whole in merged:
        if whole.state != "unknown":
            continue
        inside = cuts[bisect_right(cuts, whole.start) : bisect_right(cuts, whole.end)]
        for left, right in itertools.pairwise(sorted({whole.start, *inside, whole.end})):
            seen = [_at(view, start, left) for view, start in zip(views, starts, strict=True)]
            found[_cause(views, voters, seen, (left + right) / 2)] += right - left
    longest_first = sorted(found.items(), key=lambda entry: -entry[1])
    return {cause: round(seconds, 3) for cause, seconds in longest_first}


def _ends(views: Sequence[View]) -> set[float]:
    """Return where the time around failures and interruptions begins and ends: an interval before and after them."""
    spans = ((view, span) for view in views for span in (*view.failing, *view.cut_off))
    return {t for view, (first, last) in spans for t in (first - view.every_s, last + view.every_s)}


def outvoted(view: View, merged: Sequence[Stretch]) -> tuple[Stretch, ...]:
    """Return when one vantage point saw the target down while most saw it up."""
    return joined(_both(view.stretches, merged))


def _both(mine: Sequence[Stretch], merged: Sequence[Stretch]) -> Iterator[Stretch]:
    up = [s for s in merged if s.state == "up"]
    ends = [s.end for s in up]
    for down in (s for s in mine if s.state == "down"):
        for most in itertools.islice(up, bisect_right(ends, down.start), None):
            if most.start >= down.end:
                break
            yield Stretch(max(down.start, most.start), min(down.end, most.end), "down")


def _at(view: View, starts: Sequence[float], moment: float) -> Stretch | None:
    here = bisect_right(starts, moment) - 1
    return view.stretches[here] if here >= 0 and moment < view.stretches[here].end else None


def _cause(views: Sequence[View], voters: int, seen: Sequence[Stretch | None], moment: float) -> Cause:
    states: set[State] = {s.state for s in seen if s is not None}
    if {"up", "down"} <= states:
        return "disagreement"
    unknown = [v for v, s in zip(views, seen, strict=True) if s is None or s.state == "unknown"]
    if not unknown and voters > len(views):
        return "missing records"
    if any(_near(view.cut_off, moment, view.every_s) for view in unknown):
        return "own network"
    if any(_near(view.failing, moment, view.every_s) for view in unknown):
        return "around failures"
    return "unobserved"


def _near(spans: Sequence[tuple[float, float]], moment: float, within_s: float) -> bool:
    """Tell whether a moment is in one of the spans, or that near to it."""
    at = bisect_right(spans, (moment + within_s, float("inf")))
    return at > 0 and spans[at - 1][1] + within_s >= moment
