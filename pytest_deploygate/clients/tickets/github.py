"""Issues in GitHub, which has no API for attachments: files are assets of a draft release, and the comment links to it.

https://docs.github.com/en/rest/releases/assets · https://docs.github.com/en/rest/issues/comments
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from pytest_deploygate.clients.tickets import asking
from pytest_deploygate.clients.tickets.asking import MistakeError, Sent, ask
from pytest_deploygate.clients.tickets.labels import by_labels
from pytest_deploygate.clients.tickets.ticket import PAGE, PAGES, Attached, File, Limits
from pytest_deploygate.decision.change_state import ChangeState
from pytest_deploygate.fields.tickets import Tracker

#: Each asset must be under 2 GiB, by the documentation of releases.
_LARGEST = 2 * 1024**3 - 1
_VERSION = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}


class Issue:
    """One issue of a repository."""

    by_comment = False

    def __init__(self, tracker: Tracker, key: str) -> None:
        """Look the issue up. Raises TicketError."""
        self.tracker, self.key = tracker, key
        self._repository = f"/repos/{tracker.project}"
        self._issue = f"{self._repository}/issues/{key}"
        self._tag = f"deploygate-issue-{key}"
        self._read()

    def limits(self) -> Limits:
        """Return what the documentation says of assets."""
        return Limits(_LARGEST, "GitHub's documented limit of a release asset")

    def attached(self) -> Sequence[Attached]:
        """Return the assets of the issue's draft release. What an upload that broke off left is deleted.

        GitHub documents that an asset in the state `starter` is empty and can be deleted.
        """
        release = self._release()
        if release is None:
            return []
        found = []
        for one in self._pages(f"{self._repository}/releases/{int(release['id'])}/assets", "assets"):
            if one.get("state") == "starter":
                asset = f"{self._repository}/releases/assets/{int(one['id'])}"
                ask(self.tracker, "DELETE", asset, headers=_VERSION, known=(204, 404))
                continue
            digest = str(one.get("digest") or "")
            known = digest.removeprefix("sha256:") if digest.startswith("sha256:") else None
            name = str(one.get("name", ""))
            found.append(Attached(name, one.get("size"), known, _link(name, release)))
        return found

    def attach(self, file: File) -> str:
        """Send a file to the draft release, which is made if it is not there; return the Markdown that links to it."""
        release = self._release() or self._made()
        base = str(release.get("upload_url", "")).partition("{")[0]
        with file.path.open("rb") as stream:
            ask(
                self.tracker,
                "POST",
                f"{base}?{urlencode({'name': file.name})}",
                sent=Sent(stream, file.content_type, file.size),
                headers=_VERSION,
                known=(201,),
            )
        return _link(file.name, release)

    def has_comment(self, mark: str) -> bool:
        """Look through the issue's comments."""
        return any(
            mark in str(one.get("body") or "") for one in self._pages(f"{self._issue}/comments", "comments")
        )

    def comment(self, plain: str, markdown: str) -> None:  # noqa: ARG002 (GitHub shows Markdown)
        """Write a comment."""
        sent = asking.document({"body": markdown})
        ask(self.tracker, "POST", f"{self._issue}/comments", sent=sent, headers=_VERSION, known=(201,))

    def state(self) -> ChangeState:
        """Return what the issue's labels say."""
        found = self._read()
        labels = [
            str(one.get("name", "")) if isinstance(one, dict) else str(one)
            for one in found.get("labels") or ()
        ]
        return by_labels(
            self.tracker, self.key, labels, is_open=found.get("state") == "open", at=datetime.now(UTC)
        )

    def _read(self) -> dict[str, Any]:
        answer = ask(self.tracker, "GET", self._issue, headers=_VERSION, known=(200, 301, 404, 410))
        if answer.status != 200:
            raise MistakeError(
                f"{asking.called(self.tracker)} has no issue {self.key} in {self.tracker.project}, or this login may not see it "
                "(or it was moved or deleted)"
            )
        return asking.mapped(answer.document, self.tracker, f"issue {self.key}")

    def _release(self) -> dict[str, Any] | None:
        """Return the issue's draft release. Drafts have no address by tag, so the list is read."""
        mine = [
            one
            for one in self._pages(f"{self._repository}/releases", "releases")
            if one.get("tag_name") == self._tag
        ]
        return min(mine, key=lambda one: int(one["id"])) if mine else None

    def _made(self) -> dict[str, Any]:
        document = {
            "tag_name": self._tag,
            "name": f"deploygate: evidence of #{self.key}",
            "body": f"Reports and evidence of the deployment gate for #{self.key}. Leave this a draft: it is no release.",
            "draft": True,
        }
        answer = ask(
            self.tracker,
            "POST",
            f"{self._repository}/releases",
            sent=asking.document(document),
            headers=_VERSION,
            known=(201,),
        )
        return asking.mapped(answer.document, self.tracker, "release")

    def _pages(self, path: str, what: str) -> Iterator[dict[str, Any]]:
        for page in range(1, PAGES + 1):
            question = {"per_page": str(PAGE), "page": str(page)}
            answer = ask(self.tracker, "GET", path, question=question, headers=_VERSION)
            found = asking.listed(answer, self.tracker, what)
            yield from found
            if len(found) < PAGE:
                return


def _link(name: str, release: Mapping[str, Any]) -> str:
    """Return the Markdown that leads to the release: a draft's assets have no lasting address of their own."""
    return f"[{name}]({quote(str(release.get('html_url', '')), safe=':/-_.~')})"
