"""Observes Grafana by its documented HTTP API: the dashboards that must be there, and its data sources.

https://grafana.com/docs/grafana/latest/developers/http_api/ (read; not tried on a server)
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import requests

from pytest_deploygate.checks.monitoring.facts import GrafanaFacts
from pytest_deploygate.checks.monitoring.section import Grafana
from pytest_deploygate.clients.http import sending
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact

_DEFAULT_TIMEOUT_S = 10.0


def grafana(section: Grafana) -> GrafanaFacts:
    """Ask for its health, each dashboard and each data source. Raises CannotTell if it does not say how it is."""
    status, health = _get(section, "/api/health")
    if status not in (200, 503) or not isinstance(health, dict) or "database" not in health:
        raise CannotTell(f"{section.url}/api/health answers HTTP {status} without its state: check the URL")
    sources = section.data_sources or _all_sources(section)
    return GrafanaFacts(
        section.url,
        str(health.get("version", "")),
        str(health["database"]),
        {uid: _dashboard(section, uid) for uid in section.dashboards},
        {uid: _source(section, uid) for uid in sources},
    )


def _dashboard(section: Grafana, uid: str) -> int | str:
    """Return the number of a dashboard's panels, or why it is not there."""
    status, found = _get(section, f"/api/dashboards/uid/{quote(uid, safe='')}")
    board = found.get("dashboard") if isinstance(found, dict) else None
    if status == 404:
        return "there is none"
    if status != 200 or not isinstance(board, dict):
        raise CannotTell(f"{section.url} answers HTTP {status} for the dashboard {uid}: {_said(found)}")
    panels = [panel for panel in board.get("panels") or () if isinstance(panel, dict)]
    # A row that is folded holds its panels.
    return sum(len(p.get("panels") or ()) if p.get("type") == "row" else 1 for p in panels)


def _all_sources(section: Grafana) -> list[str]:
    status, found = _get(section, "/api/datasources")
    if status != 200 or not isinstance(found, list):
        raise CannotTell(
            f"{section.url} answers HTTP {status} for its data sources: {_said(found)}; name them in `data_sources`"
        )
    return [str(source.get("uid")) for source in found if isinstance(source, dict)]


def _source(section: Grafana, uid: str) -> str:
    """Return `OK`, or what is wrong with a data source."""
    status, found = _get(section, f"/api/datasources/uid/{quote(uid, safe='')}/health")
    if status == 404:
        return "there is none, or it has no health check"
    state = str(found.get("status", "")) if isinstance(found, dict) else ""
    if status == 200 and state == "OK":
        return "OK"
    if status in (401, 403):
        raise CannotTell(f"{section.url} answers HTTP {status} for the data source {uid}: {_said(found)}")
    return f"HTTP {status} {state}: {_said(found)}"


def _said(found: object) -> str:
    said = found.get("message") if isinstance(found, dict) else None
    return redact(str(said))[:200] if said else "it does not say why"


def _get(section: Grafana, path: str) -> tuple[int, Any]:
    url = f"{section.url.rstrip('/')}{path}"
    timeout_s = section.timeout.total_seconds() if section.timeout else _DEFAULT_TIMEOUT_S
    try:
        answer = sending.get(section, url, timeout_s, allow_redirects=False)
    except (requests.RequestException, OSError) as error:
        raise CannotTell(f"{url} does not answer: {sending.why(error)}") from None
    if answer.is_redirect:
        raise CannotTell(f"{url} redirects to {answer.headers['Location'][:200]}: it requires a login")
    try:
        return answer.status_code, answer.json()
    except ValueError:
        raise CannotTell(
            f"{url} answers HTTP {answer.status_code} and no JSON: check the URL, and whether it requires a login"
        ) from None
