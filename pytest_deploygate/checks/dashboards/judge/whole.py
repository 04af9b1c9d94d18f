"""Judge a dashboard by all its visits: what two of them lack is wrong, what one of them lacks is unknown."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_deploygate.checks.dashboards.facts import Opened
from pytest_deploygate.checks.dashboards.judge.visit import Point, age_s, points
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.dashboards.section import Dashboard

_TWICE = 2


def judge(measurement: Opened, criterion: Dashboard) -> Judgement:
    """Pass if each visit showed everything, and in time."""
    found = _collected(measurement, criterion)
    _times(measurement, criterion, found)
    limit = f" (limit {words_for(criterion.within)})"
    return _judged(measurement, found, limit)


def judge_open(measurement: Opened, criterion: Dashboard) -> Judgement:
    """Pass if each visit showed everything, however long it took."""
    found = _collected(measurement, criterion)
    took = [visit.took_s for visit in measurement.visits if visit.took_s is not None]
    if took:
        found.read(Reading(f"{measurement.name}: slowest visit", round(max(took), 2), "s"))
    return _judged(measurement, found, "")


def _judged(measurement: Opened, found: Collector, limit: str) -> Judgement:
    for visit in measurement.visits:
        found.note(*(f"on the page: {said}" for said in visit.failed[:2]))
    if vitals := measurement.visits[-1].vitals:
        found.note(f"Core Web Vitals of the last visit: {vitals}")
    pictures = tuple(visit.picture for visit in measurement.visits if visit.picture is not None)
    return replace(found.judgement(lambda: _good(measurement, limit)), figures=pictures[-1:])


def _good(measurement: Opened, limit: str) -> str:
    took = [visit.took_s for visit in measurement.visits if visit.took_s is not None]
    many = len(measurement.visits)
    return f"{measurement.name}: all that is expected was there in each of {many} visits, after at most {words_for(max(took))}{limit}"


def _collected(measurement: Opened, criterion: Dashboard) -> Collector:
    found = Collector(f"{measurement.name} ({measurement.url})", most=5, confirmed=True)
    many = len(measurement.visits)
    seen = [points(visit, criterion) for visit in measurement.visits]
    by_key: dict[str, list[Point]] = {}
    for visit in seen:
        for point in visit:
            by_key.setdefault(point.key, []).append(point)
    whole = sum(1 for visit in seen if not visit)
    for said in by_key.values():
        wrong = [point for point in said if not point.unknown]
        if len(wrong) >= _TWICE:
            found.wrong(wrong[-1].says)
        elif wrong:
            found.unknown(f"{wrong[0].says}; that was so in one of {many} visits, so run it again")
        else:
            found.unknown(said[-1].says)
    if found.failed:
        found.read(
            Reading(
                f"{measurement.name}: visits that showed everything",
                whole,
                limit=f"= {many}",
                ok=whole == many,
            )
        )
    elif whole == many:
        found.read(
            Reading(f"{measurement.name}: visits that showed everything", whole, limit=f"= {many}", ok=True)
        )
        _ages(measurement, criterion, found)
    return found


def _ages(measurement: Opened, criterion: Dashboard, found: Collector) -> None:
    """Add how old the newest points of the last visit were."""
    last = measurement.visits[-1]
    for request, answers in zip(criterion.data, last.data, strict=True):
        best = max(answers, key=lambda answer: (answer.points, answer.newest_s or 0.0))
        limit = f"at most {words_for(request.newest)}"
        age = round(age_s(best, last), 1)
        found.read(
            Reading(f"{measurement.name}: age of the newest point of {request.url}", age, "s", limit, ok=True)
        )


def _times(measurement: Opened, criterion: Dashboard, found: Collector) -> None:
    """Judge the times: two late visits are wrong, a single one is unknown, and one that our own delay explains, too."""
    limit_s = criterion.within.total_seconds()
    limit = f"at most {words_for(limit_s)}"
    took = [(visit.took_s, visit.lag) for visit in measurement.visits if visit.took_s is not None]
    if not took:
        return
    name = f"{measurement.name}: slowest visit"
    slowest_s = max(took_s for took_s, _ in took)
    late = [(took_s, lag.explains(took_s, limit_s)) for took_s, lag in took if took_s > limit_s]
    theirs = [took_s for took_s, why in late if not why]
    said = f"took up to {words_for(slowest_s)} until it showed everything, {limit} is allowed"
    if not late:
        found.read(Reading(name, round(slowest_s, 2), "s", limit, ok=True))
    elif len(theirs) >= _TWICE:
        found.read(Reading(name, round(slowest_s, 2), "s", limit, ok=False))
        found.wrong(f"{said}; {len(theirs)} of {len(took)} visits were late")
    else:
        found.read(Reading(name, round(slowest_s, 2), "s"))
        why = next((why for _, why in late if why), "but only once, so run it again")
        found.unknown(f"{said}, {why}")
