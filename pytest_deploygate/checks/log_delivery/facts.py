"""Measurements of log delivery, as frozen values: no I/O, no limits."""

from __future__ import annotations

from enum import StrEnum

from pytest_deploygate.checks.access_logs.facts import Clock, Stamp
from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.lazy import dataclass


class Kind(StrEnum):
    """What a message is like."""

    PLAIN = "plain"
    LINES = "several lines"
    LONG = "long"
    NON_ASCII = "outside ASCII"


@dataclass(frozen=True)
class Arrived:
    """A message as it arrived. `host` and `level` are None where the line has none.

    `differs` says how its text is not what was sent; empty if it is whole. It was first seen `after_s` seconds after it
    was logged, and was not there at `not_before_s`. `shape` is the form of a line that has another one than declared.
    """

    kind: Kind
    place: str
    host: str | None
    level: str | None
    stamp: Stamp | None
    differs: str
    after_s: float
    not_before_s: float
    shape: str = ""


@dataclass(frozen=True)
class Sender:
    """A host, what it logged, and what of it arrived.

    `problem`: the host could not be asked. `unable`: it has no way to log that is known here. `refused`: its logging did
    not take the messages. It logged them between `from_s` and `to_s` (our clock, seconds since 1970). `names` are those
    that it may log under. Of a burst of `burst` messages `burst_arrived` came, `burst_twice` of them more than once.
    """

    name: str
    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    burst: int
    clock: Clock = Clock()
    from_s: float = 0.0
    to_s: float = 0.0
    arrived: tuple[Arrived, ...] = ()
    burst_arrived: int = 0
    burst_twice: int = 0
    problem: str = ""
    unable: str = ""
    refused: str = ""

    @property
    def logged(self) -> bool:
        """Whether it logged the messages."""
        return not (self.problem or self.unable or self.refused)


@dataclass(frozen=True)
class Place:
    """A file or log store where messages arrive. `problem`: it could not be read. `missing`: it is not there.

    `others` counts its new lines without a mark of ours.
    """

    name: str
    problem: str = ""
    missing: str = ""
    others: int = 0


@dataclass(frozen=True)
class Delivered:
    """What was logged on hosts, and what of it arrived."""

    senders: tuple[Sender, ...]
    places: tuple[Place, ...]
    lag: OwnLag
