"""Whether links answer, what documents say, and when they were last changed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, time
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

import requests

from pytest_deploygate import git
from pytest_deploygate.checks.handover.facts import (
    BriefingSeen,
    BriefingsSeen,
    DocumentSeen,
    ImprovementSeen,
    LinkSeen,
)
from pytest_deploygate.checks.handover.section import Document, Handover
from pytest_deploygate.clients.http import sending
from pytest_deploygate.fields.http import HttpAccess
from pytest_deploygate.files import bounded
from pytest_deploygate.model import NotCovered

_TIMEOUT_S = 15.0
#: Paths and hosts of logins that servers redirect to.
_LOGIN = re.compile(
    r"(^|[/._-])(log[-_]?in|sign[-_]?in|sso|saml2?|adfs|authorize|oauth2?)([/._-]|$)", re.IGNORECASE
)
_PASSWORD = re.compile(r"<input[^>]+type\s*=\s*[\"']?password", re.IGNORECASE)


def documents(settings: Handover, item: str) -> tuple[DocumentSeen, ...]:
    """Look at the documents of an item. Raises NotCovered if there are none."""
    mine = [one for one in settings.documents if one.item == item]
    if not mine:
        raise NotCovered(
            f"handover.documents has none for {item}; add "
            f"`- {{item: {item}, name: …, url: https://wiki.example.com/…, owner: {settings.receives}}}`"
        )
    return tuple(_file(one, one.file) if one.file else _page(one, one.url or "") for one in mine)


def improvements(settings: Handover) -> tuple[ImprovementSeen, ...]:
    """Look at the tickets of improvements. Raises NotCovered if there are no improvements."""
    if not settings.improvements:
        raise NotCovered(
            "handover.improvements is empty; add `- {what: …, owner: technical-lead, ticket: OPS-17}` for each"
        )
    found = []
    for one in settings.improvements:
        url = one.ticket if "://" in one.ticket else ""
        if one.ticket and not url and settings.tracker:
            url = settings.tracker.replace("{key}", quote(one.ticket, safe=""))
        link = _asked(settings.tracker_access, url)[0] if url else None
        found.append(ImprovementSeen(one.what, one.owner, one.ticket, link))
    return tuple(found)


def briefings(settings: Handover, item: str) -> BriefingsSeen:
    """Read the briefings of an item. Raises NotCovered if there are none."""
    mine = [one for one in settings.briefings if one.item == item]
    if not mine:
        raise NotCovered(
            f"handover.briefings has none for {item}; add `- {{item: {item}, at: 2026-12-01T06:00:00Z, led_by: "
            f"{settings.gives}, present: […]}}`"
        )
    found = [
        BriefingSeen(one.at, tuple(dict.fromkeys((one.led_by, *one.present))), tuple(settings.required(one)))
        for one in mine
    ]
    return BriefingsSeen(tuple(found), datetime.now(UTC))


def _page(one: Document, url: str) -> DocumentSeen:
    link, answer = _asked(one, url)
    if answer is None or not link.good:
        return DocumentSeen(one.name, one.owner, link)
    text = answer.text
    changed, by = _of_inventory(one)
    if changed is None and (said := answer.headers.get("Last-Modified")):
        try:
            changed, by = parsedate_to_datetime(said).astimezone(UTC), "its server (Last-Modified)"
        except ValueError:
            changed = None
    unknown = "" if changed else "its server sends no Last-Modified that can be read"
    return DocumentSeen(
        one.name, one.owner, link, _lacks(text, one.says), not text.strip(), changed, by, unknown
    )


def _asked(access: HttpAccess, url: str) -> tuple[LinkSeen, requests.Response | None]:
    timeout_s = access.timeout.total_seconds() if access.timeout else _TIMEOUT_S
    try:
        answer = sending.get(access, url, timeout_s)
    except (requests.RequestException, OSError) as error:
        return LinkSeen(url, problem=sending.why(error)), None
    status = answer.status_code
    if status in (404, 410):
        return LinkSeen(url, status, gone=True), answer
    if status in (401, 403):
        return LinkSeen(url, status, login=f"HTTP {status}"), answer
    if status != 200:
        return LinkSeen(url, status, problem=f"it answered {status} in place of 200"), answer
    return LinkSeen(url, status, login=_login(answer)), answer


def _login(answer: requests.Response) -> str:
    """Say where a login answered; empty if none did."""
    parts = urlsplit(answer.url)
    if answer.history and (_LOGIN.search(parts.path) or _LOGIN.search(parts.hostname or "")):
        return f"a redirect to {parts.scheme}://{parts.netloc}{parts.path}"
    if "html" in answer.headers.get("Content-Type", "") and _PASSWORD.search(answer.text):
        return "a page that asks for a password"
    return ""


def _file(one: Document, path: Path) -> DocumentSeen:
    where = str(one.file)
    try:
        text = bounded.text(path)
    except FileNotFoundError:
        return DocumentSeen(one.name, one.owner, LinkSeen(where, gone=True))
    except (OSError, ValueError) as error:
        return DocumentSeen(one.name, one.owner, LinkSeen(where, problem=f"it cannot be read: {error}"))
    changed, by = _of_inventory(one)
    unknown = ""
    if changed is None:
        changed, unknown = _by_git(path)
        by = "git"
    lacks = _lacks(text, one.says)
    return DocumentSeen(one.name, one.owner, LinkSeen(where), lacks, not text.strip(), changed, by, unknown)


def _by_git(path: Path) -> tuple[datetime | None, str]:
    """The time of a file itself says when it was checked out, so only git is asked."""
    tree = git.work_tree(path.parent)
    if tree is None:
        return None, "it is in no git work tree"
    try:
        changed = git.changed_on(tree, str(path.resolve().relative_to(tree.top)))
    except (git.GitError, ValueError) as error:
        return None, f"git cannot tell: {error}"
    return changed, "" if changed else "no commit has it"


def _of_inventory(one: Document) -> tuple[datetime | None, str]:
    return (datetime.combine(one.changed, time(), UTC), "the inventory") if one.changed else (None, "")


def _lacks(text: str, wanted: Sequence[str]) -> tuple[str, ...]:
    return tuple(one for one in wanted if one not in text)
