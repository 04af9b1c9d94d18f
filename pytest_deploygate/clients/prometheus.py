"""Queries to Prometheus' HTTP API. A partial answer counts as none, because what is missing is unknown.

https://prometheus.io/docs/prometheus/latest/querying/api/
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from pytest_deploygate.clients.http import sending
from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell, words_for
from pytest_deploygate.redaction import redact

_MOST_WORDS = 300
#: A scrape or two: what was counted in a window is the same then.
_CLOCK_OFF_S = 30.0
_KINDS = {"matrix": "samples over time", "vector": "a value for each series", "scalar": "a number"}


@dataclass(frozen=True)
class Sample:
    """A series' value at one moment; `value` can be NaN or infinite, as exporters do send that."""

    labels: Mapping[str, str]
    at: datetime
    value: float


@dataclass(frozen=True)
class Series:
    """The samples of one series in order of time, as (moment, value)."""

    labels: Mapping[str, str]
    samples: tuple[tuple[datetime, float], ...]


def api(server: Prometheus, path: str, question: Mapping[str, str] | None = None) -> Any:
    """Return `data` of the answer to GET /api/v1/`path`, e.g. `targets`, `rules` or `status/runtimeinfo`.

    Raises CannotTell if Prometheus does not answer, refuses, warns (a store behind it was unreachable, so the answer is
    partial) or is something else.
    """
    where = f"Prometheus at {server.url}"
    asked = {**server.params, **(question or {})}
    what = f"the query {asked['query']}" if "query" in asked else f"/api/v1/{path}"
    try:
        answer = sending.get(
            server,
            f"{server.url}/api/v1/{path}",
            server.timeout.total_seconds(),
            params=asked,
            allow_redirects=False,
        )
    except (requests.RequestException, OSError) as error:
        raise CannotTell(f"{where} does not answer: {_words(sending.why(error))}") from None
    if answer.is_redirect:
        to = _words(answer.headers["Location"])
        raise CannotTell(
            f"{where} redirects {what} to {to}: name the address itself, or add what it asks as a login"
        )
    try:
        told = answer.json()
    except ValueError:
        raise CannotTell(
            f"{where} answered {what} with HTTP {answer.status_code} and no JSON: check the URL, whether it requires a "
            "login, and what stands before it"
        ) from None
    if not isinstance(told, dict):
        raise CannotTell(f"{where} returned no JSON object: check that it is Prometheus")
    if told.get("status") != "success":
        said = _words(told.get("error") or f"no reason given, HTTP {answer.status_code}")
        raise CannotTell(f"{where} refused {what}: {said}")
    partial = "; ".join(map(str, told.get("warnings") or ()))
    if partial or told.get("isPartial"):  # the latter is VictoriaMetrics' word
        raise CannotTell(
            f"{where} returned a partial answer: {_words(partial or 'isPartial')}; "
            "run this again when all of its stores answer"
        )
    return told.get("data")


def ask(server: Prometheus, question: Mapping[str, str], wanted: str) -> Any:
    """Return the result of an instant query: `wanted` is `matrix` (a list of series) or `scalar` (time and value).

    A range selector returns raw samples, as they were scraped. Raises CannotTell as `api` does, and for another type.
    """
    return _result(server, "query", question, wanted)


def clock(server: Prometheus) -> tuple[float, float, float]:
    """Return the server's time (seconds since 1970), and the bounds of its offset from our clock, positive if it is ahead.

    Ages of samples are told by the server's own clock. Raises CannotTell as `ask` does.
    """
    before_s = time.time()
    found = _result(server, "query", {"query": "time()"}, "scalar")
    after_s = time.time()
    at_s = number(found[-1]) if found else math.nan
    return at_s, at_s - after_s, at_s - before_s


def vector(server: Prometheus, query: str) -> list[Sample]:
    """Return what an instant query finds now; nothing where no series matches. Raises CannotTell as `ask` does."""
    found = ask(server, {"query": query}, "vector")
    return [Sample(_labels(entry, server), *_sample(entry.get("value"), server)) for entry in found]


