"""How a secret can be written: as it is, escaped for HTML, JSON, SQL or a URL (also twice), in hexadecimal, in base64.

A server that echoes what it was sent does so in its own writing. `pattern` matches all of them; `clues` are short texts of
which every writing without escaped letters holds one, so that a text can be looked at fast.
"""

from __future__ import annotations

import base64
import re
from functools import cache

#: A letter or digit that somebody escaped although no writing needs that: `%61`, `%2561`, `&#97;`, `\\u0061`, `\\x61`.
SPELLED_OUT = re.compile(
    r"%(?:25)*(?:3\d|[46][1-9a-f]|[57][0-9a])|&(?:amp;)*#(?:0*(?:4[89]|5[0-7]|6[5-9]|[79]\d|8\d|1[01]\d|12[0-2])\b"
    r"|x0*(?:3\d|[46][1-9a-f]|[57][0-9a])\b)|\\(?:u00|x)(?:3\d|[46][1-9a-f]|[57][0-9a])",
    re.IGNORECASE,
)
_CLUE = 4
_SHORTEST_INSIDE = 6
_RUN = re.compile(r"[A-Za-z0-9]+")
#: Characters that stand for others in the alphabet of base64 that URLs have.
_IN_URLS = {"+": "-", "/": "_"}


def pattern(value: str) -> str:
    """Return a regular expression for every writing of a value."""
    return "|".join((_written(value), *_encoded(_raw(value))))


def readable(value: str) -> str:
    """Return a regular expression for the writings in which people could read the value."""
    return _written(value)


def encoded(value: str, shortest: int) -> str:
    """Return a regular expression for the whole value in hexadecimal or base64; of at least so many characters."""
    raw = _raw(value)
    in_base64 = base64.b64encode(raw).decode()
    found = [_hexadecimal(raw)] if 2 * len(raw) >= shortest else []
    if len(in_base64) >= shortest:
        found.append(_written(in_base64, base64_=True))
    return "|".join(found)


def clues(value: str) -> tuple[str, ...]:
    """Return texts of which one is in every writing but those that `SPELLED_OUT` finds; empty: there are no such texts."""
    return tuple(dict.fromkeys(longest for longest, *_ in _runs(value)))


def may_be_in(value: str, text: str) -> bool:
    """Tell whether a text may hold a writing of a value apart from those that `SPELLED_OUT` finds; compiles nothing."""
    return not _runs(value) or any(all(run in text for run in runs) for runs in _runs(value))


@cache
def _runs(value: str) -> tuple[tuple[str, ...], ...]:
    """Return the runs of letters and digits of each writing, the longest first, unless one has none that is long enough."""
    raw = _raw(value)
    writings = [value, raw.hex(), raw.hex().upper(), *_inside_base64(raw)]
    found = [tuple(sorted(_RUN.findall(one), key=len, reverse=True)) for one in writings]
    return tuple(found) if all(runs and len(runs[0]) >= _CLUE for runs in found) else ()


@cache
def clues_whole(value: str) -> tuple[str, ...]:
    """Return texts in lower case of which one is in every text that holds the value or its code, in any letter case.

    Empty: there are none, since it has characters besides letters and digits. `SPELLED_OUT` finds escaped letters.
    """
    if not _RUN.fullmatch(value):
        return ()
    raw = _raw(value)
    return value.lower(), raw.hex(), _longest_run(base64.b64encode(raw).decode()).lower()


def _raw(value: str) -> bytes:
    return value.encode(errors="surrogateescape" if _is_from_bytes(value) else "backslashreplace")


def _is_from_bytes(value: str) -> bool:
    return not any("\ud800" <= c < "\udc80" or "\udcff" < c <= "\udfff" for c in value)


def _longest_run(text: str) -> str:
    return max(_RUN.findall(text), key=len, default="")


def _encoded(raw: bytes) -> list[str]:
    return [_hexadecimal(raw), *(_written(core, base64_=True) for core in _inside_base64(raw))]


def _hexadecimal(raw: bytes) -> str:
    return rf"(?i:{'[ :]?'.join(f'{byte:02x}' for byte in raw)})"


def _inside_base64(raw: bytes) -> list[str]:
    """Return what the value looks like in base64: what does not depend on the bytes before it, such as `user:`, or after it."""
    if len(raw) < _SHORTEST_INSIDE:
        return [base64.b64encode(raw).decode()]
    found = []
    for before in range(3):
        text = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        found.append(text[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6])
    return found


def _written(text: str, *, base64_: bool = False) -> str:
    """Return a regular expression for a text of which each character is written in any way.

    In base64 also with the alphabet for URLs, and with the character at its end that the bytes after it decide, too.
    """
    whole = "".join(_one(c, _IN_URLS.get(c, "") if base64_ else "") for c in text)
    return rf"{whole}(?:[A-Za-z0-9+/_-]?(?:=|%(?:25)*3[dD]){{1,2}})?" if base64_ else whole


@cache
def _one(c: str, instead: str) -> str:
    from html.entities import codepoint2name  # noqa: PLC0415 (few texts need a pattern)

    code = ord(c)
    raw = c.encode(errors="surrogateescape" if 0xDC80 <= code <= 0xDCFF else "surrogatepass")
    plain = re.escape(c)
    ways = [
        "".join(rf"%(?:25)*{byte:02x}" for byte in raw),
        "".join(rf"\\+x{byte:02x}" for byte in raw),
        rf"&(?:amp;)*#0*{code};?",
        rf"&(?:amp;)*#x0*{code:x};?",
    ]
    if code > 0xFFFF:
        pair = c.encode("utf-16-be").hex()
        ways += [rf"\\+u{pair[:4]}\\+u{pair[4:]}", rf"\\+U{code:08x}"]
    else:
        ways.append(rf"\\+u{code:04x}")
    if 0x7F < code <= 0xFF:
        ways += [rf"%(?:25)*{code:02x}", rf"\\+x{code:02x}"]
    if c == "\0":
        ways.append(r"\\+0")
    if name := codepoint2name.get(code, "apos" if c == "'" else ""):
        ways.append(rf"&(?:amp;)*{name};?")
    if c in "\n\r\t":
        ways.append(r"\\+" + {"\n": "n", "\r": "r", "\t": "t"}[c])
    if c == " ":
        ways += [r"\+", "%(?:25)*2b"]  # a plus that was escaped again
    if code > 0x7F and not 0xD800 <= code <= 0xDFFF:
        ways.append(re.escape(raw.decode("latin-1")))
    if not c.isalnum():
        plain = rf"\\*{plain}" if c != "\\" else r"\\{1,8}"
    if c in "'\"":
        plain += rf"{re.escape(c)}?"
    if instead:
        ways.append(re.escape(instead))
    return f"(?:{plain}|(?i:{'|'.join(ways)}))"
