"""The checksum of a row, and the test that both servers compute the same one before anything counts. Pure but for asking.

`hashtextextended` is promised neither across versions nor across architectures. Where one server gives another answer
than the known one, or the two encodings differ, md5 of the text in UTF-8 is used on both sides, at several times the cost.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from pytest_deploygate.comparison import forms

#: Texts whose checksums are known: empty, ASCII, other alphabets, both normal forms, of many lengths, and rows.
TEXTS = (
    "",
    "a",
    "deploygate",
    '(1,,"")',
    "caf\u00e9",
    "cafe\u0301",
    "\u6f22\u5b57 \U0001f9ea",
    "0123456789" * 13,
    "x" * 4099,
)
FAST = "hashtextextended"
SLOW = "md5"
#: md5 of rows in the text that every kind of server can write, of values in such texts.
COMMON = "md5 of common texts"
#: Rows whose checksums in the common form are known: NULL, empty, blanks, what looks like a separator, long ones.
ROWS: tuple[tuple[str | None, ...], ...] = (
    *((text,) for text in TEXTS),
    (None,),
    ("", None, "a"),
    ("a", "", None),
    ("ab", "c"),
    ("a", "bc"),
    (" a ", "a ", "A"),
    ("1:a", "N", "N1:"),
    ("it's", '"', "\\", "\\'", "`", "%s", "\n\t"),
)
#: The answers of `hashtextextended(text, 0)` for TEXTS: PostgreSQL 13 to 18 on little-endian machines.
KNOWN = (
    -6939563903564495251,
    3591986179850072241,
    -2333342175568434100,
    4432710867363801499,
    2866814374384725210,
    -736334249161046261,
    4353700555994461550,
    -9170766302812563570,
    -5227034816918173075,
)


def of(text: str, how: str, seed: int = 0) -> str:
    """Return the SQL expression of a text's checksum: a bigint."""
    if how == FAST:
        return f'hashtextextended({text} COLLATE "C",{seed})'
    salt = f"'{seed}:'||" if seed else ""
    return f"('x'||left(md5(convert_to({salt}{text},'UTF8')),16))::bit(64)::bigint"


def agreed(ask: Callable[[str], list[int]], other: Callable[[str], list[int]], *, encodings: set[str]) -> str:
    """Return the function on which both sides agree, FAST or SLOW; an empty text if there is none.

    `ask` and `other` return the checksums that a side computes of what is known with a function: see `Server.checksums`.
    """
    if len(encodings) == 1 and ask(FAST) == other(FAST) == list(KNOWN):
        return FAST
    return SLOW if ask(SLOW) == other(SLOW) == _md5(TEXTS) else ""


def common(ask: Callable[[str], list[int]]) -> bool:
    """Tell whether a side computes the known checksums of rows in the form that every kind of server can write."""
    return ask(COMMON) == _md5(tuple(map(forms.counted, ROWS)))


def _md5(texts: tuple[str, ...]) -> list[int]:
    digests = (hashlib.md5(text.encode(), usedforsecurity=False).digest()[:8] for text in texts)
    return [int.from_bytes(digest, "big", signed=True) for digest in digests]
