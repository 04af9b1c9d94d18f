"""Send one request of a contract, and compare the answer with what the contract says."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import requests

from pytest_deploygate.checks.integrations.facts import Answer, Silence
from pytest_deploygate.checks.integrations.section import Agreed, Integration
from pytest_deploygate.clients import reach
from pytest_deploygate.clients.http import sending, text, whole
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.redaction import redact, shortened

_MOST_BYTES = 2_000_000
_ERROR_WORDS = 120
_VALUE_WORDS = 60


@dataclass(frozen=True)
class Body:
    """An answer's headers and JSON; None as JSON if it is none."""

    headers: Mapping[str, str]
    json: Any

    def at(self, pointer: str) -> Any:
        """Return what a JSON pointer leads to; None if it leads nowhere."""
        node = self.json
        for part in pointer.lstrip("/").split("/"):
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(node, list) and key.isdigit() and int(key) < len(node):
                node = node[int(key)]
            elif isinstance(node, dict) and key in node:
                node = node[key]
            else:
                return None
        return node


def without_login(access: Integration) -> Integration:
    """Return the same partner without our credential."""
    return access.model_copy(update={"token": None, "auth": None, "oauth": None})


def ask(access: Integration, agreed: Agreed) -> tuple[Answer, Body | None]:
    """Send a request without following redirects, which could carry our credential elsewhere."""
    request = agreed.model_copy(
        update={
            "headers": {**access.headers, **agreed.headers},
            "token": agreed.token or access.token,
            "auth": agreed.auth or access.auth,
            "ca_file": agreed.ca_file or access.ca_file,
        }
    )
    name = f"{agreed.method} {agreed.path}"
    url = f"{access.url.rstrip('/')}{agreed.path}"
    began = time.monotonic()
    try:
        answer = sending.send(
            request,
            url,
            (agreed.timeout or access.timeout).total_seconds(),
            afresh=True,  # a failure is looked at again, and that must be a second look
            stream=True,
            allow_redirects=False,
        )
        content, all_of_it = whole.read(answer, _MOST_BYTES)
    except (requests.RequestException, OSError) as error:
        took_s = round(time.monotonic() - began, 4)
        return Answer(name, None, _silence(error), redact(sending.why(error)), took_s), None
    took_s = round(time.monotonic() - began, 4)
    body = Body(answer.headers, _json(content) if all_of_it else None)
    status, kind = answer.status_code, answer.headers.get("Content-Type", "")
    if status not in agreed.status:
        return Answer(name, status, took_s=took_s, error=_error(body, content)), body
    lacking = [text.lacking(agreed, content, kind)] if agreed.looks_at_body else []
    lacking += _lacking(agreed, body, kind)
    return Answer(name, status, took_s=took_s, agreed=True, lacking=tuple(filter(None, lacking))), body


def _silence(error: Exception) -> Silence:
    if isinstance(error, requests.exceptions.SSLError) and "CERTIFICATE" in str(error).upper():
        return Silence.UNTRUSTED
    return Silence.OURS if reach.why_ours(error) else Silence.THEIRS


def _lacking(agreed: Agreed, body: Body, kind: str) -> Iterator[str]:
    plain = kind.partition(";")[0].strip().lower()
    if agreed.content_type and plain != agreed.content_type.lower():
        yield f"has the content type {plain or '(none)'}, agreed is {agreed.content_type}"
    if (agreed.says or agreed.has) and body.json is None:
        yield "is not JSON"
        return
    for pointer in agreed.has:
        if body.at(pointer) is None:
            yield f"has nothing at {pointer}"
    for pointer, wanted in agreed.says.items():
        if (found := body.at(pointer)) != wanted:
            words = "nothing" if found is None else repr(shortened(redact(str(found)), _VALUE_WORDS))
            yield f"has {words} at {pointer}, agreed is {wanted!r}"


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None


def _error(body: Body, content: bytes) -> str:
    if isinstance(body.json, dict):
        for key in ("detail", "title", "message", "error_description", "error"):
            if isinstance(said := body.json.get(key), str):
                return shortened(redact(said), _ERROR_WORDS)
    words = " ".join(content[:2000].decode(errors="replace").split())
    return shortened(redact(words), _ERROR_WORDS)
