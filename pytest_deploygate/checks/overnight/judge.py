"""The night's series against their bands. What was not seen is unknown: a gap is never inside a band."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pytest_deploygate.checks.overnight.facts import Named, Night, Watched
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Judgement, Line, Reading, Series, words_for, words_for_count

if TYPE_CHECKING:
    from pytest_deploygate.checks.overnight.section import NightSeries, Overnight

__all__ = ["judge"]

_MOST_POINTS = 1000
_MOST_FIGURES = 12


def judge(found: Night, criterion: Overnight) -> Judgement:
    """Fail what left its band for too long; gaps, missing series and values that are no numbers are inconclusive."""
    # A whole night needs no second look.
    said = Collector(confirmed=True)
    wanted = {series.name: series for series in criterion.series}
    for named in found.series:
        _named(named, wanted[named.name], found, criterion, said)
    judged = said.judgement(lambda: _good(found))
    figures = [figure for named in found.series for figure in _figures(named, wanted[named.name], found)]
    return replace(judged, figures=tuple(figures[:_MOST_FIGURES]))


def _named(named: Named, wanted: NightSeries, night: Night, criterion: Overnight, said: Collector) -> None:
    there = sum(watched.series for watched in named.found)
    if there < wanted.expected and (there or wanted.kind == "value"):
        said.unknown(
            f"Prometheus has {words_for_count(there, 'series', 'series')} of {wanted.selector} in the night, "
            f"{wanted.expected} expected: check the selector, and that all targets are scraped",
            where=named.name,
        )
    elif not named.found:
        said.unknown(
            f"Prometheus has no series {wanted.selector} in the night: check the selector, and that its target is scraped",
            where=named.name,
        )
    for watched in named.found:
        where = named.name if len(named.found) == 1 else f"{named.name} {watched.labels}"
        _watched(where, watched, wanted, night, criterion, said)


def _watched(
    where: str, watched: Watched, wanted: NightSeries, night: Night, criterion: Overnight, said: Collector
) -> None:
    said.unknown(*watched.doubts, where=where)
    if watched.odd:
        said.unknown(
            f"{words_for_count(len(watched.odd), 'value is', 'values are')} no number, the first at {_clock(night, watched.odd[0])}",
            where=where,
        )
    long = [(a, b) for a, b in watched.gaps if b - a > criterion.longest_gap.total_seconds()]
    if long:
        a, b = max(long, key=lambda gap: gap[1] - gap[0])
        others = (
            f" and {words_for_count(len(long) - 1, 'other time', 'other times')}" if len(long) > 1 else ""
        )
        said.unknown(
            f"no samples from {_clock(night, a)} to {_clock(night, b)} ({words_for(b - a)}; at most {words_for(criterion.longest_gap)})"
            f"{others}: what happened then is unknown; look at the target's and Prometheus' logs of that time",
            where=where,
        )
    elif watched.gaps:
        lasted = words_for(sum(b - a for a, b in watched.gaps))
        said.note(
            f"{words_for_count(len(watched.gaps), 'short gap', 'short gaps')}, {lasted} together", where=where
        )
    if not watched.points:
        said.unknown("not one sample can be judged", where=where)
        return
    outside = _outside(watched, wanted)
    allowed_s = wanted.outside_for.total_seconds()
    wrong = bool(outside) and (sum(each.lasted_s for each in outside) > allowed_s)
    said.read(*_readings(where, watched, wanted, wrong))
    if wrong:
        worst = max(outside, key=lambda each: each.far)
        others = (
            f", and {words_for_count(len(outside) - 1, 'more time', 'more times')}"
            if len(outside) > 1
            else ""
        )
        tolerated = f" (at most {words_for(allowed_s)} may be outside)" if allowed_s else ""
        said.wrong(
            f"{_value(worst.value, wanted)} at {_clock(night, worst.at_s)}, outside of {_band(wanted)} for {words_for(worst.lasted_s)} since "
            f"{_clock(night, worst.start_s)}{others}{tolerated}",
            where=where,
        )
    elif outside:
        lasted = words_for(sum(each.lasted_s for each in outside))
        said.note(f"outside of {_band(wanted)} for {lasted}, {words_for(allowed_s)} may be", where=where)


@dataclass(frozen=True)
class _Outside:
    """A time outside of the band, with its worst value."""

    start_s: float
    lasted_s: float
    at_s: float
    value: float
    far: float


def _outside(watched: Watched, wanted: NightSeries) -> list[_Outside]:
    found: list[_Outside] = []
    last = None
    for number, (at, value) in enumerate(watched.points):
        if not (far := _far(value, wanted)):
            continue
        if last is not None and last == number - 1 and at - watched.points[last][0] <= 3 * watched.step_s:
            before = found.pop()
            worse = far > before.far
            found.append(
                _Outside(
                    before.start_s,
                    at - before.start_s + watched.step_s,
                    at if worse else before.at_s,
                    value if worse else before.value,
                    max(far, before.far),
                )
            )
        else:
            found.append(_Outside(at, watched.step_s, at, value, far))
        last = number
    return found


def _far(value: float, wanted: NightSeries) -> float:
    """Return how far a value is outside of the band, 0 inside."""
    above = value - wanted.at_most if wanted.at_most is not None else 0.0
    below = wanted.at_least - value if wanted.at_least is not None else 0.0
    return max(above, below, 0.0)


def _readings(where: str, watched: Watched, wanted: NightSeries, wrong: bool) -> list[Reading]:
    """Return the lowest and the highest value; judged unless a time outside is tolerated."""
    values = [value for _, value in watched.points]
    unit = f" {wanted.unit}" if wanted.unit else ""
    found = []
    for what, value, edge, sign in (
        ("lowest", min(values), wanted.at_least, "≥"),
        ("highest", max(values), wanted.at_most, "≤"),
    ):
        rounded = float(f"{value:.6g}")
        if edge is None:
            found.append(Reading(f"{where}, {what}", rounded, wanted.unit))
            continue
        inside = value >= edge if sign == "≥" else value <= edge
        if inside or wrong:
            found.append(Reading(f"{where}, {what}", rounded, wanted.unit, f"{sign} {edge:g}{unit}", inside))
        else:
            found.append(Reading(f"{where}, {what}", rounded, wanted.unit))
    return found


def _band(wanted: NightSeries) -> str:
    if wanted.at_least is None:
        return f"the band of at most {_value(wanted.at_most or 0.0, wanted)}"
    if wanted.at_most is None:
        return f"the band of at least {_value(wanted.at_least, wanted)}"
    return f"the band {wanted.at_least:g} to {_value(wanted.at_most, wanted)}"


def _value(value: float, wanted: NightSeries) -> str:
    return f"{value:.4g}{' ' if wanted.unit and wanted.unit != '%' else ''}{wanted.unit}"


def _clock(night: Night, at_s: float) -> str:
    return f"{datetime.fromtimestamp(night.start_s + at_s, UTC):%Y-%m-%d %H:%M:%S}"


def _good(night: Night) -> str:
    number = sum(len(named.found) for named in night.series)
    lasted = words_for(night.end_s - night.start_s)
    return f"{words_for_count(number, 'series was', 'series were')} inside of {'its band' if number == 1 else 'their bands'} for {lasted}, without gaps"


def _figures(named: Named, wanted: NightSeries, night: Night) -> list[Series]:
    start = datetime.fromtimestamp(night.start_s, UTC).isoformat(timespec="seconds")
    figures = []
    for watched in named.found:
        title = named.name if len(named.found) == 1 else f"{named.name} {watched.labels}"
        lines = (Line(named.name, tuple(_drawn(watched, night.end_s - night.start_s))),)
        figures.append(Series(title, wanted.unit, lines, wanted.at_most, start, wanted.at_least))
    return figures


def _drawn(watched: Watched, until_s: float) -> list[tuple[float, float | None]]:
    """Return the points for a picture: of many only the lowest and highest of each part, and a gap is a gap."""
    size = max(1, -(-len(watched.points) * 2 // _MOST_POINTS))
    kept: set[tuple[float, float]] = set()
    for n in range(0, len(watched.points), size):
        some = watched.points[n : n + size]
        kept |= (
            {min(some, key=lambda p: p[1]), max(some, key=lambda p: p[1]), some[0], some[-1]}
            if size > 2
            else {*some}
        )
    points: list[tuple[float, float | None]] = [*kept]
    points += [(at, None) for at in watched.odd]
    for a, b in watched.gaps:
        points.append(((a + b) / 2 if a > 0 and b < until_s else (a if a == 0 else b), None))
    return sorted(points, key=lambda point: point[0])
