"""Measurements of error logs, as frozen values: no I/O, no limits. Signatures and examples have no secrets."""

from __future__ import annotations

from datetime import datetime

from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Hours:
    """A part of a day."""

    begin: datetime
    end: datetime

    @property
    def length_s(self) -> float:
        """How long it is: not as long as others when clocks are changed, which a difference of local times leaves out."""
        return self.end.timestamp() - self.begin.timestamp()


@dataclass(frozen=True)
class Window:
    """What a log has in some hours: entries, errors among them, and the longest time without any entry.

    `errors_by_bin` counts errors in equal parts of the hours, None where there is no entry at all.
    """

    entries: int
    errors: int
    gap_s: float
    gap_began: datetime
    errors_by_bin: tuple[int | None, ...] = ()


@dataclass(frozen=True)
class Signature:
    """Errors that are alike: how many there were in the hours and in those of the baseline, and one of them as example."""

    text: str
    now: int
    before: int
    first: datetime | None = None
    last: datetime | None = None
    example: str = ""


@dataclass(frozen=True)
class Seen:
    """Whether a place has any entry in some hours, and the longest time without one."""

    entries: bool
    gap_s: float
    gap_began: datetime


@dataclass(frozen=True)
class Place:
    """One file with those beside it, or a log in a store. `problem`: not all of it could be read.

    `lines` were read; `strange` of them are of another form than declared, `shape` is that of one of them. `unzoned`
    entries have a time without a zone. `now` and `before` are what it alone has of both hours.
    """

    name: str
    problem: str = ""
    lines: int = 0
    strange: int = 0
    shape: str = ""
    unzoned: int = 0
    now: Seen | None = None
    before: Seen | None = None


@dataclass(frozen=True)
class Source:
    """One log, over all its places. `signatures` are the most frequent; there are `distinct` in all, each with one error
    in `singletons`. `unsorted`: errors beyond the number of signatures that are kept.
    """

    name: str
    places: tuple[Place, ...]
    now: Window
    before: Window
    signatures: tuple[Signature, ...] = ()
    distinct: int = 0
    singletons: int = 0
    unsorted: int = 0


@dataclass(frozen=True)
class Compared:
    """The logs in the latest hours that are over, and in the same hours of the baseline."""

    now: Hours
    before: Hours
    sources: tuple[Source, ...]
