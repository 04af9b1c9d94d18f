"""Bringing files and one comment into a ticket, once each, however often and wherever a command breaks off.

The ticket is the truth: before anything is sent, it is looked at. What was begun and is not there may still appear, so
nothing is sent again before that time is over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from pytest_deploygate.clients.tickets.asking import BrokenError, LaterError, MistakeError
from pytest_deploygate.clients.tickets.log import Log
from pytest_deploygate.clients.tickets.ticket import Attached, File, Limits, Ticket
from pytest_deploygate.lazy import dataclass

T = TypeVar("T")
_LOOK_S = 1.0


@dataclass(frozen=True)
class Brought:
    """What one command did: the names of files that it sent, of those that were there already, and notes.

    `commented` is true if it wrote the comment, false if that was there.
    """

    sent: tuple[str, ...]
    there: tuple[str, ...]
    commented: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Outcome:
    """What came of one file: whether it was sent, its link for a comment, and whether no comment may have that yet."""

    sent: bool = False
    link: str = ""
    pending: bool = False


class Bringing:
    """One command at one ticket. `sleep` waits for seconds."""

    def __init__(self, ticket: Ticket, log: Log, sleep: Callable[[float], None] = time.sleep) -> None:
        self._ticket, self._log, self._sleep = ticket, log, sleep
        self._left_s = ticket.tracker.patience.total_seconds()
        self._settle_s = ticket.tracker.settle.total_seconds()
        self._notes: list[str] = []

    def bring(
        self, files: Sequence[File], head: str, mark: str, words: Callable[[Sequence[str]], tuple[str, str]]
    ) -> Brought:
        """Attach the files that are not there, and comment once for this head of the journal.

        `words` makes the comment, plain and as Markdown, of the links to uploads that no comment has yet. Raises MistakeError,
        BrokenError, OSError.
        """
        outcomes = [self._patiently(partial(self._one, file)) for file in files]
        new = [file.name for file, outcome in zip(files, outcomes, strict=True) if outcome.sent]
        links = [outcome.link for outcome in outcomes if outcome.link]
        pending = [
            file
            for file, outcome in zip(files, outcomes, strict=True)
            if outcome.pending and self._ticket.by_comment
        ]
        wrote = self._patiently(lambda: self._comment(head, mark, lambda: words(links), pending))
        there = [file.name for file in files if file.name not in new]
        return Brought(tuple(new), tuple(there), wrote, tuple(self._notes))

    def _one(self, file: File) -> _Outcome:
        """Attach a file unless it is there."""
        known = self._log.of(file.name)
        if there := self._there(file):
            if not known.done:
                self._log.done(file.name)
            return _Outcome(link="" if self._ticket.by_comment else there[0].link)
        if known.done and known.link and self._ticket.by_comment:  # uploaded, and in no comment yet
            return _Outcome(link=known.link, pending=True)
        if known.begun and not known.done and self._settled(known.begun, lambda: bool(self._there(file))):
            self._log.done(file.name)
            return _Outcome()
        self._log.begin(file.name, sha256=file.sha256, size=file.size)
        try:
            link = self._ticket.attach(file)
        except BrokenError as error:
            raise BrokenError(
                f"{error}; whether {file.name} arrived is not known. Run the same command again: it looks before it sends"
            ) from None
        self._log.done(file.name, link, sha256=file.sha256, size=file.size)
        if not self._ticket.by_comment and not self._there(file):
            raise BrokenError(
                f"{file.name} was accepted, and is not in the ticket's list; run the same command again"
            )
        return _Outcome(sent=True, link=link, pending=True)

    def _there(self, file: File) -> list[Attached]:
        """Return a file's attachments in the ticket. Raises MistakeError if what has its name is something else."""
        found = [one for one in self._ticket.attached() if one.name == file.name]
        for one in found:
            if wrong := _wrong(one, file):
                raise MistakeError(
                    f"the ticket has an attachment {file.name} {wrong}: it is damaged, or not ours. Remove it there, then run "
                    "the same command again"
                )
        if len(found) > 1:
            note = f"{file.name} is in the ticket {len(found)} times: remove all but one there"
            if note not in self._notes:
                self._notes.append(note)
        return found

    def _comment(
        self, head: str, mark: str, words: Callable[[], tuple[str, str]], pending: Sequence[File]
    ) -> bool:
        """Comment unless that is there: for this head, and for each file that only a comment attaches."""

        def there() -> bool:
            return self._ticket.has_comment(mark) and all(self._there(file) for file in pending)

        known = self._log.of(head)
        if there() or (known.begun and not known.done and self._settled(known.begun, there)):
            if not known.done:
                self._log.done(head)
            return False
        self._log.begin(head)
        try:
            self._ticket.comment(*words())
        except BrokenError as error:
            raise BrokenError(
                f"{error}; whether the comment arrived is not known. Run the same command again: it looks before it writes"
            ) from None
        self._log.done(head)
        return True

    def _settled(self, begun: datetime, there: Callable[[], bool]) -> bool:
        """Wait until what was begun before can no longer appear. Returns whether it did."""
        while (left_s := self._settle_s - (datetime.now(UTC) - begun).total_seconds()) > 0:
            self._sleep(min(left_s, _LOOK_S))
            if there():
                return True
        return False

    def _patiently(self, step: Callable[[], T]) -> T:
        """Do a step, which looks before it sends; again after a rate limit, as long as patience lasts."""
        while True:
            try:
                return step()
            except LaterError as later:
                if later.wait_s > self._left_s:
                    raise BrokenError(
                        f"{later}, and `patience` allows {self._left_s:.0f} s; run the same command again after that time"
                    ) from None
                wait_s = max(later.wait_s, 0.05)
                self._left_s -= wait_s
                self._sleep(wait_s)


def too_large(files: Sequence[File], limits: Limits) -> str:
    """Say why files cannot be attached; empty if they can."""
    if limits.refused:
        return limits.refused
    for file in files:
        if file.size > limits.largest:
            return (
                f"{file.name} has {file.size:,} bytes, and the largest file that it takes has {limits.largest:,} "
                f"({limits.known_by})"
            )
        extension = file.name.rpartition(".")[2].lower()
        if limits.extensions and extension not in limits.extensions:
            return (
                f"files with the extension .{extension} are not allowed there ({', '.join(limits.extensions)}); have it added "
                "to glide.attachment.extensions"
            )
    return ""


def _wrong(one: Attached, file: File) -> str:
    if one.size is not None and one.size != file.size:
        return f"with {one.size:,} bytes, ours has {file.size:,}"
    if one.sha256 is not None and one.sha256 != file.sha256:
        return f"with the digest {one.sha256[:12]}…, ours has {file.sha256[:12]}…"
    return ""
