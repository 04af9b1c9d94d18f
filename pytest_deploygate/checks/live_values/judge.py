"""Judge a live value: the page shows each value that was caused, and in time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_deploygate.checks.live_values.facts import Change, Watched
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.judging.sent_reading import not_taken
from pytest_deploygate.model import Judgement, Reading, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.live_values.section import LiveValue

__all__ = ["judge"]

_FEW = 2


def judge(measurement: Watched, criterion: LiveValue) -> Judgement:
    """Pass if every value that was caused was shown within the bound."""
    found = Collector(most=4)
    where = f"{measurement.name} ({measurement.page}, {criterion.element})"
    if measurement.status is None or measurement.status >= 400 or measurement.missing:
        _no_element(measurement, where, found)
    else:
        _changes(measurement, criterion, where, found)
    for said in measurement.failed[:_FEW]:
        found.note(f"on the page: {said}")
    return replace(found.judgement(lambda: _good(measurement, criterion)), figures=measurement.pictures)


def _no_element(measurement: Watched, where: str, found: Collector) -> None:
    status = measurement.status
    if status is None:
        found.wrong("the page cannot be opened", where=where)
    elif status in (401, 403):
        found.unknown(f"the page answered {status}: `form` must name a user who may see it", where=where)
    elif status >= 400:
        found.wrong(f"the page answered {status}", where=where)
    else:
        found.unknown(
            "the page has no such element: check `element`, and that `form` names a user who may see the device",
            where=where,
        )


def _changes(measurement: Watched, criterion: LiveValue, where: str, found: Collector) -> None:
    """Judge the values. The first ones count only if none of them was shown: then the page shows none at all."""
    if [change for change in measurement.changes if not_taken(change.sent, where, found)]:
        return
    judged = [change for change in measurement.changes if not change.first]
    if not judged:
        last = measurement.changes[-1]
        sent = ", ".join(f"{change.sent.value:g}" for change in measurement.changes)
        waited_s = sum(change.waited_s for change in measurement.changes)
        found.read(
            Reading(f"{measurement.name}: values shown", 0, limit=f"= {len(measurement.changes)}", ok=False)
        )
        found.wrong(
            f"shows {last.instead or 'nothing'!s} and did not change within {words_for(waited_s)}, while {sent} were sent and "
            f"taken; {_kept(last)}",
            where=where,
        )
        return
    shown = [change for change in judged if change.shown_after_s is not None]
    ok = len(shown) == len(judged)
    found.read(Reading(f"{measurement.name}: values shown", len(shown), limit=f"= {len(judged)}", ok=ok))
    for change in judged:
        if change.shown_after_s is None:
            found.wrong(
                f"shows {change.instead or 'nothing'} and not {change.sent.value:g}, which was sent {words_for(change.waited_s)} "
                f"before and taken; {_kept(change)}",
                where=where,
            )
    if shown:
        _times(measurement, shown, criterion, where, found)


def _kept(change: Change) -> str:
    if change.stored is None:
        return "see whether it is stored, and whether the page is still connected"
    if change.stored:
        return "it is in the database, so it was lost on the way from there to the page"
    return "it is not in the database, so it was lost before"


def _times(
    measurement: Watched, shown: list[Change], criterion: LiveValue, where: str, found: Collector
) -> None:
    limit_s = criterion.within.total_seconds()
    limit = f"at most {words_for(limit_s)}"
    slowest = max(shown, key=lambda change: change.shown_after_s or 0.0)
    slowest_s = slowest.shown_after_s or 0.0
    name = f"{measurement.name}: longest time until a value is shown"
    if slowest_s <= limit_s:
        found.read(Reading(name, round(slowest_s, 2), "s", limit, ok=True))
        return
    late = [change for change in shown if (change.shown_after_s or 0.0) > limit_s]
    ours = [change.lag.explains(change.shown_after_s or 0.0, limit_s) for change in late]
    said = f"{slowest.sent.value:g} was shown {words_for(slowest_s)} after it was sent, {limit} is allowed"
    if all(ours):
        found.read(Reading(name, round(slowest_s, 2), "s"))
        found.unknown(f"{said}, {ours[0]}", where=where)
        return
    found.read(Reading(name, round(slowest_s, 2), "s", limit, ok=False))
    found.wrong(f"{said}; {len(late)} of {len(shown)} values were late", where=where)


def _good(measurement: Watched, criterion: LiveValue) -> str:
    judged = [change.shown_after_s or 0.0 for change in measurement.changes if not change.first]
    return (
        f"{measurement.name}: each of {len(judged)} values that were sent was shown within {words_for(max(judged))} "
        f"(limit {words_for(criterion.within)})"
    )
