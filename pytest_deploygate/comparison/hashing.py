"""The checksum of a row, and the test that both servers compute the same one before anything counts. Pure but for asking.

`hashtextextended` is promised neither across versions nor across architectures. Where one server gives another answer
than the known one, or the two encodings differ, md5 of the text in UTF-8 is used on both sides, at several times the cost.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

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

    `ask` and `other` run a statement on a side and return the numbers of its one row.
    """
    if len(encodings) == 1 and ask(question(FAST)) == other(question(FAST)) == list(KNOWN):
        return FAST
    return SLOW if ask(question(SLOW)) == other(question(SLOW)) == _md5() else ""


def question(how: str) -> str:
    """Return the statement that asks for the checksums of all texts."""
    return "SELECT " + ", ".join(of(_literal(text), how) for text in TEXTS)


def _literal(text: str) -> str:
    return "('" + text.replace("'", "''") + "'::text)"


def _md5() -> list[int]:
    digests = (hashlib.md5(text.encode(), usedforsecurity=False).digest()[:8] for text in TEXTS)
    return [int.from_bytes(digest, "big", signed=True) for digest in digests]
