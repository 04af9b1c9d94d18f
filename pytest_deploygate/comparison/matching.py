"""From what the inventory wants to tables that can be compared: columns paired, texts chosen, the key found. Pure."""

from __future__ import annotations

from pytest_deploygate.comparison import forms, texts
from pytest_deploygate.comparison.described import Column, Described, alike
from pytest_deploygate.comparison.spec import ColumnPair, Table, Wanted
from pytest_deploygate.problems import nearest

#: Types whose order is the same on every server. Texts are among them where they are ordered by bytes on both sides.
_ORDERED = {
    "smallint", "integer", "bigint", "numeric", "uuid", "date", "bytea",
    "timestamp with time zone", "timestamp without time zone",
}  # fmt: skip
_TEXTS = {"text", "character varying"}
_WHOLE = {"smallint", "integer", "bigint"}
#: Below this many rows it does not matter in which order they are read.
_SMALL = 50_000
_CORRELATED = 0.9
_MOST_NAMED = 8


def matched(wanted: Wanted, source: Described, target: Described) -> Table | str:
    """Return the table that can be compared, or a sentence that says why it can't."""
    name = ".".join(wanted.source)
    if wrong := _misspelt(wanted, source, target, name):
        return wrong
    common = not alike(source.kind, target.kind)
    columns, notes, problems, unknown = _columns(wanted, source, target, common=common)
    if problems:
        more = f" and {len(problems) - _MOST_NAMED} more" if len(problems) > _MOST_NAMED else ""
        return f"{name}: {'; '.join(problems[:_MOST_NAMED])}{more}"
    if not columns:
        why = f": {'; '.join(unknown[:_MOST_NAMED])}" if unknown else ""
        return f"{name} has no column on both sides that could be compared{why}"
    key = _key(wanted, source, target, columns)
    ordered = (
        _ordered_alike_everywhere(wanted, key, source, target)
        if common
        else _ordered(key or columns, source, target, keyed=bool(key))
    )
    first = [(source.column(a), target.column(b)) for a, b in ordered[:1]]
    return Table(
        source=wanted.source,
        target=wanted.target,
        columns=columns,
        key=key,
        ordered=ordered,
        source_types=tuple(_of(source, a).type for a, _ in ordered),
        target_types=tuple(_of(target, b).type for _, b in ordered),
        types=tuple((_type(source, column.source), _type(target, column.target)) for column in columns),
        rows=source.rows,
        pages=source.pages,
        scattered=max(source.rows, target.rows) > _SMALL
        and any((c is None or (c.correlation or 0) < _CORRELATED) for pair in first for c in pair),
        whole=len(ordered) == 1
        and (
            _of(source, ordered[0][0]).order == "whole"
            if common
            else _of(source, ordered[0][0]).type in _WHOLE
        ),
        common=common,
        notes=tuple(notes),
        unknown=tuple(f"{name}: {sentence}" for sentence in unknown),
    )


def _of(table: Described, column: str) -> Column:
    found = table.column(column)
    assert found is not None, column  # noqa: S101 (`matched` took the names from the catalog)
    return found


def _type(table: Described, column: str) -> str:
    found = table.column(column)
    return found.type if found else ""


def _misspelt(wanted: Wanted, source: Described, target: Described, name: str) -> str:
    named = {
        *wanted.key,
        *wanted.renamed,
        *wanted.left_out,
        *wanted.source_sql,
        *wanted.target_sql,
        *wanted.sensitive,
    }
    here = [c.name for c in source.columns]
    there = [c.name for c in target.columns]
    for column in sorted(named):
        if column not in here and column not in there:
            return f"{name} has no column {column!r}{nearest(column, here)}"
    for column in wanted.key:
        if column not in here:
            return f"{name} has no column {column!r} for its key{nearest(column, here)}"
    for column in wanted.renamed.values():
        if column not in there:
            return f"{'.'.join(target.name)} on the target has no column {column!r}{nearest(column, there)}"
    return ""


