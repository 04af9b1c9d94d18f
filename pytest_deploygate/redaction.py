"""Secrets: one wrapper type that hides them, one function that masks them in a text.

A secret is wrapped in `Secret(...)` and known from then on; everything that the product writes (journal,
report, evidence, terminal) passes through `redact`.
"""

from __future__ import annotations

import base64
import json
import urllib.parse
from collections.abc import Mapping
from typing import Any

_MASK = "[secret]"
_LONG_NUMBER = 6  # a shorter number is too common to be masked everywhere
_known: set[str] = set()


class Secret:
    """A secret value. Only `reveal()` returns it; printing, logging or comparing reprs does not show it."""

    __slots__ = ("_value", "source")

    def __init__(self, value: str, source: str = "") -> None:
        self._value = value
        self.source = source
        if value:
            _known.update(_forms(value))

    def reveal(self) -> str:
        """Return the value itself: call this only where the value is sent to its server."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({self.source or _MASK})"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str:
        raise TypeError("a secret cannot be pickled")


def _forms(value: str) -> set[str]:
    """Return the forms in which a value appears in texts: plain, in a URL, encoded, escaped in JSON, SQL or a repr."""
    raw = value.encode(errors="surrogateescape")
    escaped = {
        value.encode("unicode_escape", errors="surrogateescape").decode(),
        value.replace("\\", "\\\\"),
        value.replace("'", "''"),
        repr(value)[1:-1],
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
    }
    in_url = {urllib.parse.quote(raw), urllib.parse.quote(raw, safe=""), urllib.parse.quote_plus(raw)}
    encoded = {base64.b64encode(raw).decode(), raw.hex()} | _inside_base64(raw)
    return {form for form in {value, *in_url, *encoded, *escaped} if form}


def _inside_base64(raw: bytes) -> set[str]:
    """Return the forms of the value inside a longer base64 text, such as `user:password` in a header."""
    if len(raw) < 6:
        return set()
    found = set()
    for before in range(3):
        text = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        found.add(text[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6])
    return found


def redact(text: str) -> str:
    """Return the text with every known secret masked, longest first so that no part of one remains."""
    for value in sorted(_known, key=len, reverse=True):
        if value in text:
            text = text.replace(value, _MASK)
    return text


def redact_values(value: Any, *, keep: frozenset[str] = frozenset()) -> Any:
    """Return JSON data with its texts masked; the structure stays intact whatever the secret is.

    Values under a key in `keep` (our own words, digests, times) stay unchanged, and so do all keys. A weak password
    such as `test` or `pass` would otherwise make a record unreadable.
    """
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {
            key: inner if key in keep else redact_values(inner, keep=keep) for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact_values(inner, keep=keep) for inner in value]
    if isinstance(value, int | float) and len(str(value)) >= _LONG_NUMBER and str(value) in _known:
        return _MASK
    return value
