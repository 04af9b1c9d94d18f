"""What one visit of a dashboard lacks. Each point has a key, by which it is known again in another visit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from pytest_deploygate.checks.dashboards.facts import Answer, Element, Painting, Value
from pytest_deploygate.judging import written
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import words_for, words_for_count

if TYPE_CHECKING:
    from pytest_deploygate.checks.dashboards.section import Dashboard, DataRequest, ShownQuery, ShownValue

_REFUSED = (401, 403)


@dataclass(frozen=True)
class Point:
    """Something that is wrong, or unknown."""

    key: str
    says: str
    unknown: bool = False


def points(visit: Painting, criterion: Dashboard) -> list[Point]:
    """Return what is wrong with a visit, or unknown of it; its time aside."""
    if visit.status is None:
        return [Point("open", "cannot be opened")]
    if visit.status in _REFUSED:
        return [
            Point(
                "open",
                f"answered {visit.status}: `form` or `token` must be of a user who may see it",
                unknown=True,
            )
        ]
    if visit.status >= 400:
        return [Point("open", f"answered {visit.status}")]
    found = list(_lacking(visit, criterion))
    if found and visit.landed:
        says = f"led to {visit.landed}: `form` or `token` must be of a user who may see it"
        return [Point("landed", says, unknown=True)]
    return found


def _lacking(visit: Painting, criterion: Dashboard) -> Iterator[Point]:
    for text in visit.unwanted:
        yield Point(f"lacks {text}", f"shows {text!r}")
    for request, answers in zip(criterion.data, visit.data, strict=True):
        yield from _data(request, answers, visit)
    for shown, element, value in zip(criterion.shows, visit.shows, visit.values, strict=True):
        yield from _shown(shown, element, value)
    for chart in visit.charts:
        if chart.text is None:
            yield Point(f"chart {chart.selector}", f"has no visible element {chart.selector}")
        elif chart.colours is None:
            yield Point(
                f"chart {chart.selector}", f"no picture could be taken of {chart.selector}", unknown=True
            )
        elif chart.colours < 2:
            yield Point(f"chart {chart.selector}", f"{chart.selector} is blank: its picture has one colour")


def _data(request: DataRequest, answers: tuple[Answer, ...], visit: Painting) -> Iterator[Point]:
    """The request's best answer counts: a page may ask several times."""
    key = f"data {request.url}"
    if not answers:
        said = f"made no request with {request.url}"
        if visit.failed:
            yield Point(key, f"{said}; it had an error: {visit.failed[0]}")
        else:
            yield Point(
                key, f"{said}: check `data.url`, and that the page asks when it is opened", unknown=True
            )
        return
    best = max(answers, key=lambda answer: (answer.points, answer.newest_s or 0.0))
    if not 200 <= best.status < 300:
        yield Point(key, f"its data request {request.url} was answered {best.status}")
    elif best.problem:
        yield Point(key, f"the answer to {request.url} {best.problem}", unknown=True)
    elif best.points < request.at_least:
        without = f" and {best.empty} without a value" if best.empty else ""
        yield Point(
            key,
            f"its data ({request.url}) have {words_for_count(best.points, 'point', 'points')}{without}, at least "
            f"{request.at_least} with a value are required",
        )
    elif (old_s := age_s(best, visit)) > request.newest.total_seconds():
        yield Point(
            key,
            f"the newest point of its data ({request.url}) is {words_for(old_s)} old, at most {words_for(request.newest)} is "
            "allowed: see what should have written newer ones",
        )


def age_s(answer: Answer, visit: Painting) -> float:
    """Return how old the newest point was when it was seen."""
    return max(0.0, visit.at_s - (answer.newest_s or 0.0))


def _shown(shown: ShownValue, element: Element, value: Value | None) -> Iterator[Point]:
    key = f"shows {shown.element}"
    text = element.text
    if not text:
        yield Point(
            key, f"{'has no visible element' if text is None else 'shows nothing in'} {shown.element}"
        )
    elif shown.text is not None and shown.text not in text:
        yield Point(key, f"{shown.element} shows {text!r}, not {shown.text!r}")
    elif shown.matches is not None and not re.search(shown.matches, text):
        yield Point(key, f"{shown.element} shows {text!r}, which does not match {shown.matches!r}")
    elif shown.query is not None and value is not None:
        yield from _number(key, shown, shown.query, text, value)


def _number(key: str, shown: ShownValue, query: ShownQuery, text: str, value: Value) -> Iterator[Point]:
    found = written.first(text)
    if value.problem or value.before is None or value.after is None:
        said = value.problem or "it returns nothing"
        yield Point(key, f"the query {query.name!r} has no answer: {said}", unknown=True)
    elif found is None:
        yield Point(key, f"{shown.element} shows {text!r}, which has no number")
    else:
        low, high = sorted((value.before, value.after))
        spare = Decimal(repr(shown.tolerance)) + (
            found.half if not low.is_integer() or not high.is_integer() else 0
        )
        if not Decimal(repr(low)) - spare <= found.value <= Decimal(repr(high)) + spare:
            meant = f"{low:.15g}" if low == high else f"{low:.15g} to {high:.15g}"
            yield Point(
                key, f"{shown.element} shows {text!r}, the database has {meant} (query {query.name!r})"
            )
