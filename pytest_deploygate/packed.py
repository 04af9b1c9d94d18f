"""Compressed data in a text: as it is, as Python prints it, in hexadecimal or in base64. It is looked into with bounds.

`replaced` unpacks gzip, zlib, zip, bzip2 and xz, at most `MOST_BYTES` of one text and `MOST_DEEP` within each other. Data that
holds a secret is masked as a whole. Of what cannot be looked into, a note says so in its place.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from collections.abc import Callable
from functools import cache

from pytest_deploygate.lazy import dataclass

MASK = "[secret]"
#: The most that is unpacked of one text: a bomb of 10 kB could hold 10 MB.
MOST_BYTES = 4 * 1024**2
MOST_DEEP = 4
#: The most attempts on one text: what begins like compressed data need not be any.
_MOST_TRIES = 64
#: Damage before this place is looked for byte by byte.
_MOST_AGAIN = 64 * 1024
_DEFLATED = 8
_XZ_MEMORY = 64 * 1024**2

#: How each kind begins. What begins like zlib is common, the others are not.
_BEGINS = {
    b"\x1f\x8b\x08": "gzip",
    b"PK\x03\x04": "zip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x78\x01": "zlib",
    b"\x78\x5e": "zlib",
    b"\x78\x9c": "zlib",
    b"\x78\xda": "zlib",
}
#: Texts of which one is in every text that holds such data in base64 (not zlib) or hexadecimal, or as it is in ASCII; in
#: other letters; and in escapes. They are few, because they are looked for in each text.
_CLUES = (
    *("H4sI", "UEsDB", "Qlpo", "Td6WFo", "KLUv"),
    *("1f8b08", "504b0304", "425a68", "fd377a58", "28b52ffd", "7801", "785e", "789c", "78da"),
    *("1F8B08", "504B0304", "425A68", "FD377A58", "28B52FFD", "785E", "789C", "78DA"),
    *("PK\x03", "BZh", "x\x01"),
)
_OTHER_LETTERS = ("\x1f\x8b", "7zXZ", "\xb5/\xfd", "x\x9c", "x\xda")
_ESCAPES = ("\\x", "\\u00")
_ZLIB_IN_BASE64 = r"e(?:A[E-H]|F[4-7]|J[w-z]|N[o-r])"


@dataclass(frozen=True)
class _Unpacked:
    """What compressed data holds, how many bytes of it were read, and why not all was looked into (empty: all was)."""

    content: bytes
    read: int
    problem: str = ""


def may_be(text: str) -> bool:
    """Tell fast whether a text may hold compressed data."""
    for clue in _CLUES:  # a loop, because this is asked of each text
        if clue in text:
            return True
    if not text.isascii() and any(clue in text for clue in _OTHER_LETTERS):
        return True
    if "\\" in text and any(clue in text for clue in _ESCAPES):
        return True
    return ("eA" in text or "eF" in text or "eJ" in text or "eN" in text) and _zlib().search(text) is not None


@cache
def _zlib() -> re.Pattern[str]:
    return re.compile(_ZLIB_IN_BASE64 + r"[A-Za-z0-9+/_%\\-]{8}")


def replaced(text: str, look: Callable[[str], str], *, deep: int) -> str:
    """Return the text with compressed data masked that holds a secret; `look` masks the secrets of what it holds.

    The text itself came out of so much compressed data within each other.
    """
    parts: list[str] = []
    at, left, tries, tried = 0, MOST_BYTES, 0, 0
    while (found := _writings().search(text, at)) is not None:
        tries += 1
        tried += len(found[0])
        start, raw, ends = found.start(), *_decoded(found)
        kind = next((name for begin, name in _BEGINS.items() if raw.startswith(begin)), "")
        unpacked = (
            _Unpacked(b"", len(raw), "there is too much of it, or too deep")
            if tries > _MOST_TRIES or tried > MOST_BYTES + len(text) or left <= 0 or deep >= MOST_DEEP
            else _unpacked(kind, raw, left)
        )
        instead = _instead(kind, unpacked, look) if unpacked else None
        if unpacked is None or instead is None:
            # The content of data that was unpacked is not searched for the beginning of other data.
            end = start + 1 if unpacked is None or not unpacked.content else ends(unpacked.read)
            parts.append(text[at:end])
        else:
            end = ends(unpacked.read)
            parts += [text[at:start], instead]
        left -= len(unpacked.content) if unpacked else 0
        at = max(end, start + 1)
    return "".join([*parts, text[at:]]) if parts else text


def _instead(kind: str, unpacked: _Unpacked, look: Callable[[str], str]) -> str | None:
    """Return what stands in place of compressed data; None if it may stay."""
    content = unpacked.content.decode("latin-1")
    seen = look(content) if content else ""
    if seen.count(MASK) > content.count(MASK):
        return MASK
    if unpacked.problem or seen != content:
        return (
            f"[{kind}, not looked into: {unpacked.problem or 'compressed too often, or in an unknown way'}]"
        )
    return None


@cache
def _writings() -> re.Pattern[str]:
    """Return the pattern for compressed data in base64, hexadecimal, as Python or JSON escape it, and as it is."""
    slash = r"(?:\\?/|_|%(?:25)*2[fF])"
    in_base64 = (
        rf"(?:H4sI|UEsDB|Qlpo[M-Z]|{slash}Td6WFo|KLUv{slash}[Q-Za-f]|{_ZLIB_IN_BASE64})"
        r"(?:[A-Za-z0-9+/_-]|\\/|%(?:25)*2[bBfF]|\r?\n[ \t]?|(?:\\+r)?\\+n)*(?:=|%(?:25)*3[dD]){0,2}"
    )
    in_hexadecimal = r"(?i:(?:1f8b08|504b0304|425a683|fd377a585a00|28b52ffd|78(?:01|5e|9c|da))[0-9a-f]*)"

    def escaped(byte: int, *others: str) -> str:
        ways = (rf"\\+x{byte:02x}", rf"\\+u00{byte:02x}", *others)
        return f"(?:{'|'.join(ways)})"

    starts = (
        escaped(0x1F) + escaped(0x8B, chr(0x8B)) + escaped(8, r"\\+b"),
        f"PK{escaped(3)}{escaped(4)}",
        f"{escaped(0xFD, chr(0xFD))}7zXZ{escaped(0)}",
        rf"\({escaped(0xB5, chr(0xB5))}/{escaped(0xFD, chr(0xFD))}",
        "BZh[1-9]1AY&SY",
        r"x\\+(?:x|u00)(?:01|9c|da)",
    )
    an_escape = r"(?=[\x20-\x5b\x5d-\xff]{0,60}\\+(?:x|u00)[0-9a-fA-F]{2})"
    as_escaped = rf"{an_escape}(?:{'|'.join(starts)})(?:\\+x[0-9a-fA-F]{{2}}|\\+u00[0-9a-fA-F]{{2}}|\\+[^xu]|[\x20-\x5b\x5d-\xff])*"
    as_is = "(?:\x1f\x8b\x08|PK\x03\x04|BZh[1-9]1AY&SY|\xfd7zXZ\x00|\\(\xb5/\xfd|x[\x01\x9c\xda])[\x00-\xff]*"
    return re.compile(
        f"(?P<base64>{in_base64})|(?P<hex>{in_hexadecimal})|(?P<escaped>{as_escaped})|(?P<raw>{as_is})"
    )


def _decoded(found: re.Match[str]) -> tuple[bytes, Callable[[int], int]]:
    """Return the data of a writing, and a function that says where in the text so many bytes of it end."""
    said, start, end = found[0], found.start(), found.end()
    try:
        match found.lastgroup:
            case "base64":
                return _from_base64(said), lambda _: end
            case "hex":
                return bytes.fromhex(said[: len(said) // 2 * 2]), lambda read: start + 2 * read
            case "escaped":
                return _from_escapes(said), lambda _: end
    except (ValueError, binascii.Error):
        return b"", lambda _: end
    return said.encode("latin-1"), lambda read: start + read


def _from_base64(said: str) -> bytes:
    plain = re.sub(r"%(?:25)*2[bB]", "+", re.sub(r"\\/|%(?:25)*2[fF]", "/", said))
    plain = re.sub(r"\s|\\+[rn]|=|%(?:25)*3[dD]", "", plain).replace("-", "+").replace("_", "/")
    plain = plain[:-1] if len(plain) % 4 == 1 else plain
    return base64.b64decode(plain + "=" * (-len(plain) % 4))


def _from_escapes(said: str) -> bytes:
    first = re.search(r"\\+", said)
    for _ in range(len(first[0]).bit_length() if first else 0):  # JSON in JSON doubles them
        said = codecs.decode(said.encode("latin-1"), "unicode_escape")
    return said.encode("latin-1", errors="ignore")


def _unpacked(kind: str, raw: bytes, most: int) -> _Unpacked | None:
    """Unpack data, at most so many bytes of it; None if it is no such data, or nothing of it can be read."""
    match kind:
        case "gzip" | "zlib":
            return _pieces(raw, most, _inflating)
        case "bzip2":
            return _pieces(raw, most, _of_bzip2)
        case "xz":
            return _pieces(raw, most, _of_xz)
        case "zip":
            return _of_zip(raw, most)
        case "":
            return None
    return _Unpacked(b"", len(raw), "this version does not unpack it")


#: Return a function that takes bytes and the most that it may return, and one that returns what follows the data, if it ended.
_Opened = tuple[Callable[[bytes, int], bytes], Callable[[], bytes | None]]


def _inflating(wbits: int = 47) -> _Opened:
    import zlib  # noqa: PLC0415 (few texts hold compressed data)

    opened = zlib.decompressobj(wbits)
    return (
        lambda raw, most: opened.decompress(opened.unconsumed_tail + raw, most),
        lambda: opened.unused_data if opened.eof else None,
    )


def _of_bzip2() -> _Opened:
    import bz2  # noqa: PLC0415

    opened = bz2.BZ2Decompressor()
    return opened.decompress, lambda: opened.unused_data if opened.eof else None


def _of_xz() -> _Opened:
    import lzma  # noqa: PLC0415

    opened = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
    return opened.decompress, lambda: opened.unused_data if opened.eof else None


def _pieces(raw: bytes, most: int, make: Callable[[], _Opened], step: int = 1024) -> _Unpacked | None:
    """Unpack piece by piece, so that of damaged or cut data what comes before the damage is seen."""
    out = bytearray()
    unpack, rest = make()
    for at in range(0, len(raw), step):
        try:
            out += unpack(raw[at : at + step], most - len(out) + 1)
        except Exception:  # noqa: BLE001 (each library has errors of its own; all mean that it is no such data)
            if step > 1 and at < _MOST_AGAIN:
                return _pieces(raw[: at + step], most, make, 1)
            return _Unpacked(bytes(out), min(at + step, len(raw))) if out else None
        if len(out) > most:
            return _Unpacked(bytes(out), len(raw), f"it holds more than {most // 1024} kB")
        if (after := rest()) is not None:
            ended = min(at + step, len(raw)) - len(after)
            more = _pieces(raw[ended:], most - len(out), make) if raw.startswith(raw[:3], ended) else None
            content, read, problem = (more.content, more.read, more.problem) if more else (b"", 0, "")
            return _Unpacked(bytes(out) + content, ended + read, problem)
    return _Unpacked(bytes(out), len(raw)) if out else None


def _of_zip(raw: bytes, most: int) -> _Unpacked:
    """Unpack each file that has a header, in order; the directory at the end, which may be cut off, is not needed."""
    out, problem, at = bytearray(), "", 0
    while at >= 0 and len(raw) >= at + 30:
        flags, method = (int.from_bytes(raw[at + n : at + n + 2], "little") for n in (6, 8))
        size = int.from_bytes(raw[at + 18 : at + 22], "little")
        begins = at + 30 + sum(int.from_bytes(raw[at + n : at + n + 2], "little") for n in (26, 28))
        out += raw[at + 30 : begins] + b"\n"  # names, too
        taken = _of_member(raw[begins:], method, size, most - len(out), encrypted=bool(flags & 1))
        problem = problem or taken.problem
        out += taken.content + b"\n"
        if len(out) > most:
            return _Unpacked(bytes(out), len(raw), f"it holds more than {most // 1024} kB")
        at = raw.find(b"PK\x03\x04", begins + taken.read)
    return _Unpacked(bytes(out), len(raw), problem)


def _of_member(raw: bytes, method: int, size: int, most: int, *, encrypted: bool) -> _Unpacked:
    if encrypted:
        return _Unpacked(b"", size, "it is encrypted")
    if method == 0:
        return _Unpacked(raw[: min(size, most + 1)] if size else b"", size)
    if method != _DEFLATED:
        return _Unpacked(b"", size, f"zip method {method} is not unpacked")
    return _pieces(raw, max(most, 0), lambda: _inflating(-15)) or _Unpacked(b"", size, "it is damaged")
