"""Pages that say a version, or that a service is healthy. A redirect is never followed: it leads to another page."""

from __future__ import annotations

import json
import re
from typing import Any

import requests

from pytest_deploygate.checks.stack.facts import Seen, State, Told
from pytest_deploygate.checks.stack.section import Healthy, VersionEndpoint
from pytest_deploygate.clients import reach
from pytest_deploygate.clients.http import sending
from pytest_deploygate.clients.http.text import decoded
from pytest_deploygate.fields.http import HttpRequest
from pytest_deploygate.redaction import redact, shortened

_MOST = 1_000_000
#: A line that is a version by itself.
_ALONE = re.compile(r"v?\d[\w.+~:-]*")
_SERVER_ERRORS = 500


def _asked(page: HttpRequest, url: str, timeout_s: float) -> tuple[requests.Response, str]:
    limit_s = page.timeout.total_seconds() if page.timeout else timeout_s
    answer = sending.send(page, url, limit_s, afresh=True, allow_redirects=False)
    return answer, decoded(answer.content[:_MOST], answer.headers.get("Content-Type", ""))


def health(page: Healthy, timeout_s: float) -> Seen:
    """Ask a page of health once."""
    try:
        answer, body = _asked(page, page.url, timeout_s)
    except (requests.RequestException, OSError) as error:
        # Our own name server or route says nothing of the service; a refusal or silence does.
        ours = reach.why_ours(error)
        return Seen(State.UNKNOWN if ours else State.DOWN, redact(sending.why(error)))
    said = f"HTTP {answer.status_code}"
    if answer.status_code in page.status:
        lacking = page.lacking(body)
        return Seen(State.DOWN if lacking else State.UP, f"{said}, {lacking}" if lacking else said)
    if answer.is_redirect or answer.status_code in (401, 403, 407):
        kind = "a redirect" if answer.is_redirect else "a login is asked for"
        return Seen(State.UNKNOWN, f"{said}: {kind}, so its health is not told")
    return Seen(State.DOWN, f"{said}, expected {page.expected}")


def version(component: str, page: VersionEndpoint, timeout_s: float) -> Told:
    """Ask a page for its version once."""
    by = page.url
    try:
        answer, body = _asked(page, page.url, timeout_s)
    except (requests.RequestException, OSError) as error:
        return Told(component, by, why=redact(sending.why(error)))
    if answer.status_code not in page.status:
        return Told(component, by, why=f"HTTP {answer.status_code}, expected {page.expected}")
    if lacking := page.lacking(body):
        return Told(component, by, why=lacking)
    found = _in(body, page)
    if found:
        return Told(component, by, version=found)
    where = f"no `{page.field}`" if page.field else "no version"
    return Told(
        component, by, why=f"its answer has {where}: {shortened(redact(' '.join(body.split())), 80)!r}"
    )


def _in(body: str, page: VersionEndpoint) -> str | None:
    if page.field:
        value: Any
        try:
            value = json.loads(body)
        except ValueError:
            return None
        for key in page.field.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        text = str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    else:
        text = body
    if page.pattern:
        found = re.search(page.pattern, text)
        return found[1].strip() or None if found and found[1] else None
    text = text.strip()
    return text if (page.field and text) or _ALONE.fullmatch(text) else None
