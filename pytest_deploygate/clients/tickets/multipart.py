"""A form with one file (RFC 7578), read from disk while it is sent: evidence may be larger than memory."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

from pytest_deploygate.clients.tickets.asking import Sent

_PART = 64 * 1024


class _Form:
    """The head of a form's part, a file, and the form's end, as one stream with a length.

    It has no `tell`: requests would take an error of that for an empty stream.
    """

    def __init__(self, head: bytes, file: Path, tail: bytes) -> None:
        self._size = len(head) + file.stat().st_size + len(tail)
        self._parts = [io.BytesIO(head), file.open("rb"), io.BytesIO(tail)]

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        while part := self.read(_PART):
            yield part

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most `size`; none at the end."""
        for part in self._parts:
            if found := part.read(size if size >= 0 else _PART):
                return found
        return b""

    def close(self) -> None:
        """Close the file."""
        for part in self._parts:
            part.close()


def form(file: Path, name: str, content_type: str, digest: str) -> Sent:
    """Return a form whose part `file` is a file. `name` has letters, digits, dots and dashes only. Raises OSError.

    The boundary has the file's digest: no file contains the digest of itself.
    """
    boundary = f"deploygate-{digest[:40]}"
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        f"Content-Type: {content_type}\r\n\r\n"
    ).encode()
    tail = f"\r\n--{boundary}--\r\n".encode()
    body = _Form(head, file, tail)
    return Sent(body, f"multipart/form-data; boundary={boundary}", len(body))
