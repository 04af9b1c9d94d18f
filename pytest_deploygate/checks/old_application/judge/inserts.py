"""Whether rows that the old application inserts are complete on the new schema, and fit into its columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum

from pytest_deploygate.checks.old_application.facts import Column, Table, Write
from pytest_deploygate.checks.old_application.judge.types import fits
from pytest_deploygate.fields.names import matches
from pytest_deploygate.lazy import dataclass


class Found(StrEnum):
    """What a sentence is about."""

    WRONG = "wrong"
    UNKNOWN = "unknown"
    NOTE = "note"


@dataclass(frozen=True)
class Said:
    """A sentence and its weight."""

    what: Found
    words: str


def incomplete(writes: Iterable[Write], tables: Iterable[Table], accepted: Sequence[str]) -> Iterator[Said]:
    """Yield what is wrong, unknown or worth a note with rows that are inserted."""
    by_name = {table.name: table for table in tables}
    told: set[tuple[str, str]] = set()
    for write in writes:
        table = by_name[write.table]
        for column, said in _left_out(write, table):
            if (table.name, column) not in told:
                told.add((table.name, column))
                yield said
    for table in by_name.values():
        yield from _changed(table, accepted)


def _left_out(write: Write, table: Table) -> Iterator[tuple[str, Said]]:
    """Yield required columns of the new schema that a statement does not write."""
    before = {column.name: column for column in table.old or ()}
    if write.columns is None and table.old is None:
        if any(column.required for column in table.new):
            words = f"`{write.text}` names no columns, so which of {table.name} it writes is unknown without an old schema"
            yield "", Said(Found.UNKNOWN, f"{words}: set `recorded_in`")
        return
    written = {*(write.columns if write.columns is not None else before)}
    if write.copies and write.columns is None:
        added = [c.name for c in table.new if c.name not in before and not c.generated]
        for name in added:
            words = f"{table.name}.{name} is new, and `{write.text}` names no columns, so its rows have one value too few"
            yield name, Said(Found.WRONG, words)
        return
    for column in table.new:
        if not column.required or column.name in written or _was_required(column, before):
            continue
        words = (
            f"{table.name}.{column.name} is NOT NULL without a default on the new schema, and the old application does not "
            f"write it: `{write.text}`"
        )
        if table.filled_in:
            yield column.name, Said(Found.UNKNOWN, f"{words}; a trigger before each row may set it: try it")
        else:
            yield (
                column.name,
                Said(
                    Found.WRONG,
                    f"{words}; give it a default, or allow NULL until the old application is gone",
                ),
            )


def _was_required(column: Column, before: dict[str, Column]) -> bool:
    """Tell whether the old schema required it as well: then something there fills it in."""
    old = before.get(column.name)
    return old is not None and old.required


def _changed(table: Table, accepted: Sequence[str]) -> Iterator[Said]:
    for old in table.old or ():
        name = f"{table.name}.{old.name}"
        new = next((column for column in table.new if column.name == old.name), None)
        if new is None or any(matches(name, pattern) for pattern in accepted):
            continue
        if new.type != old.type:
            words = f"{name} is {new.type} on the new schema and {old.type} on the old"
            if fits(old.type, new.type):
                yield Said(Found.NOTE, words)
            else:
                yield Said(
                    Found.UNKNOWN,
                    f"{words}: whether all that the old application writes fits is unknown; try it, then list the column under "
                    "`accepted`",
                )
        if new.required and not old.required:
            yield Said(Found.NOTE, f"{name} is NOT NULL on the new schema, and could be NULL on the old")
