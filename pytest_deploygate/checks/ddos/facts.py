"""Measurements of rate limits and slow clients, as frozen values: no I/O, no limits."""

from __future__ import annotations

from dataclasses import field

from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Attempt:
    """A request. Times are in seconds since the trial began; `status` is 0 without an answer, and `problem` says why.

    `phase` is control, burst, sustain, more, query, path, http2, network, forged, or the name of one forged header; share or recovery.
    `varied` requests of a phase try the way around the limit, the others beside them do not. `served` is true for the
    expected answer. `wait` is the header Retry-After.
    """

    phase: str
    sent_s: float
    answered_s: float
    status: int
    served: bool = False
    varied: bool = False
    problem: str = ""
    wait: str = ""


@dataclass(frozen=True)
class Trial:
    """A burst from one source on one address of a limit, and what the second source met meanwhile.

    `source` and `second` are their own addresses, `second` empty if a host sent them and its address is not known;
    `second_here` tells that they are both of this machine. `told` are headers RateLimit and the like, as `Name: value`.
    `unsent` requests of the plan could not be sent in time. `http2` tells that the server speaks HTTP/2, and was to be tried
    over it. `problem`: it could not be begun.
    """

    limit: str
    address: str
    source: str
    second: str
    second_here: bool
    attempts: tuple[Attempt, ...] = ()
    others: tuple[Attempt, ...] = ()
    told: tuple[str, ...] = ()
    unsent: int = 0
    http2: bool = False
    lag: OwnLag = field(default_factory=OwnLag)
    problem: str = ""


@dataclass(frozen=True)
class Held:
    """Connections of one kind that were held on one address. `cut_s` are the seconds after which each was closed.

    `open` of them were still open after `waited_s`. `statuses` are those of answers on them, such as 408. `control` says
    what was wrong with an ordinary request meanwhile. `problem`: they could not be held.
    """

    name: str
    kind: str
    address: str
    protocol: str = "HTTP/1.1"
    cut_s: tuple[float, ...] = ()
    open: int = 0
    waited_s: float = 0.0
    statuses: tuple[int, ...] = ()
    control: str = ""
    problem: str = ""
    lag: OwnLag = field(default_factory=OwnLag)


@dataclass(frozen=True)
class Crowd:
    """More connections of one source than it may have: how many stood, and how many were turned away."""

    name: str
    address: str
    stood: int = 0
    turned_away: int = 0
    problem: str = ""


@dataclass(frozen=True)
class Drilled:
    """All trials, held connections and crowds. `left_out` are addresses that were not tried, each with its reason."""

    trials: tuple[Trial, ...]
    held: tuple[Held, ...]
    left_out: tuple[str, ...] = ()
    crowds: tuple[Crowd, ...] = ()