def _columns(
    wanted: Wanted, source: Described, target: Described, *, common: bool
) -> tuple[tuple[ColumnPair, ...], list[str], list[str], list[str]]:
    """Return the columns, notes, problems of the table, and what is not known of columns that cannot be compared."""
    pairs, notes, problems, unknown = [], [], [], []
    there = {c.name for c in target.columns}
    for column in source.columns:
        if column.name in wanted.left_out:
            continue
        other = target.column(wanted.renamed.get(column.name, column.name))
        ours, theirs = wanted.source_sql.get(column.name, ""), wanted.target_sql.get(column.name, "")
        if other is None and not theirs:
            problems.append(
                f"column {column.name} is not on the target: map it, or leave it out with a reason"
            )
            continue
        there.discard(other.name if other else column.name)
        if common:
            found = _common(column, other, ours, theirs)
            if found.problem:
                there_type = other.type if other else ""
                unknown.append(
                    f"column {column.name} ({column.type} here, {there_type} there) is not compared: {found.problem}"
                )
                continue
            ours, theirs = found.source, found.target
            if found.note:
                notes.append(f"{column.name}: {found.note}")
        elif other is not None and not ours and not theirs:
            how = texts.pair(column.type, other.type, source_enum=column.enum, target_enum=other.enum)
            if how.problem:
                problems.append(
                    f"column {column.name} is {column.type} here and {other.type} there: {how.problem}"
                )
                continue
            if how.note:
                notes.append(f"{column.name}: {how.note}")
                ours, theirs = how.source.format(_quoted(column.name)), how.target.format(_quoted(other.name))
        sensitive = column.name in wanted.sensitive
        pairs.append(
            ColumnPair(column.name, column.name, other.name if other else "", ours, theirs, sensitive)
        )
    problems += [
        f"column {name} is only on the target: map a column to it, or leave it out with a reason"
        for name in sorted(there - set(wanted.left_out) - set(wanted.renamed.values()))
    ]
    return tuple(pairs), notes, problems, unknown


def _common(column: Column, other: Column | None, ours: str, theirs: str) -> texts.Pair:
    """Return the texts of a column of unlike servers: expressions of the inventory come first."""
    if not ours and not theirs and other is not None:
        return forms.pair(column, other)
    return texts.Pair(
        ours or (column.forms[0].sql if column.forms else ""),
        theirs or (other.forms[0].sql if other and other.forms else ""),
    )


def _key(
    wanted: Wanted, source: Described, target: Described, columns: tuple[ColumnPair, ...]
) -> tuple[ColumnPair, ...]:
    by_name = {column.name: column for column in columns}
    for key in [wanted.key] if wanted.key else source.keys:
        if all(name in by_name for name in key):
            return tuple(by_name[name] for name in key)
    # The target may have the key that the source never had.
    by_target = {column.target: column for column in columns if column.target}
    for key in target.keys:
        if all(name in by_target for name in key):
            return tuple(by_target[name] for name in key)
    return ()


def _ordered(
    columns: tuple[ColumnPair, ...], source: Described, target: Described, *, keyed: bool
) -> tuple[tuple[str, str], ...]:
    """Return the first columns of the key whose order is the same on both sides; the one of chunks or partitions first.

    A table without a key has only the latter.
    """
    found: list[tuple[str, str]] = []
    for column in columns if keyed else ():
        if not _in_order(column, source, target):
            break
        found.append((column.source, column.target))
    for column in columns:
        if column.source == source.driven_by or column.target == target.driven_by:
            return ((column.source, column.target),) if _in_order(column, source, target) else tuple(found)
    return tuple(found)


def _ordered_alike_everywhere(
    wanted: Wanted, key: tuple[ColumnPair, ...], source: Described, target: Described
) -> tuple[tuple[str, str], ...]:
    """Return the first column of the key where unlike servers have it in the same order; else nothing."""
    for column in key[:1]:
        one, other = source.column(column.source), target.column(column.target)
        replaced = column.source in wanted.source_sql or column.source in wanted.target_sql
        if one and other and one.filled and other.filled and not replaced and one.order == other.order != "":
            return ((column.source, column.target),)
    return ()


def _in_order(column: ColumnPair, source: Described, target: Described) -> bool:
    one, other = source.column(column.source), target.column(column.target)
    if (
        one is None
        or other is None
        or column.source_sql
        or column.target_sql
        or not (one.filled and other.filled)
    ):
        return False
    kinds = {texts.base(one.type), texts.base(other.type)}
    if kinds <= _WHOLE:
        return True
    if kinds <= _TEXTS:
        return one.bytewise and other.bytewise
    return len(kinds) == 1 and kinds <= _ORDERED


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
