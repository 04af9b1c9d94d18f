"""Numbers as people write them: thousands apart, a sign, a unit behind them. Pure."""

from __future__ import annotations

import re
from decimal import Decimal

from pytest_deploygate.lazy import dataclass

_NUMBER = re.compile(r"([-+−]?)\s*(\d(?:[\d.,'’ \u00a0\u202f]*\d)?)")
_WITH_UNIT = re.compile(rf"{_NUMBER.pattern}\s*([^\d\s]\S*)?")
_APART = re.compile(r"['’ \u00a0\u202f]")


@dataclass(frozen=True)
class Written:
    """A number as it is written, and half of its last digit, which rounding may take away or add."""

    value: Decimal
    half: Decimal


def whole(text: str, decimal: str = ".") -> Written | None:
    """Return the number that a text is, with or without a unit; None if it is none."""
    found = _WITH_UNIT.fullmatch(text.strip())
    return _number(found[1], found[2], decimal) if found else None


def first(text: str, decimal: str = ".") -> Written | None:
    """Return the first number in a text; None if there is none."""
    found = _NUMBER.search(text)
    return _number(found[1], found[2], decimal) if found else None


def _number(sign: str, digits: str, decimal: str) -> Written | None:
    plain = _APART.sub("", digits).replace("," if decimal == "." else ".", "").replace(decimal, ".")
    if plain.count(".") > 1:
        return None
    places = len(plain.partition(".")[2])
    return Written(Decimal(f"{'-' if sign in ('-', '−') else ''}{plain}"), Decimal(1).scaleb(-places) / 2)
