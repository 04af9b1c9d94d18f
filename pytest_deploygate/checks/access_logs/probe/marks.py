"""The mark by which a request is found, the canaries that it carries, and looking for both in lines."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from functools import cache
from urllib.parse import quote, urlsplit, urlunsplit

from pytest_deploygate import spellings
from pytest_deploygate.checks.access_logs.section import MARKER, AccessLogs, Marked
from pytest_deploygate.redaction import Secret


class Prepared:
    """A request with its mark and canaries. `carried` maps each place of a secret to it; a login's own is among them."""

    def __init__(self, name: str, request: Marked, section: AccessLogs, *, body: bool) -> None:
        self.name = name
        self.request = request
        self.method = "POST" if body and "method" not in request.model_fields_set else request.method
        # As an identifier of W3C's traceparent: 32 hexadecimal digits.
        self.mark = secrets.token_hex(16)
        self.carried: dict[str, Secret] = {}
        self.body: dict[str, str] | None = None
        self.headers = {"User-Agent": f"deploygate/{self.mark}"}
        self._canaries(section, body=body)
        self.url = self._url(section)

    def _canaries(self, section: AccessLogs, *, body: bool) -> None:
        wanted = section.canaries
        login = self.request.login
        given = {name.lower() for name in self.request.headers}
        if login is not None:
            self.carried["the login"] = login.token or login.password or login.value or Secret("")
            given.add((login.header or "Authorization").lower())
        if wanted.authorization and "authorization" not in given:
            self.headers["Authorization"] = f"Bearer {self._canary('the header Authorization')}"
        if wanted.cookie and "cookie" not in given:
            self.headers["Cookie"] = f"session={self._canary('the cookie')}"
        if wanted.api_key and "x-api-key" not in given:
            self.headers["X-Api-Key"] = self._canary("the header X-Api-Key")
        if body and wanted.body:
            self.body = {"password": self._canary("the body")}
        for header, value in self.request.headers.items():
            self.headers[header] = value.replace(MARKER, self.mark)

    def _canary(self, place: str) -> str:
        value = f"dg{secrets.token_hex(12)}"
        self.carried[place] = Secret(value)
        return value

    def _url(self, section: AccessLogs) -> str:
        url = self.request.url.replace(MARKER, self.mark)
        added = [] if MARKER in self.request.url else [f"{quote(section.parameter)}={self.mark}"]
        if section.canaries.query:
            added.append(f"{quote(section.canaries.parameter)}={self._canary('the query')}")
        parts = urlsplit(url)
        return urlunsplit(parts._replace(query="&".join(filter(None, [parts.query, *added]))))


def may_carry(text: str, sent: Sequence[Prepared]) -> bool:
    """Tell whether a text may have a mark or a secret of one of the requests; false is certain."""
    if spellings.SPELLED_OUT.search(text) or any(request.mark in text for request in sent):
        return True
    clues = [spellings.clues(secret.reveal()) for request in sent for secret in request.carried.values()]
    return any(not some or any(clue in text for clue in some) for some in clues)


def carries(line: str, carried: Mapping[str, Secret]) -> list[str]:
    """Return the places of the request whose values a line has, in any writing: plain, escaped, in base64 or hexadecimal."""
    escaped = spellings.SPELLED_OUT.search(line) is not None
    return [place for place, secret in carried.items() if _has(line, secret.reveal(), escaped=escaped)]


def _has(line: str, value: str, *, escaped: bool) -> bool:
    clues = spellings.clues(value)
    if clues and not escaped and not any(clue in line for clue in clues):
        return False
    return bool(value) and _pattern(value).search(line) is not None


@cache
def _pattern(value: str) -> re.Pattern[str]:
    return re.compile(spellings.pattern(value))
