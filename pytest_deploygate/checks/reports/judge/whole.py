"""Judge a report: each file came in time, and has the rows and figures of the database, and no others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_deploygate.checks.reports.facts import Answer, Cell, File, Generated, Row
from pytest_deploygate.checks.reports.judge import table
from pytest_deploygate.checks.reports.judge.numbers import same, text_of, written
from pytest_deploygate.checks.reports.judge.table import Key
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Judgement, Reading, words_for, words_for_count

if TYPE_CHECKING:
    from pytest_deploygate.checks.reports.section import Report, ReportFile

_FEW = 3


@dataclass(frozen=True)
class _Wanted:
    """What the database has: rows by key, the cells of the total by column, and the total's key."""

    columns: tuple[str, ...]
    key: tuple[str, ...]
    rows: dict[Key, dict[str, Cell]]
    total: dict[str, Cell]
    label: Key


def judge(measurement: Generated, criterion: Report) -> Judgement:
    """Pass if every file came in time with exactly the rows of `rows`, and the total of `total`."""
    found = Collector(most=6)
    wanted = _wanted(measurement, criterion, found)
    for file, declared in zip(measurement.files, criterion.files, strict=True):
        _came(file, criterion, found)
        if wanted is not None and file.tables:
            _compared(file, declared, wanted, criterion, found)
    if measurement.changed and found.failed:
        # What differs may be the data itself.
        found = _only_unknown(measurement, criterion)
    return found.judgement(lambda: _good(measurement, criterion))


def _only_unknown(measurement: Generated, criterion: Report) -> Collector:
    found = Collector()
    found.unknown(
        f"{measurement.name} does not agree with the database, whose figures for {measurement.day} changed meanwhile: run it "
        f"again, or let `day` name a day that is over ({words_for(criterion.day)} ago now)"
    )
    return found


def _good(measurement: Generated, criterion: Report) -> str:
    forms = ", ".join(file.form.upper() for file in criterion.files)
    total = f", and the total of {criterion.total.name!r}" if criterion.total else ""
    rows = words_for_count(len(measurement.rows.rows), "row", "rows")
    return (
        f"{measurement.name} of {measurement.day} ({forms}) has all {rows} of {criterion.rows.name!r}{total}"
    )


def _wanted(measurement: Generated, criterion: Report, found: Collector) -> _Wanted | None:
    """Return what the database has; None where that is unknown, or is nothing."""
    rows, total = measurement.rows, measurement.total
    usable = _usable(rows, criterion.rows.name, measurement.day, found)
    if total is not None and criterion.total is not None:
        usable = _usable(total, criterion.total.name, measurement.day, found) and usable
        if total.problem == "" and len(total.rows) > 1:
            found.unknown(
                f"the query {criterion.total.name!r} returns {len(total.rows)} rows; a total has one"
            )
            usable = False
    if not usable:
        return None
    key = tuple(criterion.key or rows.columns[:1])
    if lacking := [column for column in key if column not in rows.columns]:
        found.unknown(f"the query {criterion.rows.name!r} has no column {lacking[0]}, which `key` names")
        return None
    named = [dict(zip(rows.columns, row, strict=True)) for row in rows.rows]
    by_key = {_key(row, key): row for row in named}
    if len(by_key) < len(named):
        found.unknown(
            f"the query {criterion.rows.name!r} returns several rows with one {' and '.join(key)}: let `key` name the columns that "
            "tell rows apart"
        )
        return None
    last = dict(zip(total.columns, total.rows[0], strict=True)) if total else {}
    label = (text_of(last[total.columns[0]]),) if total else ()
    columns = tuple(dict.fromkeys((*rows.columns, *last)))
    return _Wanted(columns, key, by_key, last, label)


def _usable(answer: Answer, name: str, day: str, found: Collector) -> bool:
    if answer.problem:
        found.unknown(f"the query {name!r} has no answer: {answer.problem}")
    elif not answer.rows:
        found.unknown(
            f"the query {name!r} returns no row for {day}, so a report without rows proves nothing: let `day` name a day with data",
            deferred_to="phase4",
        )
    return not answer.problem and bool(answer.rows)


def _key(row: dict[str, Cell], key: Sequence[str]) -> Key:
    return tuple(text_of(row[column]) for column in key)


def _came(file: File, criterion: Report, found: Collector) -> None:
    """Judge that a file came at all, is one, and came in time."""
    if file.problem:
        found.unknown(file.problem, where=file.name)
        return
    if file.wrong:
        found.wrong(file.wrong, where=file.name)
        return
    limit_s = criterion.within.total_seconds()
    took, limit = round(file.took_s, 2), f"at most {words_for(limit_s)}"
    if file.took_s <= limit_s:
        found.read(Reading(f"{file.name}: generated in", took, "s", limit, ok=True))
    elif why := file.lag.explains(file.took_s, limit_s):
        found.read(Reading(f"{file.name}: generated in", took, "s"))
        found.unknown(f"took {words_for(file.took_s)}, {limit} is allowed, {why}", where=file.name)
    else:
        found.read(Reading(f"{file.name}: generated in", took, "s", limit, ok=False))
        found.wrong(f"took {words_for(file.took_s)}, {limit} is allowed", where=file.name)
    if not file.tables:
        found.wrong("has no table at all", where=file.name)


