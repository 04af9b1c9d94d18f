"""Whether a cell of a report is what the database has: numbers by value, all else as text."""

from __future__ import annotations

from decimal import Decimal

from pytest_deploygate.checks.reports.facts import Cell
from pytest_deploygate.judging.written import Written, whole

#: Floats are written with about 15 digits.
_SAME = Decimal("1e-9")


def written(cell: Cell, decimal: str) -> Written | None:
    """Return the number in a cell; None if there is none."""
    if isinstance(cell, str):
        return whole(cell, decimal)
    text = repr(cell)
    return Written(Decimal(text), Decimal(0)) if "e" in text.lower() else whole(text)


def same(cell: Cell, expected: Cell, decimal: str) -> bool:
    """Tell whether a cell has the expected value; a number may be rounded to the digits that are written."""
    if isinstance(expected, str):
        return text_of(cell) == expected.strip()
    found = written(cell, decimal)
    if found is None:
        return False
    wanted = Decimal(repr(expected))
    return abs(found.value - wanted) <= max(
        found.half if isinstance(expected, float) else 0, abs(wanted) * _SAME
    )


def text_of(cell: Cell) -> str:
    """Return a cell as text; a whole number of a spreadsheet without `.0`."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return cell.strip() if isinstance(cell, str) else str(cell)
