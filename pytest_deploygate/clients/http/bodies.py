"""Reading an HTTP body that may be too large, too slow, or broken."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import requests

_PART = 16_384


def read(answer: requests.Response, most_bytes: int, limit_s: float) -> bytes:
    """Return at most `most_bytes` of a streamed answer. Raises requests.RequestException, Timeout if it takes too long."""
    deadline = time.monotonic() + limit_s
    body = b""
    part: bytes
    for part in answer.iter_content(_PART):
        body += part
        if len(body) >= most_bytes:
            return body[:most_bytes]
        if time.monotonic() > deadline:
            from requests import Timeout  # noqa: PLC0415 (imported by whoever has the answer)

            raise Timeout(f"no end of the answer in {limit_s:g} s")
    return body