def _compared(file: File, declared: ReportFile, wanted: _Wanted, criterion: Report, found: Collector) -> None:
    known = {*wanted.rows, wanted.label}
    seen = table.find(file, wanted.columns, wanted.key, known)
    if seen is None:
        lacking, headings = table.closest(file, wanted.columns)
        said = (
            f"; the closest line is {', '.join(headings)[:160]}" if len(lacking) < len(wanted.columns) else ""
        )
        found.wrong(
            f"has no table with {'the columns' if len(lacking) > 1 else 'the column'} {', '.join(lacking)}{said}: it is "
            "incomplete, or the query names its columns otherwise",
            where=file.name,
        )
        return
    totals = [row for name, row in seen.rows if wanted.total and name[:1] == wanted.label]
    totals += [
        _in_order(row, wanted.total, declared) for name, row in seen.ragged if name[:1] == wanted.label
    ]
    rows = [(name, row) for name, row in seen.rows if not wanted.total or name[:1] != wanted.label]
    _complete(file, rows, seen.ragged, wanted, criterion, found)
    for name, row in rows:
        if name in wanted.rows:
            _agrees(file, declared, " ".join(name), row, wanted.rows[name], criterion.rows.name, found)
    if wanted.total and criterion.total:
        _total(file, declared, totals, wanted, criterion.total.name, found)


def _complete(
    file: File,
    rows: Sequence[tuple[Key, dict[str, Cell]]],
    ragged: Sequence[tuple[Key, Row]],
    wanted: _Wanted,
    criterion: Report,
    found: Collector,
) -> None:
    """Judge that each row of the query is there once, and no other."""
    times = Counter(name for name, _ in rows)
    cut = [name for name, _ in ragged if name != wanted.label]
    missing = [name for name in wanted.rows if name not in times and name not in cut]
    twice = [name for name, number in times.items() if number > 1]
    more = [name for name in times if name not in wanted.rows]
    there = sum(1 for name in wanted.rows if name in times)
    ok = there == len(wanted.rows)
    found.read(
        Reading(f"{file.name}: rows of {criterion.rows.name!r}", there, limit=f"= {len(wanted.rows)}", ok=ok)
    )
    of = f"of the {words_for_count(len(wanted.rows), 'row', 'rows')} of {criterion.rows.name!r}"
    if missing:
        found.wrong(f"lacks {len(missing)} {of}: {_some(missing)}", where=file.name)
    if cut:
        found.wrong(f"is cut off within the row of {_some(cut)}", where=file.name)
    for names, what in (
        (twice, "more than once"),
        (more, f"that the query {criterion.rows.name!r} does not return"),
    ):
        if names:
            found.read(Reading(f"{file.name}: rows {what}", len(names), limit="0", ok=False))
            found.wrong(
                f"has {words_for_count(len(names), 'row', 'rows')} {what}: {_some(names)}", where=file.name
            )


def _some(names: Sequence[Key]) -> str:
    shown = ", ".join(" ".join(name) or "(empty)" for name in names[:_FEW])
    return f"{shown} and {len(names) - _FEW} more" if len(names) > _FEW else shown


def _in_order(row: Row, total: dict[str, Cell], declared: ReportFile) -> dict[str, Cell]:
    """Return the cells of a row without its empty ones by column: the first that is as expected, else the next one."""
    left, found = list(row), {}
    for column, value in total.items():
        at = next((n for n, cell in enumerate(left) if same(cell, value, declared.decimal)), 0)
        found[column], left = (left[at], left[at + 1 :]) if left else ("", left)
    return found


def _total(
    file: File,
    declared: ReportFile,
    totals: Sequence[dict[str, Cell]],
    wanted: _Wanted,
    query: str,
    found: Collector,
) -> None:
    label = " ".join(wanted.label)
    if len(totals) != 1:
        found.read(Reading(f"{file.name}: rows {label!r}", len(totals), limit="= 1", ok=False))
        how = "has no row" if not totals else f"has {len(totals)} rows"
        found.wrong(
            f"{how} {label!r} with the total: {'it is cut off' if not totals else 'one is right'}",
            where=file.name,
        )
        return
    for column, value in wanted.total.items():
        if not isinstance(value, str) and same(totals[0][column], value, declared.decimal):
            shown = _number(totals[0][column], declared)
            found.read(
                Reading(f"{file.name}: {column} of {label}", shown, limit=f"= {text_of(value)}", ok=True)
            )
    _agrees(file, declared, label, totals[0], wanted.total, query, found)


def _agrees(
    file: File,
    declared: ReportFile,
    name: str,
    row: dict[str, Cell],
    expected: dict[str, Cell],
    query: str,
    found: Collector,
) -> None:
    """Judge the cells of one row. Each that differs has a reading, so that both figures are in the report."""
    for column, value in expected.items():
        cell = row[column]
        if isinstance(cell, str) and cell.startswith("=") and not isinstance(value, str):
            found.unknown(
                f"{column} of {name} is the formula {cell}, which no program has calculated: what a reader sees is unknown",
                where=file.name,
            )
        elif not same(cell, value, declared.decimal):
            shown = text_of(cell) or "nothing"
            found.read(
                Reading(
                    f"{file.name}: {column} of {name}",
                    _number(cell, declared),
                    limit=f"= {text_of(value)}",
                    ok=False,
                )
            )
            found.wrong(
                f"{column} of {name} is {shown}, the database has {text_of(value)} (query {query!r})",
                where=file.name,
            )


def _number(cell: Cell, declared: ReportFile) -> str | int | float:
    number = written(cell, declared.decimal)
    if number is None:
        return text_of(cell)
    return int(number.value) if number.value == number.value.to_integral_value() else float(number.value)
