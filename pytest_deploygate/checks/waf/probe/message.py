"""Requests as they are sent, byte by byte: no library corrects what an attacker would not."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import quote

from pytest_deploygate.lazy import dataclass

WITH_BODY = ("form", "json", "multipart", "upload", "body")
#: What browsers leave as it is in a query. Blanks and what would end the value are always encoded.
_SAFE = "-._~!*'(),;:@/?$"
_BOUNDARY = "deploygate-7d1f0c2a"
_PARAMETER = "item"


@dataclass(frozen=True)
class Message:
    """A request: method, target as it stands in the first line, headers of its own, body."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def has(self, name: str) -> bool:
        """Return whether it has a header of its own."""
        return any(own.lower() == name.lower() for own, _ in self.headers)


def encoded(payload: str, encoding: str) -> str:
    """Return the payload in an encoding that does not depend on where it is put; others are left to the placement."""
    if encoding == "case":
        return "".join(letter.upper() if n % 2 else letter.lower() for n, letter in enumerate(payload))
    if encoding == "comment":
        return payload.replace(" ", "/**/")
    if encoding == "html":
        return "".join(f"&#x{ord(letter):x};" if not letter.isalnum() else letter for letter in payload)
    return payload


def _quoted(value: str, encoding: str) -> str:
    if encoding == "url":
        return "".join(f"%{byte:02X}" for byte in value.encode())
    if encoding == "double":
        return quote(quote(value, safe=""), safe="")
    if encoding == "unicode":
        return "".join(letter if letter.isalnum() else f"%u{ord(letter):04x}" for letter in value)
    return quote(value, safe=_SAFE)


def plain(path: str) -> Message:
    """Return a GET of a path."""
    return Message("GET", path)


def query(path: str, value: str, encoding: str) -> Message:
    """Return a GET with the value in a parameter."""
    return Message("GET", f"{path}?{_PARAMETER}={_quoted(value, encoding)}")


def below(path: str, value: str, encoding: str) -> Message:
    """Return a GET of the value as a path below a path."""
    return Message("GET", f"{path.rstrip('/')}/{_quoted(value.lstrip('/'), encoding).replace('?', '%3F')}")


def cookie(path: str, value: str, encoding: str) -> Message:
    """Return a GET with the value in a cookie."""
    said = _quoted(value, encoding).replace(";", "%3B").replace(",", "%2C")
    return Message("GET", path, (("Cookie", f"{_PARAMETER}={said}"),))


def header(path: str, name: str, value: str) -> Message:
    """Return a GET with the value in a header. One that sends an agent keeps ours before it."""
    return Message("GET", path, ((name, value),))


def form(path: str, value: str, encoding: str) -> Message:
    """Return a POST of a form with the value."""
    text = f"{_PARAMETER}={_quoted(value, encoding)}"
    return body("POST", path, "application/x-www-form-urlencoded", text.encode())


def in_json(path: str, value: str, encoding: str) -> Message:
    """Return a POST of JSON with the value. In the encoding `unicode`, each of its characters is escaped."""
    if encoding == "unicode":
        inner = "".join(f"\\u{ord(letter):04x}" for letter in value)
        text = f'{{"{_PARAMETER}": "{inner}"}}'
    else:
        said = value if encoding in ("plain", "case", "comment", "html") else _quoted(value, encoding)
        text = json.dumps({_PARAMETER: said}, ensure_ascii=False)
    return body("POST", path, "application/json", text.encode())


def multipart(path: str, value: str, encoding: str) -> Message:
    """Return a POST of a form in parts with the value."""
    said = value if encoding in ("plain", "case", "comment", "html") else _quoted(value, encoding)
    part = f'Content-Disposition: form-data; name="{_PARAMETER}"'
    return _parts(path, part, said.encode())


def file(path: str, value: str, encoding: str) -> Message:
    """Return an upload of a text file with the value as content."""
    said = value if encoding in ("plain", "case", "comment", "html") else _quoted(value, encoding)
    return upload(path, "notes.txt", said.encode())


def upload(path: str, name: str, content: bytes, kind: str = "text/plain") -> Message:
    """Return an upload of a file."""
    part = f'Content-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: {kind}'
    return _parts(path, part, content)


def _parts(path: str, head: str, content: bytes) -> Message:
    text = b"--%b\r\n%b\r\n\r\n%b\r\n--%b--\r\n" % (
        _BOUNDARY.encode(),
        head.encode(),
        content,
        _BOUNDARY.encode(),
    )
    return body("POST", path, f"multipart/form-data; boundary={_BOUNDARY}", text)


def body(method: str, path: str, kind: str, content: bytes) -> Message:
    """Return a request with a body, or with none if it is empty."""
    return Message(method, path, (("Content-Type", kind),) if kind else (), content)


PLACED: dict[str, Callable[[str, str, str], Message]] = {
    "query": query,
    "path": below,
    "cookie": cookie,
    "form": form,
    "json": in_json,
    "multipart": multipart,
    "upload": file,
}
