"""Queries to Prometheus' HTTP API. A partial answer counts as none, because what is missing is unknown.

https://prometheus.io/docs/prometheus/latest/querying/api/
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import requests

from pytest_deploygate.clients.http import sending
from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact

_MOST_WORDS = 300


def ask(server: Prometheus, question: Mapping[str, str], wanted: str) -> Any:
    """Return the result of an instant query: `wanted` is `matrix` (a list of series) or `scalar` (time and value).

    A range selector returns raw samples, as they were scraped. Raises CannotTell if Prometheus does not answer,
    refuses, warns (a store behind it was unreachable, so the answer is partial) or is something else.
    """
    where = f"Prometheus at {server.url}"
    try:
        answer = sending.get(
            server,
            f"{server.url}/api/v1/query",
            server.timeout.total_seconds(),
            params={**server.params, **question},
        )
    except (requests.RequestException, OSError) as error:
        raise CannotTell(f"{where} does not answer: {_words(sending.why(error))}") from None
    try:
        told = answer.json()
    except ValueError:
        raise CannotTell(
            f"{where} answered with HTTP {answer.status_code} and no JSON: check the URL, and whether it requires a login"
        ) from None
    if not isinstance(told, dict):
        raise CannotTell(f"{where} returned no JSON object: check that it is Prometheus")
    if told.get("status") != "success":
        said = _words(told.get("error") or f"no reason given, HTTP {answer.status_code}")
        raise CannotTell(f"{where} refused the query {question['query']}: {said}")
    if told.get("warnings"):
        raise CannotTell(
            f"{where} returned a partial answer: {_words('; '.join(map(str, told['warnings'])))}; "
            "run this again when all of its stores answer"
        )
    data = told.get("data")
    data = data if isinstance(data, dict) else {}
    if data.get("resultType") != wanted:
        kind = data.get("resultType")
        raise CannotTell(
            f"{where} returned a {kind} for {question['query']}, not samples over time ({wanted})"
        )
    return _whole(data.get("result"), where)


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
