"""Send one request of an API and keep what came. Methods that may change something are refused here, unless they were allowed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from typing import Any

import requests

from pytest_deploygate.clients import reach
from pytest_deploygate.clients.budget import Spending
from pytest_deploygate.clients.http import sending, whole
from pytest_deploygate.fields.oauth import TokenAccess
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.redaction import redact, shortened

MOST_BYTES = 5_000_000
_SAFE = ("GET", "HEAD")
_ERROR_WORDS = 120


@dataclass(frozen=True)
class Answer:
    """An answer. `whole` is false if it was longer than what is read."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool
    took_s: float

    @property
    def content_type(self) -> str:
        """The media type without its parameters, in small letters."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def error(self) -> str:
        """What an error answer says, for people: the title of a problem, else its first words."""
        if self.status < 400:
            return ""
        try:
            said = json.loads(self.body)
            text = str(said.get("detail") or said.get("title") or said.get("message") or said.get("error"))
        except (ValueError, AttributeError):
            text = self.body[:2000].decode(errors="replace")
        return shortened(redact(" ".join(text.split())), _ERROR_WORDS)


@dataclass(frozen=True)
class Missing:
    """No answer: why, and whether our own side is the cause."""

    said: str
    ours: bool
    took_s: float


@dataclass()
class Asker:
    """Sends requests of one API within its budget. `access` has the trusted certificates."""

    access: TokenAccess
    timeout_s: float
    spending: Spending
    _allowed: set[tuple[str, str]] = field(default_factory=set)

    @contextmanager
    def allowing(self, method: str, url: str) -> Iterator[None]:
        """Let one unsafe method be sent to one address, within the block."""
        self._allowed.add((method, url))
        try:
            yield
        finally:
            self._allowed.discard((method, url))

    def ask(
        self,
        method: str,
        url: str,
        login: TokenAccess | None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        afresh: bool = False,
    ) -> Answer | Missing:
        """Send one request without following redirects. Raises ValueError for a method that was not allowed.

        `afresh` also waits for what was silent before: a second look must be one.
        """
        if method not in _SAFE and (method, url) not in self._allowed:
            raise ValueError(f"{method} {url} may change something and was not allowed")
        sent = dict(self.spending.headers) | dict(headers or {}) | dict(self.access.headers)
        if login is not None:
            sent |= sending.headers(login)
        began = time.monotonic()

        def within(limit_s: float) -> requests.Response:
            return whole.request(
                method,
                url,
                limit_s,
                params=query,
                headers=sent,
                data=body,
                verify=str(self.access.ca_file) if self.access.ca_file else True,
                auth=_as_given,
                allow_redirects=False,
                stream=True,
            )

        with self.spending.request(len(body or b"")) as asked:
            try:
                if afresh:
                    answer = within(self.timeout_s)
                else:
                    answer = sending.once(f"{method} {url}", url, self.timeout_s, within)
                content, all_of_it = whole.read(answer, MOST_BYTES)
            except (requests.RequestException, OSError) as error:
                ours = bool(reach.why_ours(error))
                return Missing(redact(sending.why(error)), ours, time.monotonic() - began)
            asked.answered(len(content), wrong=answer.status_code >= 500)
            took_s = time.monotonic() - began
            return Answer(answer.status_code, answer.headers, content, all_of_it, took_s)


def _as_given(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Leave the request unchanged: else requests adds a login from ~/.netrc."""
    return request
