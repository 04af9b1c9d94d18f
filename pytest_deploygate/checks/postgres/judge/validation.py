"""Judge validation queries: the answer must equal a value, lie in a range, or have no rows."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pytest_deploygate.checks.postgres.facts import Answer
from pytest_deploygate.checks.postgres.section.validation import Expectation, ValidationQuery
from pytest_deploygate.model import Judgement, Reading, Scalar, Verdict

_NEXT = "inspect the rows behind it and fix them, or correct `expect` in the inventory"


def judge_validation(found: Answer, query: ValidationQuery) -> Judgement:
    """Pass if the answer is as expected and the table that it depends on has rows."""
    if found.empty:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"{found.empty} has no rows, so {query.name!r} proves nothing: run again after phase 4",
            (Reading(f"rows in {found.empty}", 0),),
            deferred_to="phase4",
        )
    if query.expect == "nothing":
        return _nothing(found, query)
    if not found.rows:
        return _fail("no row", query, "the query returned no row")
    if len(found.rows) > 1 or len(found.rows[0]) > 1:
        shape = f"{len(found.rows)}{' or more' if found.more else ''} rows of {len(found.rows[0])} columns"
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"the query returned {shape}, but a single value is needed: make it return one row with one column",
            (Reading("answer", shape, limit="one value", ok=False),),
        )
    value = found.rows[0][0]
    if value is None:
        return _fail("NULL", query, "the answer is NULL (no rows, or unknown)")
    return _compare(value, query)


def _nothing(found: Answer, query: ValidationQuery) -> Judgement:
    if not found.rows:
        return Judgement(Verdict.PASS, "no row, as expected", (Reading("rows", 0, limit="0", ok=True),))
    count = f"{len(found.rows)}{' or more' if found.more else ''}"
    first = "; ".join(", ".join(map(str, row)) for row in found.rows[:3])
    return Judgement(
        Verdict.FAIL,
        f"{query.name}: {count} {'row' if len(found.rows) == 1 else 'rows'} where there must be none; first: {first}"
        f"; {_NEXT}",
        (Reading("rows", count, limit="0", ok=False), Reading("first rows", first)),
    )


def _compare(value: Any, query: ValidationQuery) -> Judgement:
    expected = query.expect
    if isinstance(expected, Expectation):
        number = _number(value)
        if number is None:
            return _fail(value, query, f"the answer {value!r} is not a number")
        low = expected.min is None or number >= Decimal(str(expected.min))
        high = expected.max is None or number <= Decimal(str(expected.max))
        if low and high:
            return _pass(value, query)
        return _fail(value, query, f"the answer is {_shown(value)}")
    if _equal(value, expected):
        return _pass(value, query)
    # Text and a number may look the same.
    kind = f" ({_kind(value)}, not {_kind(expected)})" if str(value) == str(expected) else ""
    return _fail(value, query, f"the answer is {_shown(value)}{kind}")


def _kind(value: object) -> str:
    return "text" if isinstance(value, str) else "a boolean" if isinstance(value, bool) else "a number"


def _equal(value: Any, expected: bool | float | str) -> bool:
    """Compare by type: a boolean never equals a number, a number never equals text."""
    if isinstance(expected, bool) or isinstance(value, bool):
        return isinstance(value, bool) and value is expected
    if isinstance(expected, int | float):
        number = _number(value)
        return number is not None and number == Decimal(str(expected))
    return not isinstance(value, int | float | Decimal) and str(value) == expected


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    number = Decimal(str(value))
    return number if number.is_finite() else None


def _limit(query: ValidationQuery) -> str:
    if isinstance(query.expect, Expectation):
        low = "" if query.expect.min is None else f"at least {query.expect.min:g}"
        high = "" if query.expect.max is None else f"at most {query.expect.max:g}"
        return " and ".join(filter(None, (low, high)))
    return str(query.expect)


def _shown(value: Any) -> Scalar:
    return value if isinstance(value, str | int | float) else str(value)


def _pass(value: Any, query: ValidationQuery) -> Judgement:
    reading = Reading("answer", _shown(value), limit=_limit(query), ok=True)
    return Judgement(Verdict.PASS, f"{_shown(value)}, expected {_limit(query)}", (reading,))


def _fail(value: Any, query: ValidationQuery, why: str) -> Judgement:
    reading = Reading("answer", _shown(value), limit=_limit(query), ok=False)
    return Judgement(Verdict.FAIL, f"{query.name}: {why}, expected {_limit(query)}; {_NEXT}", (reading,))
