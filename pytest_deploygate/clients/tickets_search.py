"""How many tickets of a tracker were created between two times, by its documented search. By documentation only.

Sources: Jira Cloud REST API v3, "Count issues using JQL" (approximate); Jira Data Center REST API v2, "Search"; GitHub
REST API, "Search issues and pull requests"; GitLab REST API, "List project issues" and "Pagination"; ServiceNow, Aggregate
API. Jira and ServiceNow read clock times in the zone of their user, so they are asked in minutes before now.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import requests

from pytest_deploygate.clients.http import sending
from pytest_deploygate.fields.http import HttpAccess
from pytest_deploygate.files import bounded
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Span:
    """Tickets created from `start` until before `end`, at the time `now`."""

    start: datetime
    end: datetime
    now: datetime

    def ago(self, at: datetime) -> int:
        """How many minutes before now; a part of one counts for a later span."""
        return max(0, math.ceil((self.now - at).total_seconds() / 60))


@dataclass(frozen=True)
class Tracker:
    """A tracker: its kind, address, project (or table), how it is reached, and more headers, which have its secret."""

    system: str
    url: str
    project: str
    access: HttpAccess
    headers: Mapping[str, str]


def count(tracker: Tracker, narrowed: str, span: Span) -> int:
    """Return how many tickets match. `narrowed` is in the tracker's own words. Raises CannotTell."""
    try:
        return _SYSTEMS[tracker.system](tracker, narrowed, span)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        said = f"{type(error).__name__}: {error}"[:120]
        raise CannotTell(f"{tracker.system}: its answer has another form than documented ({said})") from None


def _jql(tracker: Tracker, narrowed: str, span: Span) -> str:
    made = f'project = "{tracker.project}" AND created >= "-{span.ago(span.start)}m"'
    if end := span.ago(span.end):
        made += f' AND created < "-{end}m"'
    return f"{made} AND ({narrowed})" if narrowed else made


def _jira_cloud(tracker: Tracker, narrowed: str, span: Span) -> int:
    body = {"jql": _jql(tracker, narrowed, span)}
    return _number(_said(tracker, "/rest/api/3/search/approximate-count", body=body)[0]["count"])


def _jira(tracker: Tracker, narrowed: str, span: Span) -> int:
    query = {"jql": _jql(tracker, narrowed, span), "maxResults": "0"}
    return _number(_said(tracker, "/rest/api/2/search", query)[0]["total"])


def _github(tracker: Tracker, narrowed: str, span: Span) -> int:
    created = f"created:{_iso(span.start)}..{_iso(span.end)}"
    query = {"q": f"repo:{tracker.project} is:issue {created} {narrowed}".strip(), "per_page": "1"}
    sent = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
    said = _said(tracker, "/search/issues", query, sent=sent)[0]
    if said["incomplete_results"] is not False:
        raise CannotTell("github: its search ran out of time and counted only a part; run again")
    return _number(said["total_count"])


def _gitlab(tracker: Tracker, narrowed: str, span: Span) -> int:
    query = {"created_after": _iso(span.start), "created_before": _iso(span.end), "per_page": "1"}
    if narrowed:
        query["labels"] = narrowed
    path = f"/api/v4/projects/{quote(tracker.project, safe='')}/issues"
    _, headers = _said(tracker, path, query)
    if "X-Total" not in headers:
        raise CannotTell(
            "gitlab: it does not say how many there are (over 10,000, or no X-Total): narrow the filter"
        )
    return _number(headers["X-Total"])


def _servicenow(tracker: Tracker, narrowed: str, span: Span) -> int:
    parts = [f"sys_created_onRELATIVEGE@minute@ago@{span.ago(span.start)}"]
    if end := span.ago(span.end):
        parts.append(f"sys_created_onRELATIVELT@minute@ago@{end}")
    query = {"sysparm_count": "true", "sysparm_query": "^".join([*parts, *([narrowed] if narrowed else [])])}
    said = _said(tracker, f"/api/now/stats/{quote(tracker.project or 'incident', safe='')}", query)[0]
    return _number(said["result"]["stats"]["count"])


_SYSTEMS = {
    "jira-cloud": _jira_cloud,
    "jira": _jira,
    "github": _github,
    "gitlab": _gitlab,
    "servicenow": _servicenow,
}


def _said(
    tracker: Tracker,
    path: str,
    query: Mapping[str, str] | None = None,
    *,
    body: object = None,
    sent: Mapping[str, str] | None = None,
) -> tuple[Any, Mapping[str, str]]:
    access, url = tracker.access, tracker.url.rstrip("/") + path
    timeout_s = access.timeout.total_seconds() if access.timeout else _TIMEOUT_S
    headers = {"Accept": "application/json", **tracker.headers, **(sent or {})}
    more: dict[str, Any] = {"headers": headers, "params": query, "allow_redirects": False}
    try:
        if body is None:
            answer = sending.get(access, url, timeout_s, **more)
        else:
            answer = sending.post_json(access, url, body, timeout_s, **more)
    except (requests.RequestException, OSError) as error:
        raise CannotTell(f"{tracker.system} cannot be asked for tickets: {sending.why(error)}") from None
    if answer.status_code in (401, 403):
        raise CannotTell(
            f"{tracker.system} answered {answer.status_code}: the token is not valid, or may not search"
        )
    if answer.status_code in (400, 422):
        raise CannotTell(
            f"{tracker.system} answered {answer.status_code}: it does not understand the filter, or the project"
        )
    if answer.status_code != 200:
        raise CannotTell(f"{tracker.system} answered {answer.status_code} in place of 200")
    return bounded.from_json(answer.content), answer.headers


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(f"{value!r} is no number")
    found = int(value)
    if found < 0:
        raise ValueError(f"{found} is no count")
    return found


def _iso(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
