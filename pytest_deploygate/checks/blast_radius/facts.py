"""What the gate did to the platform, as observed."""

from __future__ import annotations

from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.judging.spending import STOP_S, Spent
from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Ends:
    """The limit of a stop, in seconds."""

    within_s: float = STOP_S


@dataclass(frozen=True)
class Tried:
    """How a stop ended something that waited: `took_s` is None if it had not ended when we gave up."""

    waited_in: str
    took_s: float | None
    lag: OwnLag


@dataclass(frozen=True)
class StopSeen:
    """Each way of waiting, stopped once; `problem` says why nothing could be tried."""

    tried: tuple[Tried, ...]
    problem: str = ""


@dataclass(frozen=True)
class Trace:
    """A place where probes of the gate write, and what of theirs is there that no run needs any more.

    `left` are sentences; `unseen` says why the place could not be looked at.
    """

    place: str
    left: tuple[str, ...] = ()
    unseen: str = ""


@dataclass(frozen=True)
class LedgerSeen:
    """What the active probes of a run, and of the runs that it resumed, spent. `unread` says why it is not known.

    `together` is what all probes of a run spent, where the inventory limits that.
    """

    entries: tuple[Spent, ...]
    unread: str = ""
    together: tuple[Spent, ...] = ()
