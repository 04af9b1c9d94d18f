"""Read a log that is in a log store, by the documented interface of Loki, and of OpenSearch and Elasticsearch.

The store is asked for lines with a mark, and once, at the end, for what may be a secret. A store may log the queries that
it gets, into the log that is read: each query has a mark of its own, and lines with it are left out.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import requests

from pytest_deploygate import spellings
from pytest_deploygate.checks.access_logs.probe.kept import Kept
from pytest_deploygate.checks.access_logs.probe.marks import Prepared
from pytest_deploygate.checks.access_logs.section import Loki, OpenSearch
from pytest_deploygate.clients.http import sending
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import shortened

_MOST = 500
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
    """Source: https://grafana.com/docs/loki/latest/reference/loki-http-api/ (query_range) and LogQL's line filters."""

    def __init__(self, loki: Loki, timeout_s: float) -> None:
        self._loki = loki
        self._timeout_s = timeout_s

    def lines(self, texts: Sequence[str], since_s: float) -> Iterable[tuple[str, str]]:
        """Return the lines with one of the texts."""
        some = "|".join(map(re.escape, texts))
        query = {
            "query": f"{self._loki.query} |~ {json.dumps(some)}",
            "start": f"{int((since_s - _BEFORE_S) * 1e9)}",
            "end": f"{int((time.time() + _AFTER_S) * 1e9)}",
            "limit": f"{_MOST}",
            "direction": "backward",
        }
        url = f"{self._loki.url.rstrip('/')}/loki/api/v1/query_range"
        answer = _answered(lambda: sending.get(self._loki, url, self._timeout_s, afresh=True, params=query))
        data = answer.get("data")
        if (
            answer.get("status") != "success"
            or not isinstance(data, dict)
            or data.get("resultType") != "streams"
        ):
            raise CannotTell("it did not answer with streams of lines: is `query` the selector of a log?")
        for stream in data.get("result") or ():
            labels = json.dumps(stream.get("stream"), sort_keys=True)
            for at, line, *_ in stream.get("values") or ():
                yield f"{labels} {at} {line}", line


class InOpenSearch:
    """Source: https://docs.opensearch.org/latest/api-reference/search-apis/search/ (`query_string`), as in Elasticsearch."""

    def __init__(self, section: OpenSearch, timeout_s: float) -> None:
        self._section = section
        self._timeout_s = timeout_s

    def lines(self, texts: Sequence[str], since_s: float) -> Iterable[tuple[str, str]]:
        """Return the documents with one of the texts in any field: the line in one of them, or the document as JSON."""
        some = " OR ".join(f"*{text}*" for text in texts)
        between = {
            "gte": int((since_s - _BEFORE_S) * 1000),
            "lte": int((time.time() + _AFTER_S) * 1000),
            "format": "epoch_millis",
        }
        query = {
            "size": _MOST,
            "query": {
                "bool": {
                    "filter": [
                        {"range": {self._section.time_field: between}},
                        {
                            "query_string": {
                                "query": some,
                                "fields": ["*"],
                                "analyze_wildcard": True,
                                "lenient": True,
                            }
                        },
                    ]
                }
            },
        }
        url = f"{self._section.url.rstrip('/')}/{self._section.index}/_search"
        answer = _answered(
            lambda: sending.get(
                self._section,
                url,
                self._timeout_s,
                afresh=True,
                data=json.dumps(query).encode(),
                headers={"Content-Type": "application/json"},
            )
        )
        hits = answer.get("hits")
        shards = answer.get("_shards") or {}
        if answer.get("timed_out") or shards.get("failed") or not isinstance(hits, dict):
            raise CannotTell("its search did not end, or some of its shards failed")
        for hit in hits.get("hits") or ():
            yield f"{hit.get('_index')} {hit.get('_id')}", self._line(hit.get("_source") or {})

    def _line(self, document: Mapping[str, Any]) -> str:
        name = self._section.message
        if name is None:
            return json.dumps(document, ensure_ascii=False)
        found: Any = document
        for part in [name] if name in document else name.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        return found if isinstance(found, str) else ""


def _answered(ask: Any) -> dict[str, Any]:
    try:
        answer = ask()
        answered: requests.Response = answer
        if answered.status_code in (401, 403):
            raise CannotTell(f"it does not let us in (HTTP {answered.status_code}): check `token` or `auth`")
        if answered.status_code != 200:
            raise CannotTell(
                f"it answered HTTP {answered.status_code}: {shortened(' '.join(answered.text.split()), 120)}"
            )
    except (requests.RequestException, OSError) as error:
        raise CannotTell(f"the log store cannot be asked: {sending.why(error)}") from None
    try:
        document = answered.json()
    except ValueError:
        raise CannotTell("the log store's answer is not JSON") from None
    if not isinstance(document, dict):
        raise CannotTell("the log store's answer is not what its interface says")
    return document
