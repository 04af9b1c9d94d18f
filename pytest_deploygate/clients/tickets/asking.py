"""Requests to a tracker: the login goes to its own host only, rate limits are told, and each failure is a sentence.

A redirect is never followed: whoever answers with one would decide where the token goes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import IO, Any
from urllib.parse import urljoin, urlsplit

import requests

from pytest_deploygate.clients.budget import AGENT
from pytest_deploygate.clients.http import sending, whole
from pytest_deploygate.fields.tickets import Tracker
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.problems import one_line
from pytest_deploygate.redaction import shortened

#: The most that is read of an answer.
_MOST_BYTES = 16 * 1024 * 1024
#: An upload may take its timeout and a second for each of these bytes.
_SLOW_BYTES_PER_S = 64 * 1024
_GITHUBS = {"api.github.com": "uploads.github.com"}
#: Statuses that may ask to come back later. 403 does so at GitHub, with a header that says so.
_LATER = (403, 429, 503)


class TicketError(Exception):
    """The ticket cannot be read or written. The text says where, why, and what to do."""


class MistakeError(TicketError):
    """Something must be set right first: an address, a key, a login, a permission, a size."""


class BrokenError(TicketError):
    """It did not work this time; the same command again may."""


class LaterError(TicketError):
    """The system asked to come back after `wait_s` seconds."""

    def __init__(self, text: str, wait_s: float) -> None:
        super().__init__(text)
        self.wait_s = wait_s


@dataclass(frozen=True)
class Answer:
    """An answer with a status that the caller knows: the document (None: it has no body), and the header."""

    status: int
    document: Any
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Sent:
    """A body to send: bytes or an open file, its media type and its size in bytes."""

    body: bytes | IO[bytes] | Any
    content_type: str
    size: int


def document(value: object) -> Sent:
    """Return a JSON document as a body."""
    raw = json.dumps(value, ensure_ascii=False).encode()
    return Sent(raw, "application/json", len(raw))


def ask(
    tracker: Tracker,
    method: str,
    path: str,
    *,
    question: Mapping[str, str] | None = None,
    sent: Sent | None = None,
    headers: Mapping[str, str] | None = None,
    known: tuple[int, ...] = (200,),
) -> Answer:
    """Send a request to a path below the tracker's address, or to a whole address on its host.

    Raises LaterError, BrokenError or MistakeError for any status that is not in `known`, and for no answer.
    """
    url = path if "://" in path else f"{tracker.url}{path}"
    _on_its_host(tracker, url)
    what = f"{method} {urlsplit(url).path}"
    given = {"User-Agent": AGENT, "Accept": "application/json"} | _login(tracker) | dict(headers or {})
    more: dict[str, Any] = {}
    if sent is not None:
        given |= {"Content-Type": sent.content_type, "Content-Length": str(sent.size)}
        more["data"] = sent.body
    limit_s = tracker.timeout.total_seconds()
    if sent is not None:
        limit_s += sent.size / _SLOW_BYTES_PER_S
    try:
        answer = whole.request(
            method,
            url,
            limit_s,
            headers=given,
            params=dict(question or {}),
            verify=str(tracker.ca_file) if tracker.ca_file else True,
            auth=_as_given,
            allow_redirects=False,
            stream=True,
            **more,
        )
        raw, complete = whole.read(answer, _MOST_BYTES)
    except (requests.RequestException, OSError) as error:
        raise BrokenError(f"{called(tracker)}: {what}: {sending.why(error)}") from None
    finally:
        if sent is not None and not isinstance(sent.body, bytes):
            sent.body.close()
    return _understood(tracker, what, answer, raw if complete else b"", known)


def called(tracker: Tracker) -> str:
    """Return how sentences name a tracker: its name and its host."""
    return f"{tracker.called} ({urlsplit(tracker.url).netloc})"


def _as_given(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Leave a request unchanged: without this, requests replaces our login with one from ~/.netrc."""
    return request


def _login(tracker: Tracker) -> dict[str, str]:
    """Return the headers that log in. GitLab takes tokens of all kinds in a header of its own."""
    if tracker.system == "gitlab" and tracker.token is not None:
        return {"PRIVATE-TOKEN": tracker.token.reveal()}
    return sending.headers(tracker)


