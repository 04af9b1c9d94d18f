"""Issues in GitLab: files are uploaded to the project, and attached by a note that links to them.

https://docs.gitlab.com/api/project_markdown_uploads/ · https://docs.gitlab.com/api/notes/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from pytest_deploygate.clients.tickets import asking
from pytest_deploygate.clients.tickets.asking import MistakeError, ask
from pytest_deploygate.clients.tickets.labels import by_labels
from pytest_deploygate.clients.tickets.multipart import form
from pytest_deploygate.clients.tickets.ticket import PAGE, PAGES, Attached, File, Limits
from pytest_deploygate.decision.change_state import ChangeState
from pytest_deploygate.fields.tickets import Tracker

#: GitLab's default of `max_attachment_size`, which only administrators may read.
_DEFAULT_MB = 100
_MB = 1024 * 1024


class Issue:
    """One issue of a project."""

    by_comment = True

    def __init__(self, tracker: Tracker, key: str) -> None:
        """Look the issue up. Raises TicketError."""
        self.tracker, self.key = tracker, key
        self._project = f"/api/v4/projects/{quote(tracker.project, safe='')}"
        self._issue = f"{self._project}/issues/{key}"
        self._read()

    def limits(self) -> Limits:
        """Return what can be attached, by the settings if this login may read them, else by their default."""
        answer = ask(self.tracker, "GET", "/api/v4/application/settings", known=(200, 401, 403, 404))
        said = answer.document.get("max_attachment_size") if isinstance(answer.document, dict) else None
        if answer.status == 200 and isinstance(said, int) and said > 0:
            return Limits(said * _MB, "max_attachment_size")
        why = "GitLab's default, because this login may not read max_attachment_size"
        return Limits(_DEFAULT_MB * _MB, why)

    def attached(self) -> Sequence[Attached]:
        """Return the files that notes link to: what was uploaded and is in no note is not in the ticket."""
        return [Attached(name) for body in self._notes() for name in _linked(body)]

    def attach(self, file: File) -> str:
        """Upload a file; return the Markdown with which a note attaches it."""
        sent = form(file.path, file.name, file.content_type, file.sha256)
        answer = ask(self.tracker, "POST", f"{self._project}/uploads", sent=sent, known=(201,))
        found = asking.mapped(answer.document, self.tracker, "upload")
        url = found.get("url")
        if not isinstance(url, str) or not url.startswith("/uploads/") or any(c in url for c in ") \n"):
            raise MistakeError(
                f"{asking.called(self.tracker)} returned no address of the upload of {file.name}"
            )
        return f"[{file.name}]({url})"

    def has_comment(self, mark: str) -> bool:
        """Look through the issue's notes."""
        return any(mark in body for body in self._notes())

    def _notes(self) -> Iterator[str]:
        for page in range(1, PAGES + 1):
            question = {
                "per_page": str(PAGE),
                "page": str(page),
                "sort": "desc",
                "order_by": "created_at",
            }
            answer = ask(self.tracker, "GET", f"{self._issue}/notes", question=question)
            found = asking.listed(answer, self.tracker, "notes")
            yield from (str(one.get("body") or "") for one in found)
            if len(found) < PAGE:
                return

    def comment(self, plain: str, markdown: str) -> None:  # noqa: ARG002 (GitLab shows Markdown)
        """Write a note."""
        sent = asking.document({"body": markdown})
        ask(self.tracker, "POST", f"{self._issue}/notes", sent=sent, known=(201,))

    def state(self) -> ChangeState:
        """Return what the issue's labels say."""
        found = self._read()
        labels = [str(one) for one in found.get("labels") or ()]
        return by_labels(
            self.tracker, self.key, labels, is_open=found.get("state") == "opened", at=datetime.now(UTC)
        )

    def _read(self) -> dict[str, Any]:
        answer = ask(self.tracker, "GET", self._issue, known=(200, 404))
        if answer.status == 404:
            raise MistakeError(
                f"{asking.called(self.tracker)} has no issue {self.key} in {self.tracker.project}, or this login may not see it"
            )
        return asking.mapped(answer.document, self.tracker, f"issue {self.key}")


def _linked(body: str) -> Iterator[str]:
    """Yield the names of uploads that a note links to: `[name](/uploads/…/name)`."""
    for part in body.split("](/uploads/")[:-1]:
        yield part.rpartition("[")[2]
