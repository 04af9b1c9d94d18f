"""Unpacks a part of a host's answer, and splits it into frames."""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Iterator

from pytest_deploygate.lazy import dataclass

_GZIP = 16 + zlib.MAX_WBITS
#: Nothing that a host sends may fill our memory: parts are cut there to less.
_MOST = 256 * 1024**2
_END = "E"


@dataclass(frozen=True)
class Frame:
    """What stands after one line of the mark: its letter, its words, and the content, with each byte as one character."""

    kind: str
    words: str
    content: str


def unpacked(text: str | None) -> str | None:
    """Return what a host packed, as text with a character for each byte; None if it cannot be unpacked."""
    if not text:
        return None
    try:
        packed = base64.b64decode("".join(text.split()), validate=True)
        reader = zlib.decompressobj(_GZIP)
        return reader.decompress(packed, _MOST).decode("latin-1")
    except (binascii.Error, ValueError, zlib.error):
        return None


def frames(content: str, mark: str) -> Iterator[Frame]:
    """Yield the frames of a part; the one that ends it is of kind `E`."""
    line = re.compile(rf"\n{re.escape(mark)} ([A-Z]) ([^\n]*)\n")
    found = list(line.finditer(content))
    for number, begins in enumerate(found):
        end = found[number + 1].start() if number + 1 < len(found) else len(content)
        yield Frame(begins[1], begins[2], content[begins.end() : end])


def ended(content: str | None, mark: str) -> int | None:
    """Return the exit code of the search of a part; None if the part was cut off."""
    last = re.search(rf"\n{re.escape(mark)} {_END} (\d+)\n*\Z", content or "")
    return int(last[1]) if last else None
