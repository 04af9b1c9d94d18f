"""What all systems with change tickets have in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from pytest_deploygate.decision.change_state import ChangeState
from pytest_deploygate.fields.tickets import Tracker
from pytest_deploygate.lazy import dataclass

#: Pages of a list that are read, and entries on one of them.
PAGES, PAGE = 50, 100


@dataclass(frozen=True)
class File:
    """A file to attach: its name in the ticket, which has the beginning of its digest, and what it is for people."""

    path: Path
    name: str
    sha256: str
    size: int
    content_type: str
    what: str


@dataclass(frozen=True)
class Attached:
    """A file that is in a ticket. `size` and `sha256` are None where the system does not say them.

    `link` is the Markdown that leads to it, where a comment has to say that.
    """

    name: str
    size: int | None = None
    sha256: str | None = None
    link: str = ""


@dataclass(frozen=True)
class Limits:
    """What a system takes: the largest file in bytes, how that is known, and extensions (empty: any)."""

    largest: int
    known_by: str
    extensions: tuple[str, ...] = ()
    refused: str = ""


class Ticket(Protocol):
    """One ticket that is there and can be seen. All methods raise `asking.TicketError`.

    `by_comment`: a file is in the ticket only when a comment links to it.
    """

    tracker: Tracker
    key: str
    by_comment: bool

    def limits(self) -> Limits:
        """Return what can be attached."""

    def attached(self) -> Sequence[Attached]:
        """Return what is attached."""

    def attach(self, file: File) -> str:
        """Send a file. Returns the Markdown of a link for the comment; empty where the ticket lists attachments itself."""

    def has_comment(self, mark: str) -> bool:
        """Tell whether a comment contains a text."""

    def comment(self, plain: str, markdown: str) -> None:
        """Write a comment, in the form that the system shows."""

    def state(self) -> ChangeState:
        """Return the state of the change."""
