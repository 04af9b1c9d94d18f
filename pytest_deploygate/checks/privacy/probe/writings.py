"""How systems write a person's values: plain, as parts, URL-encoded, escaped, as hexadecimal or base64, in UTF-16, compressed.

Each value of a synthetic person has a core of letters and digits that nothing else in the world has. Encodings of URLs,
JSON and HTML leave it as it is however often they are applied, and a local part or a phone number without its signs still
has it. Hexadecimal and base64 are looked for also of each other and twice: base64 within bytea, a token within a token.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator

#: So many characters of an encoded core are enough to know it; a search for shorter texts is quicker.
_ENOUGH = 40
#: Compressed values are unpacked up to this size.
_MOST_BYTES = 16 * 1024**2
_GZIP, _ZLIB = b"\x1f\x8b", (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
#: How values that we do not unpack begin.
_OTHERS = {b"\x28\xb5\x2f\xfd": "zstd", b"\x04\x22\x4d\x18": "LZ4", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz"}

#: The search itself must leave no trace of the person: what is sent to servers and shells has each letter and digit
#: replaced by another, and is put right there. Else a slow statement, a failed one or a command of sudo writes the
#: person to a log, and the search finds itself.
PLAIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
DISGUISE = "nopqrstuvwxyzabcdefghijklmNOPQRSTUVWXYZABCDEFGHIJKLM5678901234"
_DISGUISED = str.maketrans(PLAIN, DISGUISE)


def disguised(text: str) -> str:
    """Return a text of letters and digits so that nobody who looks for it finds it."""
    return text.translate(_DISGUISED)


def written(cores: tuple[str, ...]) -> tuple[str, ...]:
    """Return the cores as they may be written, in lower case: compare them with text in lower case."""
    found: dict[str, None] = {}
    for core in cores:
        found[core.lower()] = None
        for case in dict.fromkeys((core, core.lower(), core.upper())):
            # In UTF-16 both byte orders contain this; it begins and ends with a letter's byte.
            raw, wide = case.encode(), case.encode("utf-16-le")[:-1]
            once = [raw.hex(), raw.hex().upper(), *_base64(raw), wide.hex(), *_base64(wide)]
            twice = [text for inner in once for text in (inner.encode().hex(), *_base64(inner.encode()))]
            for text in (*once, *twice):
                found[text[:_ENOUGH].lower()] = None
    return tuple(found)


def _base64(raw: bytes) -> Iterator[str]:
    """Yield what base64 makes of some bytes within a longer text, wherever they begin in it."""
    for before, unclear in ((0, 0), (1, 2), (2, 3)):
        whole = (before + len(raw)) * 8 // 6
        yield base64.b64encode(bytes(before) + raw).decode()[unclear:whole]


def unpacked(value: bytes) -> tuple[bytes, str]:
    """Return a value, unpacked if it is compressed with gzip or zlib, and the name of a compression that is not unpacked."""
    if value.startswith((_GZIP, *_ZLIB)):
        try:
            return zlib.decompressobj(wbits=47).decompress(value, _MOST_BYTES), ""
        except zlib.error:
            return value, ""
    return value, next((name for start, name in _OTHERS.items() if value.startswith(start)), "")