def finite(server: Prometheus, query: str) -> list[Sample]:
    """Return what `vector` does, of a query for counts or times. Raises CannotTell also for a value that is no finite number."""
    found = vector(server, query)
    odd = next((sample.value for sample in found if not math.isfinite(sample.value)), None)
    if odd is not None:
        raise CannotTell(
            f"Prometheus at {server.url} has the value {odd:g} for the query {query}, which is not a finite number"
        )
    return found


def raw(server: Prometheus, selector: str, window: timedelta, at: datetime | None = None) -> list[Series]:
    """Return the samples of a plain selector as they were scraped, back from `at` (now). Raises CannotTell as `ask` does."""
    question = {"query": f"{selector}[{max(1, round(window.total_seconds() * 1000))}ms]"}
    if at is not None:
        question["time"] = f"{at.timestamp():.3f}"
    return _many(ask(server, question, "matrix"), server)


def now(server: Prometheus) -> datetime:
    """Return Prometheus' own time, from which windows are counted.

    Raises CannotTell as `ask` does, and if it is too far from ours: then its last minutes are not ours.
    """
    at_s, low_s, high_s = clock(server)
    off_s = 0.0 if low_s <= 0 <= high_s else min(low_s, high_s, key=abs)
    if abs(off_s) > _CLOCK_OFF_S:
        raise CannotTell(
            f"the clock of Prometheus at {server.url} is {words_for(abs(off_s))} {'ahead of' if off_s > 0 else 'behind'} ours "
            f"(at most {words_for(_CLOCK_OFF_S)}), so which samples belong to the window is unknown: synchronise both"
        )
    return datetime.fromtimestamp(at_s, UTC)


def over(server: Prometheus, query: str, start: datetime, end: datetime, step: timedelta) -> list[Series]:
    """Return a query's values at every step from `start` to `end`; a gap is a missing step. Raises CannotTell as `ask` does."""
    times = {"start": f"{start.timestamp():.3f}", "end": f"{end.timestamp():.3f}"}
    question = {"query": query, **times, "step": f"{step.total_seconds():g}"}
    return _many(_result(server, "query_range", question, "matrix"), server)


def _result(server: Prometheus, path: str, question: Mapping[str, str], wanted: str) -> list[Any]:
    where = f"Prometheus at {server.url}"
    data = api(server, path, question)
    data = data if isinstance(data, dict) else {}
    if data.get("resultType") != wanted:
        kind = data.get("resultType")
        raise CannotTell(
            f"{where} returned a {kind} for {question['query']}, not {_KINDS[wanted]} ({wanted})"
        )
    return _whole(data.get("result"), where)


def _many(found: list[Any], server: Prometheus) -> list[Series]:
    return [
        Series(_labels(entry, server), tuple(_sample(pair, server) for pair in entry.get("values") or []))
        for entry in found
    ]


def _labels(entry: object, server: Prometheus) -> dict[str, str]:
    labels = entry.get("metric") if isinstance(entry, dict) else None
    if not isinstance(labels, dict):
        raise CannotTell(
            f"Prometheus at {server.url} returned a series without labels: check that it is Prometheus"
        )
    return {str(name): str(value) for name, value in labels.items()}


def _sample(pair: object, server: Prometheus) -> tuple[datetime, float]:
    try:
        at_s, value = (float(part) for part in pair)  # type: ignore[attr-defined]
        return datetime.fromtimestamp(at_s, UTC), value
    except (TypeError, ValueError, OverflowError):
        raise CannotTell(
            f"Prometheus at {server.url} returned {pair!r} where a time and a value should be"
        ) from None


def number(text: object) -> float:
    """Return a sample's value. Raises CannotTell for what is not a finite number."""
    try:
        value = float(str(text))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise CannotTell(f"Prometheus has a sample {text!r}, which is not a finite number")
    return value


def _whole(result: object, where: str) -> list[Any]:
    if not isinstance(result, list):
        raise CannotTell(f"{where} returned no list of results: check that it is Prometheus")
    return result


def _words(said: object) -> str:
    return redact(str(said))[:_MOST_WORDS]
