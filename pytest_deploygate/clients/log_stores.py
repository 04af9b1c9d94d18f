"""Entries of a log store, by the documented interfaces of Loki, and of OpenSearch and Elasticsearch.

An answer in part (shards that failed, a search that ran out of time, more entries than may be asked for) is no answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import requests

from pytest_deploygate.clients.http import sending
from pytest_deploygate.fields.log_stores import Loki, OpenSearch
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import shortened

#: Entries of one answer, and of all answers to one question. Loki's `max_entries_limit_per_query` is 5,000 by default.
_PAGE, _MOST = 5000, 2_000_000


@dataclass(frozen=True)
class Entry:
    """An entry: `at_s` in seconds since 1970 (None if it has no time), the line, and its labels or fields by name."""

    key: str
    at_s: float | None
    line: str
    fields: Mapping[str, str]


def loki(
    store: Loki, texts: Sequence[str], since_s: float, until_s: float, timeout_s: float
) -> Iterator[Entry]:
    """Yield the entries of a log with one of some texts (all for none), of all streams, the oldest first. Raises CannotTell.

    Source: https://grafana.com/docs/loki/latest/reference/loki-http-api/, query_range. Loki keeps one of two entries with
    the same time, line and labels; a line that came twice is seen under other labels or at another time.
    """
    url = f"{store.url.rstrip('/')}/loki/api/v1/query_range"
    some = "|".join(map(re.escape, texts))
    selector = f"{store.query} |~ {json.dumps(some)}" if texts else store.query

    def page(start_ns: int) -> list[tuple[int, Entry]]:
        query = {
            "query": selector,
            "start": f"{start_ns}",
            "end": f"{int(until_s * 1e9)}",
            "limit": f"{_PAGE}",
            "direction": "forward",
        }
        return list(
            _streams(_answered(lambda: sending.get(store, url, timeout_s, afresh=True, params=query)))
        )

    return _paged(page, int(since_s * 1e9))


def _paged(page: Callable[[int], list[tuple[int, Entry]]], start: int) -> Iterator[Entry]:
    """Yield the entries of all pages, each once: the next page begins at the time at which the one before it ended."""
    at_start: set[str] = set()  # what has the time at which the page begins
    taken = 0
    while True:
        found = page(start)
        new = [entry for _, entry in found if entry.key not in at_start]
        yield from new
        taken += len(new)
        if len(found) < _PAGE:
            return
        last = max(at for at, _ in found)
        if taken >= _MOST or not new:
            raise CannotTell(
                f"more than {taken} entries, or {_PAGE} of the same time: name fewer of them, or a shorter time"
            )
        at_start = {entry.key for at, entry in found if at == last} | (at_start if last == start else set())
        start = last


def _streams(answer: Mapping[str, Any]) -> Iterator[tuple[int, Entry]]:
    data = answer.get("data")
    if answer.get("status") != "success" or not isinstance(data, dict) or data.get("resultType") != "streams":
        raise CannotTell("it did not answer with streams of lines: is `query` the selector of a log?")
    if warnings := answer.get("warnings"):
        raise CannotTell(f"its answer is not whole: {shortened(str(warnings), 120)}")
    for stream in data.get("result") or ():
        labels = {str(name): str(value) for name, value in (stream.get("stream") or {}).items()}
        named = json.dumps(labels, sort_keys=True)
        for at, line, *_ in stream.get("values") or ():
            yield int(at), Entry(f"{named} {at} {line}", int(at) / 1e9, str(line), labels)


def opensearch(
    store: OpenSearch, texts: Sequence[str], since_s: float, until_s: float, timeout_s: float
) -> Iterator[Entry]:
    """Yield the documents with one of some texts in any field (all for none), the oldest first. Raises CannotTell.

    The line of a document without `message` is the document as JSON. Nothing is kept open on the server between pages.
    Source: https://docs.opensearch.org/latest/api-reference/search-apis/search/, as in Elasticsearch.
    """
    wanted: list[dict[str, Any]] = []
    if texts:
        # `match` would cut a text at its hyphens.
        some = " OR ".join(f"*{text}*" for text in texts)
        how = {"query": some, "fields": ["*"], "analyze_wildcard": True, "lenient": True}
        wanted.append({"query_string": how})
    url = f"{store.url.rstrip('/')}/{store.index}/_search"
    kind = {"Content-Type": "application/json"}

    def page(start_ms: int) -> list[tuple[int, Entry]]:
        between = {"gte": start_ms, "lte": int(until_s * 1000), "format": "epoch_millis"}
        body = {
            "size": _PAGE,
            "track_total_hits": True,
            "sort": [{store.time_field: "asc"}],
            "query": {"bool": {"filter": [{"range": {store.time_field: between}}, *wanted]}},
        }
        sent = json.dumps(body).encode()
        answer = _answered(lambda: sending.get(store, url, timeout_s, afresh=True, data=sent, headers=kind))
        return _hits(answer, store)

    return _paged(page, int(since_s * 1000))


def _hits(answer: Mapping[str, Any], store: OpenSearch) -> list[tuple[int, Entry]]:
    hits, shards = answer.get("hits"), answer.get("_shards") or {}
    if answer.get("timed_out") or shards.get("failed") or not isinstance(hits, dict):
        raise CannotTell("its search did not end, or some of its shards failed")
    found = [_document(hit, store) for hit in hits.get("hits") or ()]
    total = hits.get("total")
    count = total.get("value") if isinstance(total, dict) else total
    if isinstance(count, int) and len(found) < min(count, _PAGE):
        raise CannotTell(f"it counts {count} documents and returned {len(found)}")
    if len(found) >= _PAGE and any(entry.at_s is None for entry in found):
        raise CannotTell("its documents are not sorted by time: correct `time_field`")
    return [(int((entry.at_s or 0.0) * 1000), entry) for entry in found]


def _document(hit: Mapping[str, Any], store: OpenSearch) -> Entry:
    source = hit.get("_source") or {}
    fields = dict(_flat(source))
    line = json.dumps(source, ensure_ascii=False) if store.message is None else fields.get(store.message, "")
    sort = hit.get("sort") or ()
    at = sort[0] if sort and isinstance(sort[0], int | float) else None
    return Entry(f"{hit.get('_index')} {hit.get('_id')}", at / 1000 if at is not None else None, line, fields)


def _flat(document: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield the values of a document, those of inner objects as `outer.inner`."""
    for name, value in document.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        elif isinstance(value, str | int | float):
            yield f"{before}{name}", str(value)


def _answered(ask: Callable[[], requests.Response]) -> dict[str, Any]:
    try:
        answered = ask()
    except (requests.RequestException, OSError) as error:
        raise CannotTell(f"the log store cannot be asked: {sending.why(error)}") from None
    if answered.status_code in (401, 403):
        raise CannotTell(f"it does not let us in (HTTP {answered.status_code}): check `token` or `auth`")
    if answered.status_code != 200:
        said = shortened(" ".join(answered.text.split()), 120)
        raise CannotTell(f"it answered HTTP {answered.status_code}: {said}")
    if answered.history:
        raise CannotTell("it redirects elsewhere, perhaps to a login: name the address of its API")
    try:
        document = answered.json()
    except ValueError:
        raise CannotTell("the log store's answer is not JSON, perhaps the page of a login") from None
    if not isinstance(document, dict):
        raise CannotTell("the log store's answer is not what its interface says")
    return document
