"""Secrets: one wrapper type that hides them, one function that masks them in a text.

A secret is wrapped in `Secret(...)` and known from then on; everything that the product writes (journal,
report, evidence, terminal) passes through `redact`. A weak one (short, or a word that the inventory uses elsewhere) would
make paths and names unreadable: it is masked only where it stands as a password could.
"""

from __future__ import annotations

import base64
import json
import re
import urllib.parse
from collections.abc import Iterable, Mapping
from typing import Any

_MASK = "[secret]"
_LONG_NUMBER = 6  # a shorter number is too common to be masked everywhere
_NAMES_A_SECRET = re.compile(r"passw|pwd|secret|token|api_?key", re.IGNORECASE)
#: A shorter secret is weak.
_SHORT = 6
#: All forms of all values but weak ones, longest first, so that no part of one remains.
_known: tuple[str, ...] = ()
#: The forms as a JSON text has them, in which quotes and backslashes are escaped. May have more than is known.
_in_json: set[str] = set()
#: Weak values, each with the places where it is masked.
_weak: dict[str, re.Pattern[str]] = {}
#: Weak values in any place of a JSON text.
_weak_in_json: dict[str, re.Pattern[str]] = {}
#: The value of each source (`env:NAME`).
_sources: dict[str, str] = {}


class Secret:
    """A secret value. Only `reveal()` returns it; printing, logging or comparing reprs does not show it."""

    __slots__ = ("_value", "source")

    def __init__(self, value: str, source: str = "") -> None:
        self._value = value
        self.source = source
        if value:
            _sources[source] = value
            if len(value) < _SHORT:
                _weaken(value)
            elif value not in _weak:
                _know({*_known, *_forms(value)})

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


def _know(forms: Iterable[str]) -> None:
    """Mask these forms from now on."""
    global _known  # noqa: PLW0603 (sorted once, not for each text)
    _known = tuple(sorted(forms, key=len, reverse=True))
    _in_json.update(map(_escaped, _known))


def _escaped(form: str) -> str:
    """Return a text as it is within a JSON text with `ensure_ascii=False`."""
    return json.dumps(form, ensure_ascii=False)[1:-1]


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


def _weaken(value: str) -> None:
    """Mask a value only in the forms that nobody writes by chance, and as it stands: as a password."""
    forms = sorted(_forms(value), key=len, reverse=True)
    encoded = {form for form in forms if value not in form and len(form) >= _SHORT}
    _know({*_known, *encoded}.difference(form for form in forms if form not in encoded))
    as_it_is = "|".join(re.escape(form) for form in forms if form not in encoded)
    anywhere = "|".join(re.escape(_escaped(form)) for form in forms)
    _weak_in_json[value] = re.compile(anywhere, re.IGNORECASE)
    _weak[value] = re.compile(
        rf"""((?:passw(?:or)?d|passwd|pwd|secret|token|api[_-]?key|bearer|basic|credentials?)["']?(?:\s*[=:]\s*|\s+)["']?"""
        rf"""|://[^/\s:@]*:)(?:{as_it_is})(?![A-Za-z0-9])""",
        re.IGNORECASE,
    )


def weak(texts: Iterable[str]) -> dict[str, str]:
    """Return the weak secrets by their source (`env:NAME`), each with why it is: short, or a word of these texts.

    From then on they are masked only where they stand as a password could.
    """
    whole = "\n".join(texts)
    found = {}
    for source, value in _sources.items():
        used = re.search(rf"(?<![A-Za-z0-9]){re.escape(value)}(?![A-Za-z0-9])", whole)
        if used and value not in _weak:
            _weaken(value)
        if value in _weak and source:
            why = "is a word that this file uses elsewhere" if used else f"has fewer than {_SHORT} characters"
            found[source] = why
    return found


def _inside_base64(raw: bytes) -> set[str]:
    """Return the forms of the value inside a longer base64 text, such as `user:password` in a header."""
    if len(raw) < 6:
        return set()
    found = set()
    for before in range(3):
        text = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        found.add(text[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6])
    return found


def known() -> object:
    """Return an object that is another one once another secret is known: what was masked before may hold that one."""
    return _known


def redact(text: str) -> str:
    """Return the text with every known secret masked."""
    for value in _known:
        if value in text:
            text = text.replace(value, _MASK)
    for value, place in _weak.items():
        if len(value) < len(text):
            text = place.sub(rf"\1{_MASK}", text)
    return text


def may_hold(text: str) -> bool:
    """Tell whether a JSON text (with `ensure_ascii=False`) may hold a known secret.

    If not, `redact_values` of the data would change nothing: to look at one text takes less than to look at each value.
    """
    return any(form in text for form in _in_json) or any(
        place.search(text) for place in _weak_in_json.values()
    )


def redact_values(value: Any, *, keep: frozenset[str] = frozenset()) -> Any:
    """Return JSON data with its texts masked; the structure stays intact whatever the secret is.

    Values under a key in `keep` (our own words, digests, times) stay unchanged, and so do all keys. A password such as
    `verdict` would otherwise make a record unreadable. A text under a key that names a secret is masked if it is a weak one.
    """
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {
            key: inner
            if key in keep
            else _MASK
            if isinstance(inner, str) and inner in _weak and _NAMES_A_SECRET.search(str(key))
            else redact_values(inner, keep=keep)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact_values(inner, keep=keep) for inner in value]
    if isinstance(value, int | float) and len(str(value)) >= _LONG_NUMBER and str(value) in _known:
        return _MASK
    return value
