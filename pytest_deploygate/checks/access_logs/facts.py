"""Measurements of access logs, as frozen values: no I/O, no limits. No value of a canary is among them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Stamp:
    """A time as it was logged: without a zone if the log has none. The event was within `resolution_s` after it."""

    at: datetime
    resolution_s: float

    @property
    def zoned(self) -> bool:
        """Whether the time has a zone."""
        return self.at.tzinfo is not None


@dataclass(frozen=True)
class Line:
    """A line with a request's mark. `told` is None if the line has another form than declared; `shape` is then its form.

    It was first seen `after_s` seconds after the request was answered, and was not there at `not_before_s`.
    """

    request: str
    told: Mapping[str, str] | None
    stamp: Stamp | None
    after_s: float
    shape: str = ""
    not_before_s: float = 0.0


@dataclass(frozen=True)
class Rule:
    """Whether logrotate has a rule for a file. `problem`: it did not say."""

    has: bool
    problem: str = ""


@dataclass(frozen=True)
class File:
    """A log file as it was before the request.

    `in_open_folders` is false if others may not enter one of its folders. `first` is the time of its first line, and
    `rotated` that of the newest rotated file beside it. `now` is the host's time.
    """

    mode: int
    owner: str
    size: int
    in_open_folders: bool
    now: datetime
    first: Stamp | None = None
    rotated: datetime | None = None
    rule: Rule | None = None


@dataclass(frozen=True)
class Clock:
    """Bounds of the offset of a host's clock from ours, in seconds."""

    low_s: float = 0.0
    high_s: float = 0.0


@dataclass(frozen=True)
class Log:
    """One log of a hop: a file or journal on a host, or a log in a log store.

    `problem` says why it could not be read, `missing` that it is not there. `others` counts its new lines without a mark.
    `secrets` are the places of the request whose values were in it. `half`: its last line has a mark, and no end.
    """

    name: str
    lines: tuple[Line, ...] = ()
    others: int = 0
    secrets: tuple[str, ...] = ()
    half: bool = False
    problem: str = ""
    missing: str = ""
    clock: Clock = Clock()
    file: File | None = None


@dataclass(frozen=True)
class Hop:
    """The logs of one hop, and the further files that must not have a secret."""

    name: str
    logs: tuple[Log, ...]
    more: tuple[Log, ...] = ()


@dataclass(frozen=True)
class Sent:
    """A request that was sent; times are ours, in seconds since 1970. `problem`: it got no answer."""

    name: str
    method: str
    sent_s: float
    answered_s: float
    status: int | None = None
    problem: str = ""
    carried: tuple[str, ...] = ()


@dataclass(frozen=True)
class Followed:
    """What was sent, and what the logs of each hop have of it."""

    sent: tuple[Sent, ...]
    hops: tuple[Hop, ...]
    lag: OwnLag
