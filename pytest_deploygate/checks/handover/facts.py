"""Measurements of documents, briefings and improvements, as frozen values: no I/O, no limits."""

from __future__ import annotations

from datetime import datetime

from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class LinkSeen:
    """What a link, or a file, answered. `gone`: there is nothing at it. `login`: a login answered in its place.

    `problem`: it could not be looked at from here.
    """

    where: str
    status: int | None = None
    gone: bool = False
    login: str = ""
    problem: str = ""

    @property
    def good(self) -> bool:
        """Whether there is something at it."""
        return not (self.gone or self.login or self.problem)


@dataclass(frozen=True)
class DocumentSeen:
    """A document. `changed` is when it was last changed, and `by` who says so: its server, git, or the inventory."""

    name: str
    owner: str
    link: LinkSeen
    lacks: tuple[str, ...] = ()
    empty: bool = False
    changed: datetime | None = None
    by: str = ""
    unknown_age: str = ""


@dataclass(frozen=True)
class ImprovementSeen:
    """An improvement. `link` is what its ticket answered, None where there is no address to ask."""

    what: str
    owner: str
    ticket: str
    link: LinkSeen | None = None


@dataclass(frozen=True)
class BriefingSeen:
    """A briefing: when it was, which roles came, the one that led it among them, and which had to."""

    at: datetime
    came: tuple[str, ...]
    required: tuple[str, ...]


@dataclass(frozen=True)
class BriefingsSeen:
    """The briefings of an item, at a time."""

    briefings: tuple[BriefingSeen, ...]
    at: datetime
