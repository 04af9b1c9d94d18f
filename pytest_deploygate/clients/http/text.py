"""The text of a page as browsers decode it: byte order mark, HTTP header, `<meta>`, then a guess (WHATWG Encoding, HTML)."""

from __future__ import annotations

import re

from pytest_deploygate.fields.http import HttpRequest

_CHARSET = re.compile(r"""charset\s*=\s*["']?([^\s;,"']+)""", re.IGNORECASE)
#: Browsers look for `<meta charset>` here; html5lib parses this much.
_BEGINNING = 4096


def decoded(body: bytes, content_type: str) -> str:
    """Decode a page. A charset that no browser knows counts as none, and bytes that do not fit are replaced."""
    import webencodings  # noqa: PLC0415 (only pages need it)

    named = _CHARSET.search(content_type)
    if named and webencodings.lookup(named[1]):
        return str(
            webencodings.decode(body, named[1], "replace")[0]
        )  # a mark at the beginning goes before it
    import html5lib  # noqa: PLC0415

    parser = html5lib.HTMLParser()
    parser.parse(
        body[:_BEGINNING],
        likely_encoding="utf-8" if _is_utf8(body) else None,
        default_encoding="windows-1252",
    )
    return str(webencodings.decode(body, parser.documentEncoding or "windows-1252", "replace")[0])


def _is_utf8(body: bytes) -> bool:
    """Tell whether a body is UTF-8. It may be cut within a character."""
    try:
        body.decode()
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data" and error.start >= len(body) - 3
    return True


def lacking(expected: HttpRequest, body: bytes, content_type: str) -> str:
    """Describe what is wrong with the body of a response; empty if nothing is. Bodies that are not UTF-8 are decoded as pages."""
    said = expected.lacking(body.decode(errors="replace"))
    plain = _is_utf8(body) and b"\0" not in body  # UTF-16 of Latin letters is UTF-8 with zeros
    return said if plain or not (said or expected.lacks) else expected.lacking(decoded(body, content_type))
