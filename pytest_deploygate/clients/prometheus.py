"""Questions to Prometheus' HTTP API. A part of an answer is no answer: what would be missing in it nobody can tell.

https://prometheus.io/docs/prometheus/latest/querying/api/
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import requests

from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import Secret, redact

_MOST_WORDS = 300


def ask(
    url: str, question: Mapping[str, str], wanted: str, *, bearer: Secret | None, timeout_s: float
) -> Any:
    """Return the result of an instant query: `wanted` is `matrix` (a list of series) or `scalar` (time and value).

    A range selector in it gives raw samples, as they were scraped. Raises CannotTell where Prometheus does not answer,
    refuses, warns (then a store behind it was not reached, and the answer is a part only) or is something else.
    """
    where = f"Prometheus at {url}"
    headers = {"Authorization": f"Bearer {bearer.reveal()}"} if bearer else {}
    try:
        answer = requests.get(
            f"{url.rstrip('/')}/api/v1/query", params=question, headers=headers, timeout=timeout_s
        )
    except requests.RequestException as error:
        raise CannotTell(f"{where} does not answer ({type(error).__name__}): {_words(error)}") from None
    try:
        told = answer.json()
    except ValueError:
        raise CannotTell(
            f"{where} answered with HTTP {answer.status_code} and no JSON: is it Prometheus, is a login before it?"
        ) from None
    if not isinstance(told, dict):
        raise CannotTell(f"{where} gave no object: is it Prometheus?")
    if told.get("status") != "success":
        said = _words(told.get("error") or f"no reason given, HTTP {answer.status_code}")
        raise CannotTell(f"{where} refused the query {question['query']}: {said}")
    if told.get("warnings"):
        raise CannotTell(
            f"{where} gave a part only: {_words('; '.join(map(str, told['warnings'])))}; "
            "what is missing cannot be told, ask again when all its stores answer"
        )
    data = told.get("data")
    data = data if isinstance(data, dict) else {}
    if data.get("resultType") != wanted:
        kind = data.get("resultType")
        raise CannotTell(f"{where} gave a {kind} for {question['query']}, not samples over time ({wanted})")
    return _whole(data.get("result"), where)


def number(text: object) -> float:
    """Return a sample's value. Raises CannotTell for what is none, NaN and infinity among it."""
    try:
        value = float(str(text))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise CannotTell(f"Prometheus holds a sample {text!r}: that is no number to count with")
    return value


def _whole(result: object, where: str) -> list[Any]:
    if not isinstance(result, list):
        raise CannotTell(f"{where} gave no list of results: is it Prometheus?")
    return result


def _words(said: object) -> str:
    return redact(str(said))[:_MOST_WORDS]
