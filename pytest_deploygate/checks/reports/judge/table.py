"""Find the table of a report in a file, and its rows by their keys."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pytest_deploygate.checks.reports.facts import Cell, File, Row
from pytest_deploygate.checks.reports.judge.numbers import text_of
from pytest_deploygate.lazy import dataclass

Key = tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """The rows of a file's table below its headings: the wanted cells by column. `ragged` has those with fewer cells:

    they are cut off, or, in a PDF, have empty cells, which cannot be seen there.
    """

    rows: Sequence[tuple[Key, dict[str, Cell]]]
    ragged: Sequence[tuple[Key, Row]]


def find(file: File, columns: Sequence[str], key: Sequence[str], known: Collection[Key]) -> Found | None:
    """Return the rows of the first table whose headings have all columns; None if none has.

    Headings that are repeated (on each page of a PDF) are no rows, nor is a line with too few cells whose key is not
    known: a page has headers and footers.
    """
    for table in file.tables:
        for number, row in enumerate(table):
            headings = [text_of(cell) for cell in row]
            if set(columns) <= set(headings):
                return _rows(table[number + 1 :], headings, columns, key, known)
    return None


def closest(file: File, columns: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the columns that are missing where most of them are, and the headings there; all of them if there are none."""
    lines = [[text_of(cell) for cell in row] for table in file.tables for row in table]
    best = max(lines, key=lambda line: len(set(columns) & set(line)), default=[])
    return [column for column in columns if column not in best], best


def _rows(
    table: Sequence[Row],
    headings: Sequence[str],
    columns: Sequence[str],
    key: Sequence[str],
    known: Collection[Key],
) -> Found:
    at = {column: headings.index(column) for column in columns}
    rows, ragged = [], []
    for row in table:
        if [text_of(cell) for cell in row] == list(headings):
            continue
        name = tuple(text_of(row[at[column]]) if at[column] < len(row) else "" for column in key)
        if len(row) > max(at.values()):
            if any(text_of(cell) for cell in row):
                rows.append((name, {column: row[place] for column, place in at.items()}))
        elif name in known:
            ragged.append((name, row))
    return Found(rows, ragged)
