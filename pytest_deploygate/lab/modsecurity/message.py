"""Requests and answers of HTTP/1.1 as the front reads and writes them: what servers could read in two ways is refused."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from pytest_deploygate.lazy import dataclass

#: As nginx's defaults: of the line with all headers, and of a body.
MOST_HEAD, MOST_BODY = 32 << 10, 1 << 20
_VERSIONS = ("HTTP/1.0", "HTTP/1.1")


@dataclass(frozen=True)
class Request:
    """A request: target and headers as they came, the body without its transfer coding."""

    method: str
    target: str
    version: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """Return the first header of this name, given in small letters; empty if there is none."""
        return next((value for own, value in self.headers if own.lower() == name), "")

    @property
    def keeps(self) -> bool:
        """Whether the client keeps its connection for another request."""
        wish = self.header("connection").lower()
        return wish == "keep-alive" if self.version == "HTTP/1.0" else wish != "close"


class RefusedError(Exception):
    """A request that is no HTTP, or larger than allowed; `status` is the answer."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


async def read(stream: asyncio.StreamReader) -> Request | None:
    """Read a request; None where the client has closed the connection. Raises RefusedError."""
    try:
        head = await stream.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError:
        raise RefusedError(431) from None
    line, *rest = _text(head[:-4]).split("\r\n")
    match line.split(" "):
        case [method, target, version] if method.isalpha() and target and version in _VERSIONS:
            pass
        case _:
            raise RefusedError(400)
    headers = []
    for each in rest:
        name, colon, value = each.partition(":")
        if not colon or not name or name != name.strip():
            raise RefusedError(400)
        headers.append((name, value.strip(" \t")))
    request = Request(method, target, version, tuple(headers), b"")
    if version == "HTTP/1.1" and not request.header("host"):
        raise RefusedError(400)
    return Request(method, target, version, tuple(headers), await _body(stream, request))


async def _body(stream: asyncio.StreamReader, request: Request) -> bytes:
    coding, length = request.header("transfer-encoding").lower(), request.header("content-length")
    if (coding and (length or coding != "chunked")) or (length and not length.isdigit()):
        raise RefusedError(
            400
        )  # two lengths, or none that can be read: servers would differ about the body's end
    if coding:
        return await _chunks(stream)
    if int(length or 0) > MOST_BODY:
        raise RefusedError(413)
    return await stream.readexactly(int(length or 0))


async def _chunks(stream: asyncio.StreamReader) -> bytes:
    found = b""
    while True:
        try:
            size = int((await stream.readuntil(b"\r\n")).partition(b";")[0].strip(), 16)
        except ValueError:
            raise RefusedError(400) from None
        if size < 0 or len(found) + size > MOST_BODY:
            raise RefusedError(400 if size < 0 else 413)
        if not size:
            while await stream.readuntil(b"\r\n") != b"\r\n":
                pass
            return found
        found += await stream.readexactly(size)
        if await stream.readexactly(2) != b"\r\n":
            raise RefusedError(400)


def _text(raw: bytes) -> str:
    """Return the text of a head; one that is not UTF-8 byte by byte."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def answer(status: int, page: str, kind: str = "text/html", *, head: bool = False) -> bytes:
    """Return an answer, without its page where the request was HEAD."""
    body = page.encode()
    first = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nServer: lab\r\nContent-Type: {kind}\r\n"
    return f"{first}Content-Length: {len(body)}\r\n\r\n".encode() + (b"" if head else body)
