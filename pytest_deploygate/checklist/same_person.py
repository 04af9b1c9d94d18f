"""Whether two names are one person's: as people read them, not as computers store them."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache

from pytest_deploygate.visible import letters

#: What looks alike among the letters and digits of ASCII (UTS 39), so that most names need no further data.
_ASCII = {"0": "O", "1": "l", "I": "l", "m": "rn"}
_MOST_STEPS = 4


def same_person(one: str, other: str) -> bool:
    """Compare two names as people do: case, spaces, punctuation, invisible characters and Unicode forms do not matter."""
    return _folded(one) == _folded(other)


def look_alike(one: str, other: str) -> str:
    """Return how two names that are not the same look the same (UTS 39), naming the characters; empty if they do not."""
    if same_person(one, other) or not _same_look(letters(one), letters(other)):
        return ""
    differ = ", ".join(
        f"{c!r} is {unicodedata.name(c, f'U+{ord(c):04X}')}"
        for c in dict.fromkeys((*one, *other))
        if (c in one) != (c in other) and c.isalnum()
    )
    return differ or "their letters look the same, as 'rn' and 'm' do"


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", letters(name).casefold())


def _same_look(one: str, other: str) -> bool:
    """Capital letters can look like small ones of another kind, so both the names and their small letters are compared."""
    return _look(one).casefold() == _look(other).casefold() or _look(one.casefold()) == _look(
        other.casefold()
    )


def _look(name: str) -> str:
    """Return the name with each character replaced by the one that stands for all that look like it."""
    if name.isascii():
        return "".join(_ASCII.get(c, c) for c in name)
    return "".join(map(_stands_for, unicodedata.normalize("NFD", name)))


@cache
def _stands_for(c: str) -> str:
    # Only names with other letters than ASCII's need this file of a megabyte.
    from confusable_homoglyphs.confusables import confusables_data  # noqa: PLC0415

    return "".join(_prototype(part, confusables_data) for part in c)


def _prototype(c: str, data: Mapping[str, Sequence[Mapping[str, str]]]) -> str:
    """Follow a character to its prototype: the data names neighbours, and a prototype has the most of them."""
    for _ in range(_MOST_STEPS):
        near = [found["c"] for found in data.get(c, ())]
        best = max(near, key=lambda text: (len(data.get(text, ())), text), default=c)
        if (len(data.get(best, ())), best) <= (len(near), c):
            break
        c = best
    return unicodedata.normalize("NFD", c)
