"""Tickets in Jira: version 3 of the REST API at Atlassian (Cloud), version 2 in a data centre.

https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-attachments/
https://developer.atlassian.com/server/jira/platform/rest/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from pytest_deploygate.clients.tickets import asking
from pytest_deploygate.clients.tickets.asking import MistakeError, ask
from pytest_deploygate.clients.tickets.multipart import form
from pytest_deploygate.clients.tickets.ticket import PAGE, PAGES, Attached, File, Limits
from pytest_deploygate.decision.change_state import ChangeState
from pytest_deploygate.fields.tickets import Tracker

#: A comment's text is at most 32,767 characters; what is ours is far below, and is cut to be sure.
_MOST_COMMENT = 32_000
#: Without it Jira takes a form for one that another site made the browser send.
_NO_CHECK = {"X-Atlassian-Token": "no-check"}


class Issue:
    """One issue."""

    by_comment = False

    def __init__(self, tracker: Tracker, key: str) -> None:
        """Look the issue up. Raises TicketError."""
        self.tracker, self.key = tracker, key
        self._api = f"/rest/api/{3 if tracker.cloud else 2}"
        self._issue = f"{self._api}/issue/{key}"
        self._fields("status")

    def limits(self) -> Limits:
        """Return what can be attached, by the settings that every user may read."""
        found = asking.mapped(
            ask(self.tracker, "GET", f"{self._api}/attachment/meta").document,
            self.tracker,
            "attachment settings",
        )
        largest = found.get("uploadLimit")
        if found.get("enabled") is not True:
            return Limits(
                0, "attachment/meta", refused="attachments are switched off there (attachment/meta)"
            )
        if not isinstance(largest, int) or largest <= 0:
            raise MistakeError(f"{asking.called(self.tracker)} does not say how large an attachment may be")
        return Limits(largest, "attachment/meta")

    def attached(self) -> Sequence[Attached]:
        """Return the issue's attachments."""
        found = self._fields("attachment").get("attachment")
        if not isinstance(found, list):
            raise MistakeError(
                f"{asking.called(self.tracker)}: {self.key} has no field for attachments: add it to the issue type's screens"
            )
        return [Attached(str(one.get("filename", "")), one.get("size")) for one in found]

    def attach(self, file: File) -> str:
        """Send a file as the documented form."""
        sent = form(file.path, file.name, file.content_type, file.sha256)
        ask(self.tracker, "POST", f"{self._issue}/attachments", sent=sent, headers=_NO_CHECK)
        return ""

    def has_comment(self, mark: str) -> bool:
        """Look through the issue's comments, the newest first."""
        return any(mark in said for said in self._comments())

    def _comments(self) -> Iterator[str]:
        for page in range(PAGES):
            question = {
                "startAt": str(page * PAGE),
                "maxResults": str(PAGE),
                "orderBy": "-created",
            }
            found = asking.mapped(
                ask(self.tracker, "GET", f"{self._issue}/comment", question=question).document,
                self.tracker,
                "comments",
            )
            comments = found.get("comments")
            if not isinstance(comments, list):
                raise MistakeError(f"{asking.called(self.tracker)} returned no list of comments")
            yield from ("".join(_texts(one.get("body"))) for one in comments)
            if not comments or page * PAGE + len(comments) >= int(found.get("total", 0)):
                return

    def comment(self, plain: str, markdown: str) -> None:  # noqa: ARG002 (Jira shows no Markdown)
        """Write a comment: a document at Atlassian, in a data centre text that no markup changes."""
        text = plain[:_MOST_COMMENT]
        body: object = _document(text) if self.tracker.cloud else f"{{noformat}}\n{text}\n{{noformat}}"
        ask(
            self.tracker,
            "POST",
            f"{self._issue}/comment",
            sent=asking.document({"body": body}),
            known=(201,),
        )

    def state(self) -> ChangeState:
        """Return the status, and the window of the fields that the inventory names."""
        own = self.tracker
        names = ["status", *filter(None, (own.start_field, own.end_field))]
        fields = self._fields(*names)
        status = str((fields.get("status") or {}).get("name", ""))
        window = None
        if own.start_field:
            window = _time(fields.get(own.start_field)), _time(fields.get(own.end_field))
        return ChangeState(
            ticket=f"{own.called}:{self.key}",
            read_at=datetime.now(UTC),
            said=f"status {status}",
            approved=status in own.approved if own.approved else None,
            scheduled=status in own.scheduled if own.scheduled else None,
            window=window,
        )

    def _fields(self, *names: str) -> dict[str, Any]:
        found = ask(self.tracker, "GET", self._issue, question={"fields": ",".join(names)}, known=(200, 404))
        if found.status == 404:
            raise MistakeError(
                f"{asking.called(self.tracker)} has no ticket {self.key}, or this login may not see it"
            )
        told = asking.mapped(found.document, self.tracker, f"issue {self.key}")
        return asking.mapped(told.get("fields"), self.tracker, f"fields of {self.key}")


def _document(text: str) -> dict[str, object]:
    """Return a text in Atlassian's document format: its first line bold, the rest as it stands."""
    first, _, rest = text.partition("\n")
    head = {"type": "text", "text": first or "deploygate", "marks": [{"type": "strong"}]}
    block = {"type": "codeBlock", "attrs": {}, "content": [{"type": "text", "text": rest.strip() or "-"}]}
    return {"type": "doc", "version": 1, "content": [{"type": "paragraph", "content": [head]}, block]}


def _texts(body: object) -> Iterator[str]:
    """Yield the texts of a comment, which is a text or a document."""
    if isinstance(body, str):
        yield body
    elif isinstance(body, list):
        for one in body:
            yield from _texts(one)
    elif isinstance(body, dict):
        if isinstance(body.get("text"), str):
            yield body["text"]
        yield from _texts(body.get("content"))


def _time(value: object) -> datetime | None:
    """Read Jira's time (`2026-12-01T20:00:00.000+0100`); None if the field is empty or has a day only."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else None
