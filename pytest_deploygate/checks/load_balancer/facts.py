"""Measurements of load balancers, as frozen values: no I/O, no limits."""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum

from pytest_deploygate.drills.record import Evidence
from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.lazy import dataclass


class State(StrEnum):
    """What a balancer does with a backend."""

    IN = "in"
    DOWN = "down"
    """Its health is bad."""
    DRAIN = "drain"
    """It gets no new clients."""
    MAINT = "maint"
    BACKUP = "backup"
    """It is used when all others are down."""
    UNKNOWN = "unknown"


class Kind(StrEnum):
    """What a health check looks at."""

    NONE = "none"
    PASSIVE = "passive"
    """Only failed requests of users count."""
    TCP = "tcp"
    """Whether the port accepts connections."""
    TLS = "tls"
    """Whether a TLS handshake succeeds."""
    HTTP = "http"
    """The answer to a request: HTTP, gRPC, a database's protocol, a program's exit code."""


@dataclass(frozen=True)
class Check:
    """A backend's health check. `accepts_errors` are the HTTP errors that count as healthy; `always` says why it never fails.

    `says` is how the balancer writes its last result.
    """

    kind: Kind
    path: str = ""
    accepts_errors: tuple[int, ...] = ()
    always: str = ""
    says: str = ""


@dataclass(frozen=True)
class Member:
    """What a balancer knows of one backend; None is what it does not tell.

    `says` is the state in its own words. `requests` counts connections or requests since it started. `tls` is `none`,
    `unverified` or `verified`. `cuts`: running requests are cut when the health turns bad. `ramping`: it has returned a
    short time ago, and does not yet get its full share.
    """

    name: str
    state: State
    says: str = ""
    weight: float | None = None
    check: Check | None = None
    tls: str | None = None
    slow_start_s: float | None = None
    requests: int | None = None
    cuts: bool = False
    ramping: bool = False


@dataclass(frozen=True)
class Control:
    """What one balancer said. `problem` says why nothing could be read, `lacking` what could not.

    `group` is its own name for the pool. `live`: it tells states at run time, and not only what is configured.
    """

    name: str
    program: str
    members: tuple[Member, ...] = ()
    problem: str = ""
    lacking: tuple[str, ...] = ()
    live: bool = True
    group: str = ""


@dataclass(frozen=True)
class Health:
    """A backend's own health page, asked directly. `like_missing`: a page that does not exist has the same answer."""

    backend: str
    good: bool | None
    said: str
    like_missing: bool = False


@dataclass(frozen=True)
class Backends:
    """All that balancers and backends say of themselves."""

    controls: tuple[Control, ...]
    health: tuple[Health, ...]


@dataclass(frozen=True)
class Share:
    """Fresh connections to one address of the balancer, by the backend that served them.

    `counts` has every declared backend that was seen, `strangers` other names. `mute` answers named none. `errors` are
    answers of 5xx and broken connections, `silent` those without an answer. With `by_counters` the counts are what the
    balancer itself counted, other clients' connections included. `sticky` are connections of a client that should have
    stayed with its backend (or of one key), `strayed` those of them that did not.
    """

    entry: str
    connections: int
    counts: tuple[tuple[str, int], ...]
    strangers: tuple[tuple[str, int], ...] = ()
    mute: int = 0
    errors: int = 0
    silent: int = 0
    first_error: str = ""
    by_counters: bool = False
    uncounted: str = ""
    sticky: int = 0
    strayed: int = 0
    no_cookie: bool = False


@dataclass(frozen=True)
class Shares:
    """The shares at each address, and what the balancers say meanwhile."""

    entries: tuple[Share, ...]
    controls: tuple[Control, ...]
    problem: str = ""


@dataclass(frozen=True)
class Entry:
    """One address of the balancer itself. `problem` is empty if it serves the pool; `ours`: that is our own network's fault.

    `state` is what its VRRP says, `state_problem` why that is unknown.
    """

    address: str
    problem: str = ""
    ours: bool = False
    state: str = ""
    state_problem: str = ""


@dataclass(frozen=True)
class Entries:
    """The balancer's own addresses. `problem` says why they are not known."""

    kind: str
    entries: tuple[Entry, ...]
    problem: str = ""


@dataclass(frozen=True)
class DrillFacts:
    """One drill. Times in seconds, from the end of the command; None if it did not happen as long as the drill waited.

    `before` of `baseline` answers were its own before. `left_s`
    is when its last answer had come and no balancer that tells states said any more that it is in rotation, `waited_s` how
    long the drill waited for that, `keeping` what they said last, `given_up` that it
    waited no longer because too many clients got errors; `back_s` is when its first answer came after the repair. `errors` of `connections` clients got an error, `silent` of them no answer at all. `long` requests that ran
    when its health turned bad were its own (or do not tell), `long_cut` of them did not end well.
    `health_bad` tells whether its own health page turned bad (None: not asked, or unknown).
    """

    backend: str
    left_s: float | None
    waited_s: float
    back_s: float | None
    baseline: int = 0
    before: int = 0
    connections: int = 0
    errors: int = 0
    silent: int = 0
    first_error: str = ""
    health_bad: bool | None = None
    health_said: str = ""
    long: int = 0
    long_cut: int = 0
    long_first_error: str = ""
    keeping: str = ""
    given_up: bool = False
    leaving: OwnLag = field(default_factory=OwnLag)
    returning: OwnLag = field(default_factory=OwnLag)


Drilled = Evidence[DrillFacts]
