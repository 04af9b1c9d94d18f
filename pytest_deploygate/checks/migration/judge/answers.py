"""Judge answers of the same query on both sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pytest_deploygate.checks.migration.facts import Answer, Answers, Value
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading

if TYPE_CHECKING:
    from pytest_deploygate.checks.migration.section import AggregateQuery, SampleQuery

Row = tuple[Value, ...]
#: (what it is, which row it is about)
Differs = tuple[str, str]
_MOST = 3
_LONGEST = 120


def judge_query(found: Answers, expected: SampleQuery) -> Judgement:
    """Pass if both sides give the same rows: in the same order if that counts, else as often."""
    return _judged(found, expected, lambda source, target: _compared(source, target, expected))


def judge_aggregation(found: Answers, expected: AggregateQuery) -> Judgement:
    """Pass if both sides have the same groups with the same values."""
    if found.source and found.source.rows:
        names = {*found.source.columns}
        if missing := [name for name in expected.key if name not in names]:
            said = Collector()
            said.unknown(
                f"the query of {expected.name} has no column {missing[0]!r}, which is in its `key`: correct it"
            )
            return said.judgement(str)
    return _judged(found, expected, lambda source, target: _groups(source, target, expected))


def _judged(
    found: Answers, expected: SampleQuery, compare: Callable[[Answer, Answer], list[Differs]]
) -> Judgement:
    said = Collector(confirmed=True)
    source, target = found.source, found.target
    if source is None or target is None:
        said.unknown(f"{expected.name}: {found.problem or 'no answer'}")
        return said.judgement(str)
    if not source.rows and not target.rows:
        said.unknown(
            f"{expected.name} returns no row on either side, which proves nothing: choose another query"
        )
        return said.judgement(str)
    if source.rows and target.rows and source.columns != target.columns:
        said.wrong(
            f"{expected.name} has the columns {', '.join(source.columns)} on the source and {', '.join(target.columns)} on the target"
        )
        said.read(Reading("columns", ", ".join(target.columns), limit=", ".join(source.columns), ok=False))
        return said.judgement(str)
    differences = compare(source, target)
    said.read(
        Reading("rows of the source", len(source.rows)),
        Reading("rows that differ", len(differences), limit="0", ok=not differences),
    )
    if differences:
        shown = "; ".join(f"{where} {what}" for what, where in differences[:_MOST])
        more = f" and {len(differences) - _MOST} more" if len(differences) > _MOST else ""
        said.wrong(
            f"{expected.name}: {len(differences)} of {max(len(source.rows), len(target.rows))} rows differ: {shown}{more}; "
            "find the rows behind them with `deploygate compare`"
        )
    return said.judgement(lambda: f"{expected.name} gives the same {len(source.rows)} rows on both sides")


def _compared(source: Answer, target: Answer, expected: SampleQuery) -> list[Differs]:
    if expected.ordered:
        pairs = list(zip(source.rows, target.rows, strict=False))
        wrong = [
            (_values(source.columns, a, b, expected.tolerance), f"row {n}")
            for n, (a, b) in enumerate(pairs, 1)
            if not _same(a, b, expected.tolerance)
        ]
        more, fewer = target.rows[len(pairs) :], source.rows[len(pairs) :]
        return wrong + _only(more, "extra") + _only(fewer, "missing")
    left = Counter(source.rows)
    surplus = Counter(target.rows)
    both = left & surplus
    rows, others = _sorted((left - both).elements()), _sorted((surplus - both).elements())
    # Rows that are not the same to the last digit stand at the same place when sorted; those that differ more do not.
    missing = []
    for row in rows:
        near = next((n for n, other in enumerate(others) if _same(row, other, expected.tolerance)), None)
        if near is None:
            missing.append(row)
        else:
            del others[near]
    return _only(missing, "missing") + _only(others, "extra")


def _groups(source: Answer, target: Answer, expected: AggregateQuery) -> list[Differs]:
    columns = source.columns or target.columns
    at = [columns.index(name) for name in expected.key if name in columns]
    old, new = ({tuple(row[n] for n in at): row for row in side.rows} for side in (source, target))
    found: list[Differs] = []
    for side, groups, name in ((source, old, "source"), (target, new, "target")):
        if len(groups) < len(side.rows):
            twice = Counter(tuple(row[n] for n in at) for row in side.rows)
            key = next(key for key, number in twice.items() if number > 1)
            found.append((f"is there more than once on the {name}", _said(key)))
    for key in sorted({*old, *new}, key=repr):
        if key not in new:
            found.append(("is missing on the target", _said(key)))
        elif key not in old:
            found.append(("is extra on the target", _said(key)))
        elif not _same(old[key], new[key], expected.tolerance):
            found.append((_values(columns, old[key], new[key], expected.tolerance), _said(key)))
    return found


def _only(rows: Sequence[Row], what: str) -> list[Differs]:
    return [(f"is {what}", _said(row)) for row in rows]


def _sorted(rows: object) -> list[Row]:
    return sorted(rows, key=repr)  # type: ignore[call-overload, no-any-return]


def _same(one: Row, other: Row, tolerance: float) -> bool:
    return len(one) == len(other) and all(_near(a, b, tolerance) for a, b in zip(one, other, strict=True))


def _near(one: Value, other: Value, tolerance: float) -> bool:
    if one == other:
        return True
    # Whole numbers are texts: one beside a number with a fraction is a number, too.
    if one is None or other is None or not (isinstance(one, float) or isinstance(other, float)):
        return False
    try:
        a, b = float(one), float(other)
    except ValueError:
        return False
    return abs(a - b) <= tolerance * max(abs(a), abs(b))


def _values(columns: Sequence[str], one: Row, other: Row, tolerance: float) -> str:
    """Say which columns have another value on the target."""
    changed = [
        f"{name} {_word(b)} instead of {_word(a)}"
        for name, a, b in zip(columns, one, other, strict=True)
        if not _near(a, b, tolerance)
    ]
    return f"has {', '.join(changed)}"


def _said(row: Sequence[Value]) -> str:
    text = ", ".join(_word(value) for value in row)
    return f"({text if len(text) <= _LONGEST else text[:_LONGEST] + '…'})"


def _word(value: Value) -> str:
    return "NULL" if value is None else f"{value}"
