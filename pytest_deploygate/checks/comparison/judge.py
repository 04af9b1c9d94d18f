"""Judge a comparison: every row of every table equal, and no table forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_deploygate.checks.comparison.facts import Compared
from pytest_deploygate.comparison.outcome import Example, TableOutcome
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Figure, Judgement, Places, Reading, words_for, words_for_count

if TYPE_CHECKING:
    from pytest_deploygate.checks.migration.section import Migration

__all__ = ["judge"]
_MOST_NAMED = 8
_MOST_ROWS_OF_A_PICTURE = 12
_MOST_TABLES = 40
_TENTHS = 10
_LONGEST = 80


def judge(found: Compared, _expected: Migration) -> Judgement:
    """Pass if all rows of all tables are equal. Fail for each difference; a table that was not compared is unknown."""
    said = Collector(confirmed=True)  # sums first, then the rows: seen twice
    outcome = found.outcome
    where = f"all in {found.folder}/{outcome.file}" if outcome.file else ""
    for table in outcome.tables:
        if table.differences:
            said.wrong(f"{_differences(table)}; {where}; correct these rows, or document why they differ")
        if table.problem:
            said.unknown(
                f"{table.source} was compared in {table.parts_done} of {table.parts} parts only: {table.problem}"
            )
        if table.unsettled:
            said.unknown(
                f"{table.unsettled} rows of {table.source} had other values each time that they were looked at: "
                "compare again when less is written, or with a longer `live.delay`"
            )
        said.note(*table.notes, where=table.source)
    said.wrong(*_missing_tables(found))
    said.unknown(*outcome.unknown)
    said.note(*outcome.notes, *(f"{name} is left out: {reason}" for name, reason in found.left_out))
    if outcome.cut:
        said.note(
            f"the file of differences ends at {outcome.written} lines (`budget.max_written`): there are more"
        )
    _large_objects(found, said)
    rows = sum(table.source_rows for table in outcome.tables)
    if not rows and not said.failed:
        said.unknown(
            "no table of the source has rows: nothing was compared; run again after the migration",
            deferred_to="phase4",
        )
    said.read(*_readings(found))
    judged = said.judgement(
        lambda: (
            f"{rows} rows of {len(outcome.tables)} tables are equal on both sides, compared by {outcome.checksum}"
        )
    )
    return replace(judged, figures=tuple(_figures(found)))


def _differences(table: TableOutcome) -> str:
    counts = [
        f"{number} {word}"
        for number, word in (
            (table.missing, "missing on the target"),
            (table.extra, "extra on the target"),
            (table.changed, "changed"),
        )
        if number
    ]
    columns = ", ".join(name for name, _ in table.columns[:_MOST_NAMED])
    of_columns = f" in {columns}" if columns else ""
    first = "; ".join(_example(one) for one in table.examples[:2])
    total = max(table.source_rows, table.target_rows)
    return f"{table.source}: {table.differences} of {total} rows differ ({', '.join(counts)}{of_columns}): {first}"


def _example(one: Example) -> str:
    key = f"key {_short(one.key)}" if one.key else "a row"
    if one.kind == "changed":
        return f"{key} has {one.column} {_value(one.target)} instead of {_value(one.source)}"
    return f"{key} is {one.kind}" + ("" if one.key else f": {_value(one.source or one.target)}")


def _value(text: str | None) -> str:
    return "NULL" if text is None else f"'{_short(text)}'"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _missing_tables(found: Compared) -> Iterator[str]:
    if found.not_there:
        named = ", ".join(f"{here} (as {there})" for here, there in found.not_there[:_MOST_NAMED])
        yield f"{len(found.not_there)} tables of the source are not on the target: {named}"
    if found.not_named:
        named = ", ".join(found.not_named[:_MOST_NAMED])
        yield (
            f"{len(found.not_named)} tables of the source are in no rule of `migration.tables`: {named}; "
            "add them, or name them in `migration.left_out` with a reason"
        )


def _large_objects(found: Compared, said: Collector) -> None:
    here, there = found.large_objects
    if here != there:
        said.wrong(
            f"the source has {here} large objects, the target {there}: move them (pg_dump --large-objects)"
        )
    objects = found.objects
    if objects is not None and objects.differences:
        said.wrong(
            f"{objects.differences} of {objects.compared} large objects differ: {'; '.join(objects.differing)}; move them again"
        )
    if objects is not None and objects.problem:
        said.unknown(
            f"what is in the large objects was compared for {objects.compared} only: {objects.problem}; "
            "let the role read them (GRANT SELECT ON LARGE OBJECT, or lo_compat_privileges = on for it), then compare again"
        )
    elif objects is not None and objects.compared:
        said.note(f"{objects.compared} large objects were compared by checksums of what is in them")
    elif here and here == there:
        said.note(
            f"{here} large objects are on both sides: only their number is compared, as this is not the whole comparison"
        )


def _readings(found: Compared) -> Iterator[Reading]:
    outcome = found.outcome
    whole = sum(1 for table in outcome.tables if not table.problem)
    yield Reading("tables compared", f"{whole} of {len(outcome.tables) + len(outcome.unknown)}")
    yield Reading("rows compared", sum(table.source_rows for table in outcome.tables))
    if outcome.differences or whole:
        good = None if not outcome.certain and not outcome.differences else outcome.differences == 0
        yield Reading("rows that differ", outcome.differences, limit="0", ok=good)
    if transient := sum(table.transient for table in outcome.tables):
        yield Reading("rows that differed only for a while", transient)
    yield Reading("checksum", outcome.checksum)
    # Tables with differences first: the others of a large schema are in the evidence.
    shown = sorted(outcome.tables, key=lambda t: (not (t.differences or t.problem), -t.source_rows, t.source))
    for table in shown[:_MOST_TABLES]:
        yield Reading(
            table.source,
            f"{table.source_rows:,} rows in {words_for_count(table.parts, 'range', 'ranges')}, {table.differences:,} differ, {words_for(table.seconds)}",
            limit="0 differ" if table.differences else "",
            ok=False if table.differences else None,
        )


def _figures(found: Compared) -> Iterator[Figure]:
    """Yield where in the order of the key the differences lie, by tenths of each table."""
    rows = []
    for table in found.outcome.tables:
        tenths = [0] * _TENTHS
        for where in table.where:
            tenths[min(int(where.share * _TENTHS), _TENTHS - 1)] += where.differences
        if any(tenths):
            rows.append((table.source, tuple(tenths)))
    if rows:
        yield Places(
            "Where in the order of the key rows differ", "rows", tuple(rows[:_MOST_ROWS_OF_A_PICTURE])
        )
