"""The checksum of a row, and the test that both servers compute the same one before anything counts. Pure but for asking.

PostgreSQL's own checksum is promised neither across versions nor across architectures. Where one server gives another
answer than the known one, or the two encodings differ, md5 of the row's text in UTF-8 is used on both sides, at several
times the cost.
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
#: 64 bits over all bytes of a row, as it is sent; an array, because bytes alone have no such function before 14.
FAST = "hash_array_extended"
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
#: Rows as they are sent whose checksums are known: all types that stand in them, NULL, and the ends of their ranges.
SENT: tuple[tuple[str, ...], ...] = (
    ("NULL::int4", "1::int2", "-2::int4", "9223372036854775807::int8"),
    ("true", "false", "NULL::bool"),
    ("0.10::numeric", "0.1::numeric", "-12345678901234567890.000123::numeric", "'NaN'::numeric"),
    (
        "'-0'::float4",
        "0::float4",
        "0.1::float4",
        "'-0'::float8",
        "0.1::float8",
        "'-Infinity'::float8",
        "'NaN'::float8",
    ),
    ("''::text", "NULL::text", "'v '::varchar", "'c '::bpchar", r"'\x00ff'::bytea"),
    (
        "'6d1f5c1e-0000-4000-8000-00000000000f'::uuid",
        "'4713-01-01 BC'::date",
        "'infinity'::date",
        "'24:00'::time",
    ),
    (
        "'2026-03-29 02:30:00.000001'::timestamp",
        "'2026-03-29 02:30:00+05:45'::timestamptz",
        "'-infinity'::timestamptz",
    ),
)
#: The answers of FAST for TEXTS and then for SENT: PostgreSQL 13 to 18 on little-endian machines.
KNOWN = (
    1823654757067926248,
    -7458473735731053673,
    906162554657078378,
    -158556638828050331,
    355348925377299119,
    7159816335419061093,
    -6025618308703768655,
    3853553275347528403,
    -5777663932342740164,
    -554718690205994385,
    -7048093206043768904,
    -6155893820247179694,
    -7970559674794917370,
    5710055612346337644,
    -8174198565059768661,
    6042349638884546692,
)


def of(row: str, how: str, seed: int = 0) -> str:
    """Return the SQL expression of a row's checksum, a bigint: of its bytes with FAST (see `binary`), else of its text."""
    if how == FAST:
        return f"hash_array_extended(ARRAY[{row}],{seed})"
    salt = f"'{seed}:'||" if seed else ""
    return f"('x'||left(md5(convert_to({salt}{row},'UTF8')),16))::bit(64)::bigint"


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
