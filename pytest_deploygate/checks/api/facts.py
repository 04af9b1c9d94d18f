"""What an API's document says, what was asked, and how the answers differ from the document."""

from __future__ import annotations

from enum import StrEnum

from pytest_deploygate.lazy import dataclass


class Purpose(StrEnum):
    """Why an operation was asked: for its usual answer, or for one of its error answers."""

    EXAMPLE = "its example"
    NO_LOGIN = "without a login"
    NOT_THERE = "with an id that does not exist"
    CREATE = "to create something"
    UNDO = "to remove what was created"
    QUERY = "a query"
    GENERATED = "a generated request"


@dataclass(frozen=True)
class Attempt:
    """One request. `status` is None if no answer came: `said` says why, and `ours` whether our own side is the cause.

    `differs` is how the answer differs from the document. `error` is the title or text of an error answer, shortened.
    """

    status: int | None
    content_type: str = ""
    took_s: float = 0.0
    said: str = ""
    ours: bool = False
    differs: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Call:
    """An operation that was asked, with all attempts. `documented` are the statuses that the document names for it.

    `login` is the name of the login that was used, `own` for that of the API itself; empty for none.
    """

    operation: str
    purpose: Purpose
    attempts: tuple[Attempt, ...]
    documented: tuple[str, ...] = ()
    login: str = ""


@dataclass(frozen=True)
class Untried:
    """An operation that was not asked, and why. `wanted` is whether it should have been: it is safe, and nobody said to skip it."""

    operation: str
    why: str
    wanted: bool


@dataclass(frozen=True)
class Unproven:
    """An operation whose good answers the document does not describe, and what its schema lacks."""

    operation: str
    lacks: str


@dataclass(frozen=True)
class Found:
    """All that was seen of one API. `operations` is how many the document has, `safe` how many of those are safe.

    `unknown` is what could not be seen besides, `wrong` what is wrong with the API as a whole, `notes` what to know.
    """

    where: str
    operations: int
    safe: int
    calls: tuple[Call, ...] = ()
    untried: tuple[Untried, ...] = ()
    unproven: tuple[Unproven, ...] = ()
    wrong: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    generated: int = 0
