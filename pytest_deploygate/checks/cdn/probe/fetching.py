"""Answers as facts: who gave them, from which store, and what their content is."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from pytest_deploygate.checks.cdn import facts
from pytest_deploygate.checks.cdn.probe import coding, headers
from pytest_deploygate.checks.cdn.probe.asking import Asker
from pytest_deploygate.checks.cdn.probe.wire import Answer, NoAnswer, Unreadable
from pytest_deploygate.checks.cdn.section import Cdn, Told
from pytest_deploygate.clients import own_lag
from pytest_deploygate.clients.budget import Budget, Control, Spending
from pytest_deploygate.clients.own_lag import Lag
from pytest_deploygate.files import sha256

_COOKIE = re.compile(r"\s*([^=;,\s]+)\s*=")


class Fetcher:
    """Fetches addresses of one CDN, from each of its addresses in turn."""

    def __init__(self, cdn: Cdn, spending: Spending, lag: Lag) -> None:
        self.asker = Asker(cdn, spending, lag)
        self.declared = cdn.hit
        self._turn = 0

    def next_address(self, url: str) -> str:
        """Return the next address to ask. Raises NoAnswer."""
        addresses = self.asker.addresses(url)
        self._turn += 1
        return addresses[self._turn % len(addresses)]

    def fetch(
        self, url: str, sent: Mapping[str, str] | None = None, *, address: str | None = None
    ) -> facts.Fetch:
        """Fetch an address; a missing answer is a value."""
        return self.content(url, sent, address=address)[0]

    def content(
        self, url: str, sent: Mapping[str, str] | None = None, *, address: str | None = None
    ) -> tuple[facts.Fetch, bytes | None]:
        """Fetch an address; return its content, too, which is None if it could not be decoded or did not come."""
        try:
            answer = self.asker.ask(url, sent, address=address or self.next_address(url))
        except NoAnswer as none:
            return facts.Fetch(problem=str(none), unreadable=isinstance(none, Unreadable)), None
        return described(answer, self.declared)


@contextlib.contextmanager
def fetching(
    cdn: Cdn, budget: Budget, name: str, *, control: Control | None = None, unwatched: str = ""
) -> Iterator[Fetcher]:
    """Yield what fetches within the budget. Raises Ended."""
    with (
        budget.probe(name, control=control, unwatched=unwatched) as spending,
        own_lag.watching() as lag,
    ):
        yield Fetcher(cdn, spending, lag)


def described(answer: Answer, declared: Told | None) -> tuple[facts.Fetch, bytes | None]:
    """Return an answer as a fact, and its content."""
    found = headers.kept(answer, declared)
    sent_coding = answer.one("content-encoding").strip().lower()
    content = coding.identity(answer.body, sent_coding) if answer.whole else coding.Content(None)
    undecoded = content.undecoded or ("" if answer.whole else "is larger than `largest`")
    fetch = facts.Fetch(
        status=answer.status,
        hit=found.hit,
        told=found.told,
        said=found.said,
        node=found.node,
        age_s=headers.age_s(answer),
        at_s=answer.at_s,
        stored_s=headers.stored_s(answer),
        coding=sent_coding,
        sha256="" if content.body is None else sha256(content.body),
        size=0 if content.body is None else len(content.body),
        sent_size=len(answer.body),
        broken=content.broken,
        undecoded=undecoded,
        content_type=answer.one("content-type"),
        cookies=tuple(match[1] for line in answer.all("set-cookie") if (match := _COOKIE.match(line))),
        vary=tuple(name.strip().lower() for name in answer.one("vary").split(",") if name.strip()),
        etag=answer.one("etag"),
        last_modified=answer.one("last-modified"),
        accept_ranges=answer.one("accept-ranges").strip().lower(),
        directives=headers.directives(answer),
    )
    return fetch, content.body


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file. Raises OSError."""
    return sha256(path.read_bytes())
