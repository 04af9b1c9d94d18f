"""What of a text can be seen: for reasons and names that must say something."""

from __future__ import annotations

import unicodedata

#: Without a glyph, but letters, marks or symbols to Unicode: fillers, joiners, variation selectors, the empty Braille cell.
_BLANK = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
    + "".join(map(chr, (*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
)


def visible(text: str) -> str:
    """Return the text without characters that show nothing (controls, joiners, fillers), with single spaces."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    spaced = " ".join(text.split())
    return "".join(c for c in spaced if c not in _BLANK and unicodedata.category(c)[0] != "C")


def letters(text: str) -> str:
    """Return the letters and digits of a text, with their marks, in the form that Unicode calls NFKC."""
    normal = unicodedata.normalize("NFKC", visible(text))
    kept = "".join(c for c in normal if unicodedata.category(c)[0] in "LNM" and c not in _BLANK)
    while kept and unicodedata.category(kept[0])[0] == "M":  # a mark on nothing
        kept = kept[1:]
    return kept


def says(text: str, least: int = 1) -> bool:
    """Tell whether a text can be read: it has letters or digits, and so many visible characters."""
    return bool(letters(text)) and len(visible(text).strip()) >= least
