"""Requests to Alertmanager's HTTP API, version 2.

https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import requests

from pytest_deploygate.clients.http import sending
from pytest_deploygate.fields.alertmanager import Alertmanager
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact, shortened

_MOST_WORDS = 300


@dataclass(frozen=True)
class Status:
    """What a node says of itself.

    `config` is its configuration as YAML, in which secrets are masked. `cluster` is `ready`, `settling` or `disabled`, and
    `peers` the names of the nodes that it knows, its own among them. Its clock minus ours is between `low_s` and `high_s`
    (None: it sends no date).
    """

    config: str
    cluster: str
    peers: tuple[str, ...]
    version: str
    low_s: float | None = None
    high_s: float | None = None


def api(node: Alertmanager, path: str, question: Mapping[str, str | Sequence[str]] | None = None) -> Any:
    """Return the answer to GET /api/v2/`path`, e.g. `alerts` or `silences`. Raises CannotTell if there is none that counts."""
    return _document(_asked(node, path, question), node, path)


def status(node: Alertmanager) -> Status:
    """Return what a node says of itself. Raises CannotTell as `api` does."""
    before = time.time()
    answer = _asked(node, "status", None)
    after = time.time()
    told = _document(answer, node, "status")
    try:
        cluster = told["cluster"]
        low_s, high_s = _clock(answer, before, after)
        return Status(
            str(told["config"]["original"]),
            str(cluster["status"]),
            tuple(str(peer["name"]) for peer in cluster.get("peers") or ()),
            str((told.get("versionInfo") or {}).get("version", "")),
            low_s,
            high_s,
        )
    except (KeyError, TypeError):
        raise CannotTell(
            f"{_where(node)} returned a status of another form: check that it is Alertmanager"
        ) from None


def alerts(node: Alertmanager, matcher: str = "") -> list[dict[str, Any]]:
    """Return the alerts that a node has, also those that are silenced or inhibited; with `matcher` those that match it.

    Raises CannotTell as `api` does.
    """
    found = api(node, "alerts", {"filter": matcher} if matcher else None)
    return _listed(found, node)


def silences(node: Alertmanager) -> list[dict[str, Any]]:
    """Return the silences of a node, expired ones too. Raises CannotTell as `api` does."""
    return _listed(api(node, "silences"), node)


def post(node: Alertmanager, some: Sequence[Mapping[str, object]], headers: Mapping[str, str]) -> None:
    """Send alerts to a node. Raises CannotTell if it does not accept them."""
    try:
        answer = sending.post_json(
            node, f"{node.url}/api/v2/alerts", list(some), node.timeout.total_seconds(), headers=dict(headers)
        )
    except (requests.RequestException, OSError) as error:
        raise CannotTell(f"{_where(node)} does not answer: {_words(sending.why(error))}") from None
    # A login page is an answer with 200, too: Alertmanager's own has no body.
    if answer.status_code != 200 or answer.text.strip().startswith("<"):
        raise CannotTell(f"{_where(node)} did not accept alerts: HTTP {answer.status_code}{_said(answer)}")


def _asked(
    node: Alertmanager, path: str, question: Mapping[str, str | Sequence[str]] | None
) -> requests.Response:
    try:
        return sending.get(
            node,
            f"{node.url}/api/v2/{path}",
            node.timeout.total_seconds(),
            afresh=True,
            params=question or {},
        )
    except (requests.RequestException, OSError) as error:
        raise CannotTell(f"{_where(node)} does not answer: {_words(sending.why(error))}") from None


def _document(answer: requests.Response, node: Alertmanager, path: str) -> Any:
    if answer.status_code in (401, 403):
        raise CannotTell(
            f"{_where(node)} requires a login (HTTP {answer.status_code}): set `token` or `auth`"
        )
    if answer.status_code != 200:
        raise CannotTell(
            f"{_where(node)} answered /api/v2/{path} with HTTP {answer.status_code}{_said(answer)}"
        )
    try:
        return answer.json()
    except ValueError:
        raise CannotTell(
            f"{_where(node)} answered with no JSON: check the URL, and whether it requires a login"
        ) from None


def _listed(found: object, node: Alertmanager) -> list[dict[str, Any]]:
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise CannotTell(f"{_where(node)} returned no list: check that it is Alertmanager")
    return found


def _clock(answer: requests.Response, before: float, after: float) -> tuple[float | None, float | None]:
    """Return the bounds of a node's clock minus ours: its date has whole seconds, and was made while we waited."""
    try:
        at: datetime = parsedate_to_datetime(answer.headers["Date"])
    except (KeyError, TypeError, ValueError):
        return None, None
    if at.tzinfo is None:
        return None, None
    return at.timestamp() - after, at.timestamp() + 1 - before


def _where(node: Alertmanager) -> str:
    return f"Alertmanager {node.called}"


def _said(answer: requests.Response) -> str:
    text = " ".join(answer.text.split())
    return f": {shortened(text, 120)}" if text and not text.startswith("<") else ""


def _words(said: object) -> str:
    return redact(str(said))[:_MOST_WORDS]
