"""Read a log that is in a log store, by the documented interface of Loki, and of OpenSearch and Elasticsearch.

The store is asked for lines with a mark, and once, at the end, for what may be a secret. A store may log the queries that
it gets, into the log that is read: each query has a mark of its own, and lines with it are left out.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Sequence
from typing import Protocol

from pytest_deploygate import spellings
from pytest_deploygate.checks.access_logs.probe.kept import Kept
from pytest_deploygate.checks.access_logs.probe.marks import Prepared
from pytest_deploygate.clients import log_stores
from pytest_deploygate.fields.log_stores import Loki, OpenSearch
from pytest_deploygate.model import CannotTell

#: Entries are looked for from this long before the request: clocks differ, by an hour where the zone is wrong.
_BEFORE_S, _AFTER_S = 14 * 3600, 14 * 3600


class Store(Protocol):
    """A log store that returns the lines of a log with one of some texts."""

    def lines(self, texts: Sequence[str], since_s: float) -> Iterable[tuple[str, str]]:
        """Return an identifier and the text of each line. Raises CannotTell."""
        ...


class StoreLog:
    """One log in a log store."""

    def __init__(self, kept: Kept, store: Store, sent: Sequence[Prepared]) -> None:
        self.kept = kept
        self._store = store
        self._sent = sent
        self._taken: set[str] = set()
        self._query = secrets.token_hex(8)
        self._since = 0.0

    def begin(self) -> None:
        """Note the time, and ask once: what cannot be asked now is said before anything is sent."""
        self._since = time.time()
        self.poll()

    def poll(self) -> None:
        """Take the lines with a mark that are there by now."""
        self.kept.polling()
        self._take([request.mark for request in self._sent])

    def end(self) -> None:
        """Take the lines that may have a canary. What the request logs in with is a true secret, and is not sent here."""
        clues = [
            clue
            for request in self._sent
            for place, carried in request.carried.items()
            if place != "the login"
            for clue in spellings.clues(carried.reveal())
        ]
        self._take(clues)

    def _take(self, texts: Sequence[str]) -> None:
        if self.kept.problem or not texts:
            return
        try:
            for key, line in self._store.lines([*texts, self._query], self._since):
                if key not in self._taken and self._query not in line:
                    self._taken.add(key)
                    self.kept.take(line)
        except CannotTell as error:
            self.kept.problem = str(error)


class InLoki:
    """A log in Loki."""

    def __init__(self, loki: Loki, timeout_s: float) -> None:
        self._loki = loki
        self._timeout_s = timeout_s

    def lines(self, texts: Sequence[str], since_s: float) -> Iterable[tuple[str, str]]:
        """Return the lines with one of the texts."""
        found = log_stores.loki(self._loki, texts, *_around(since_s), self._timeout_s)
        return ((entry.key, entry.line) for entry in found)


class InOpenSearch:
    """A log in OpenSearch or Elasticsearch."""

    def __init__(self, section: OpenSearch, timeout_s: float) -> None:
        self._section = section
        self._timeout_s = timeout_s

    def lines(self, texts: Sequence[str], since_s: float) -> Iterable[tuple[str, str]]:
        """Return the documents with one of the texts in any field: the line in one of them, or the document as JSON."""
        found = log_stores.opensearch(self._section, texts, *_around(since_s), self._timeout_s)
        return ((entry.key, entry.line) for entry in found)


def _around(since_s: float) -> tuple[float, float]:
    return since_s - _BEFORE_S, time.time() + _AFTER_S
