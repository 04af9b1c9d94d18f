"""Judge a table's past: the same rows in each period, and no gap that is too long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_deploygate.checks.migration.facts import Gap, Past, Period
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Figure, Judgement, Line, Reading, Series, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.migration.section import History

_MOST = 3
_MOST_POINTS = 400


def judge_history(found: Past, expected: History) -> Judgement:
    """Pass if each period has as many rows on both sides, and no time without rows is longer than allowed.

    A gap that the source has, too, is a failure as well: `max_gap` says what the table must be like.
    """
    said = Collector(confirmed=True)
    rows = [sum(period.source for period in found.periods), sum(period.target for period in found.periods)]
    if not any(rows):
        said.unknown(
            f"{expected.table} has no rows on either side: run again after the migration",
            deferred_to="phase4",
        )
        return said.judgement(str)
    wrong = [period for period in found.periods if period.source != period.target]
    said.read(
        Reading("rows of the source", rows[0]),
        Reading("rows of the target", rows[1]),
        Reading(f"{expected.period}s with rows", len(found.periods)),
        Reading(f"{expected.period}s with another number of rows", len(wrong), limit="0", ok=not wrong),
    )
    if wrong:
        shown = ", ".join(_said(period, expected) for period in wrong[:_MOST])
        more = f" and {len(wrong) - _MOST} more" if len(wrong) > _MOST else ""
        said.wrong(
            f"{expected.table}: {len(wrong)} of {len(found.periods)} {expected.period}s have another number of rows: "
            f"{shown}{more}; migrate their rows again"
        )
    if found.without_time[0] != found.without_time[1]:
        said.wrong(
            f"{expected.table}: {found.without_time[1]} rows have no {expected.column} on the target, {found.without_time[0]} on the source"
        )
    _gaps(found, expected, said)
    judged = said.judgement(
        lambda: (
            f"{expected.table}: {rows[0]} rows, as many in each {expected.period} on both sides, "
            f"{found.periods[0].start:%Y-%m-%d} to {found.periods[-1].start:%Y-%m-%d}"
        )
    )
    return replace(judged, figures=tuple(_figures(found, expected)))


def _gaps(found: Past, expected: History, said: Collector) -> None:
    if expected.max_gap is None:
        said.note("gaps are not looked for: `max_gap` is not given")
        return
    limit = expected.max_gap.total_seconds()
    longest = found.gaps[0].seconds if found.gaps else 0.0
    good = longest <= limit
    said.read(Reading("longest gap", words_for(longest), limit=f"at most {words_for(limit)}", ok=good))
    if not good:
        too_long = [gap for gap in found.gaps if gap.seconds > limit]
        shown = "; ".join(_gap(gap, expected) for gap in too_long[:_MOST])
        said.wrong(
            f"{expected.table}: {len(too_long)} gaps or more are longer than {words_for(limit)}: {shown}"
        )


def _gap(gap: Gap, expected: History) -> str:
    of = f"{expected.per} {gap.key} has " if expected.per else ""
    where = "; the source has it, too" if gap.at_source else ""
    return f"{of}no row for {words_for(gap.seconds)} after {gap.start:%Y-%m-%d %H:%M} UTC{where}"


def _said(period: Period, expected: History) -> str:
    at = f"{period.start:%Y-%m-%d %H:%M}" if expected.period == "hour" else f"{period.start:%Y-%m-%d}"
    return f"{at} {period.target} instead of {period.source}"


def _figures(found: Past, expected: History) -> Iterator[Figure]:
    periods = found.periods[-_MOST_POINTS:]
    if len(periods) < 2:
        return
    start = periods[0].start
    lines = [
        Line(name, tuple(((p.start - start).total_seconds(), float(getattr(p, name))) for p in periods))
        for name in ("source", "target")
    ]
    title = f"Rows of {expected.table} in each {expected.period}"
    yield Series(title, "rows", tuple(lines), start=start.isoformat())
