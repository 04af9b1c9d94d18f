"""Tell in what way two values differ, from their texts: what has one cause gets one kind.

`lost`, `extra`: the row is on one side only. `empty-for-null`, `null-for-empty`, `null-for-value`, `value-for-null`: the
target has the first in place of the second. `shifted+2h`: a time is that much later on the target. `rounded`: a number
or time with fewer digits, or through single precision. `digits`: the same number, written otherwise. `truncated`: the
beginning of the text. `spaces`, `case`, `unicode-form`: only these differ. `encoding`: UTF-8 that was read as Latin-1.
`changed`: all else, and values that are known as digests only.
"""

from __future__ import annotations

import math
import re
import struct
import unicodedata
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, InvalidOperation

_ROWS = {"missing": "lost", "extra": "extra"}
_NUMBER = re.compile(r"[+-]?\d{1,200}(\.\d{1,200})?([eE][+-]?\d{1,3})?")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d{1,6})?([+-]\d\d(:\d\d)?)?")
_DIGEST = "digest:"
_QUARTER_S = 900
_MOST_SHIFT = timedelta(hours=26)


def kind(said: str, source: str | None, target: str | None) -> str:
    """Return the kind of a line; `said` is what the file has: missing, extra or changed."""
    if said in _ROWS:
        return _ROWS[said]
    if source is None or target is None:
        return _null(source, target)
    if source.startswith(_DIGEST) and target.startswith(_DIGEST):
        return "changed"
    if _TIME.fullmatch(source) and _TIME.fullmatch(target):
        return _times(source, target)
    if _NUMBER.fullmatch(source) and _NUMBER.fullmatch(target):
        return _numbers(source, target)
    return _texts(source, target)


def _null(source: str | None, target: str | None) -> str:
    if source is None:
        return "empty-for-null" if target == "" else "value-for-null"
    return "null-for-empty" if source == "" else "null-for-value"


def _times(source: str, target: str) -> str:
    try:
        here, there = datetime.fromisoformat(source), datetime.fromisoformat(target)
        apart = there - here
    except (ValueError, TypeError, OverflowError):  # a day that is none, or only one of them has a zone
        return "changed"
    seconds = apart.total_seconds()
    if seconds and seconds % _QUARTER_S == 0 and abs(apart) <= _MOST_SHIFT:
        minutes = round(abs(seconds) / 60)
        words = f"{minutes // 60}h" + (f"{minutes % 60}m" if minutes % 60 else "")
        return f"shifted{'+' if seconds > 0 else '-'}{words}"
    shorter = len(_fraction(target)) < len(_fraction(source))
    return "rounded" if abs(seconds) <= 1 and shorter else "changed"


def _fraction(text: str) -> str:
    return (re.search(r"\.\d+", text) or [""])[0].rstrip("0").rstrip(".")


def _numbers(source: str, target: str) -> str:
    try:
        here, there = Decimal(source), Decimal(target)
        if here == there:
            return "changed" if here.is_signed() != there.is_signed() else "digits"
        if _single(here) == there or _single(here) == Decimal(float(there)):
            return "rounded"
        places = _places(there)
        digits = Decimal(1).scaleb(-places)
        rounded = {here.quantize(digits, how) for how in (ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_DOWN)}
    except (InvalidOperation, OverflowError, ValueError):
        return "changed"
    return "rounded" if places < _places(here) and there in rounded else "changed"


def _places(value: Decimal) -> int:
    """Return how many digits after the point a number has, without zeros at its end."""
    return min(max(-int(value.normalize().as_tuple().exponent), 0), 100)


def _single(value: Decimal) -> Decimal:
    """Return a number as single precision has it. Raises OverflowError."""
    single: float = struct.unpack("f", struct.pack("f", float(value)))[0]
    if math.isinf(single):
        raise OverflowError
    return Decimal(single)


def _texts(source: str, target: str) -> str:
    if source.split() == target.split() or source.strip() == target.strip():
        return "spaces"
    if target and source.startswith(target):
        return "truncated"
    if source.casefold() == target.casefold():
        return "case"
    if unicodedata.normalize("NFC", source) == unicodedata.normalize("NFC", target):
        return "unicode-form"
    return "encoding" if _misread(source, target) else "changed"


def _misread(source: str, target: str) -> bool:
    for codec in ("latin-1", "cp1252"):
        try:
            if target.encode(codec).decode() == source:
                return True
        except UnicodeError:
            continue
    return False
