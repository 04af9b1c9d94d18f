"""Every text leaves the report layer through here: secrets are masked, and nothing hidden or spoofed remains.

Values are masked, not the finished text: escaping (`&` as `&amp;`) or wrapping at the terminal's width would have split a
secret there, and a weak secret that is a word of the format (`test`, `class`) would break the format.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterable
from enum import Enum
from operator import attrgetter
from typing import Any, TypeVar

from pytest_deploygate import redaction
from pytest_deploygate.redaction import redact
from pytest_deploygate.report.record import Record

T = TypeVar("T")

#: Control characters (including terminal escapes), marks that change the text direction, halves of surrogate pairs.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\u2028\u2029\ud800-\udfff\ufffe\uffff]"
)
_MARK = "\ufffd"


def plain(text: str) -> str:
    """Return the text with every character that is invisible, or moves others, replaced by �."""
    return _UNSEEN.sub(_MARK, text.replace("\r\n", "\n"))


def leaving(text: str) -> str:
    """Return a text as it may leave: plain, with every known secret masked."""
    return redact(plain(text))


#: The record that was cleaned last, what came of it, and `redaction.known` then.
_latest: tuple[Record, Record, object] | None = None


def cleaned(record: Record) -> Record:
    """Return the record with every text in it plain and masked; the same object if there was nothing to do.

    Each output of a run asks for its record: the answer is kept until another secret or another record comes.
    """
    global _latest  # noqa: PLW0603 (one answer, and only as long as it holds)
    if _latest is not None and redaction.known() is _latest[2] and any(record is one for one in _latest[:2]):
        return _latest[1]
    known = redaction.known()
    clean = _cleaned(record)
    _latest = record, clean, known
    return clean


def _cleaned(record: Record) -> Record:
    return clean(record)


def clean(value: T) -> T:
    """Return a value with every text in its tuples and dataclasses plain and masked; the same object if nothing was to do."""
    joined = "\n".join(_texts(value))
    return value if leaving(joined) == joined else _mapped(value, leaving)


def _texts(value: Any) -> list[str]:
    """Return every text inside a value, in any order. Exact types come first: this visits some hundred thousand values."""
    found: list[str] = []
    left = [value]
    while left:
        one = left.pop()
        kind: Any = type(one)
        if kind is str:
            found.append(one)
        elif kind is tuple:
            left.extend(one)
        elif parts := _parts(kind):
            left.extend(parts(one))
        elif isinstance(one, str) and not isinstance(one, Enum):
            found.append(str(one))
    return found


@functools.cache
def _parts(kind: type) -> Callable[[Any], Iterable[Any]] | None:
    """Return a function that returns the values of a dataclass' fields; None for any other type."""
    names = _fields(kind)
    return (
        attrgetter(*names) if len(names) > 1 else (lambda one: (getattr(one, names[0]),)) if names else None
    )


@functools.cache
def _fields(kind: type) -> tuple[str, ...]:
    """Return the field names of a dataclass; none for any other type."""
    return tuple(f.name for f in dataclasses.fields(kind)) if dataclasses.is_dataclass(kind) else ()


def _mapped(value: T, change: Callable[[str], str]) -> T:
    """Return a value of the same type with `change` applied to every text inside."""
    result: Any = value
    if isinstance(value, Enum):
        pass
    elif isinstance(value, str):
        result = change(value)
    elif isinstance(value, tuple):
        result = tuple(_mapped(part, change) for part in value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = {name: _mapped(getattr(value, name), change) for name in _fields(type(value))}
        result = type(value)(**parts)
    return result  # type: ignore[no-any-return]