def _on_its_host(tracker: Tracker, url: str) -> None:
    """Refuse to send the login to an address on another host; GitHub has one of its own for uploads."""
    own, there = urlsplit(tracker.url), urlsplit(url)
    hosts = {own.netloc, _GITHUBS.get(own.netloc, own.netloc)}
    if there.scheme != own.scheme or there.netloc not in hosts:
        raise MistakeError(
            f"{called(tracker)} names an address on another host ({one_line(there.scheme)}://{one_line(there.netloc)}); the "
            "token is not sent there"
        )


def _understood(
    tracker: Tracker, what: str, answer: requests.Response, raw: bytes, known: tuple[int, ...]
) -> Answer:
    status, where = answer.status_code, f"{called(tracker)}: {what}"
    said = _said(raw)
    if status in _LATER and (wait_s := _wait_s(answer.headers)) is not None:
        raise LaterError(f"{where}: HTTP {status}{said}: it asks to come back after {wait_s:.0f} s", wait_s)
    if status == 429:
        raise LaterError(
            f"{where}: HTTP 429{said}: too many requests, and it does not say for how long", 10.0
        )
    if 300 <= status < 400 and status not in known:
        to = urlsplit(urljoin(tracker.url, answer.headers.get("Location", "")))
        raise MistakeError(
            f"{where}: it redirects to {shortened(one_line(to.netloc or '?'), 80)}; the token was not sent there: set `url` "
            "to the address of the API itself, or look whether it requires another login"
        )
    if status in known:
        return Answer(status, _document(raw, where), answer.headers)
    if status == 401:
        raise MistakeError(f"{where}: HTTP 401: the login of `tickets` is not accepted{said}")
    if status == 403:
        raise MistakeError(f"{where}: HTTP 403: this login may not do that{said}")
    if status == 413:
        raise MistakeError(
            f"{where}: HTTP 413: the file is larger than what it takes{said}; set `largest` in `tickets` to split it"
        )
    if status >= 500 or status in (408, 425):
        raise BrokenError(f"{where}: HTTP {status}{said}; run the same command again later")
    raise MistakeError(f"{where}: HTTP {status}{said}")


def _document(raw: bytes, where: str) -> Any:
    if not raw.strip():
        return None
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise MistakeError(
            f"{where}: the answer is no JSON: check `url`, and whether it requires another login"
        ) from None


def _said(raw: bytes) -> str:
    """Return what a system says of its refusal, if that is short and no page."""
    text = raw[:2000].decode(errors="replace").strip()
    if not text or text.startswith("<"):
        return ""
    return f" ({shortened(one_line(text), 200)})"


def _wait_s(headers: Mapping[str, str]) -> float | None:
    """Return for how long an answer asks to wait; None if it does not ask.

    `Retry-After` has seconds or a date (RFC 9110, section 10.2.3). GitHub's primary limit has `x-ratelimit-remaining: 0`
    and `x-ratelimit-reset`, GitLab `RateLimit-Reset`: seconds since 1970.
    """
    if after := headers.get("Retry-After", "").strip():
        if after.isdigit():
            return float(after)
        try:
            at = parsedate_to_datetime(after)
        except (TypeError, ValueError):
            return None
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return max(0.0, (at - datetime.now(UTC)).total_seconds())
    for left, reset in (
        ("x-ratelimit-remaining", "x-ratelimit-reset"),
        ("RateLimit-Remaining", "RateLimit-Reset"),
    ):
        if headers.get(left, "").strip() == "0" and (at_s := headers.get(reset, "").strip()).isdigit():
            return max(0.0, float(at_s) - time.time())
    return None


def listed(answer: Answer, tracker: Tracker, what: str) -> list[dict[str, Any]]:
    """Return a list of objects. Raises MistakeError for anything else: half an answer is none."""
    found = answer.document
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise MistakeError(f"{called(tracker)} returned no list of {what}: check `url` and `project`")
    return found


def mapped(found: object, tracker: Tracker, what: str) -> dict[str, Any]:
    """Return an object. Raises MistakeError for anything else."""
    if not isinstance(found, dict):
        raise MistakeError(f"{called(tracker)} returned no {what}: check `url`")
    return found
