"""What became of events that synthetic devices sent, as frozen values: no I/O, no limits. Times are seconds since the start."""

from __future__ import annotations

from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Unaccepted:
    """An event that was not accepted, or of which that is unknown. `answered`: the platform said so itself.

    `broken`: it said that the fault is its own.
    """

    number: int
    why: str
    answered: bool
    broken: bool = False


@dataclass(frozen=True)
class Trial:
    """The events that were tried by one entrance before the first one counted. `refused` is the last refusal.

    `unheard`: the broker said that nobody had subscribed to the last one.
    """

    entrance: str
    sent: int
    accepted: int
    refused: Unaccepted | None = None
    unheard: bool = False


@dataclass(frozen=True)
class Sent:
    """The events, numbered from 0. Number n is of `devices[n % len(devices)]`, and its id is `id_of(n)`.

    `accepted_s` is when the other side said that it has the event; None where it did not say so. `refused` says why.
    `unheard` are events that the broker accepted though nobody had subscribed to them.
    """

    began_at: str
    prefix: str
    devices: tuple[str, ...]
    entrances: tuple[str, ...]  # of the devices
    due_s: tuple[float, ...]
    sent_s: tuple[float | None, ...]
    accepted_s: tuple[float | None, ...]
    refused: tuple[Unaccepted, ...] = ()
    unheard: tuple[int, ...] = ()
    trials: tuple[Trial, ...] = ()
    stopped: str = ""

    def device(self, number: int) -> str:
        """The device that an event is of."""
        return self.devices[number % len(self.devices)]

    def entrance(self, number: int) -> str:
        """The way in that an event took."""
        return self.entrances[number % len(self.devices)]

    def id_of(self, number: int) -> str:
        """The id of an event."""
        return f"{self.prefix}{number:012x}"


@dataclass(frozen=True)
class Doubled:
    """An event that came out more than once."""

    number: int
    times: int


@dataclass(frozen=True)
class Break:
    """A connection that ended while events were expected, or a read that failed."""

    at_s: float
    why: str


@dataclass(frozen=True)
class Out:
    """What came out at one exit. An event came between `not_before_s` and `by_s`; both None if it did not.

    `order` are the events as they came first. `ready` are the entrances of which a trial came out before the first event was
    sent. `problem`: it could not be looked at, or not to the end.
    """

    name: str
    not_before_s: tuple[float | None, ...]
    by_s: tuple[float | None, ...]
    order: tuple[int, ...] = ()
    doubled: tuple[Doubled, ...] = ()
    breaks: tuple[Break, ...] = ()
    ready: tuple[str, ...] = ()
    remains: int | None = (
        None  # events still kept there after the clean-up; None: not looked, or nothing is kept there
    )
    problem: str = ""


@dataclass(frozen=True)
class Shown:
    """A place that must not show synthetic devices. `seen` is what of them is there; `problem`: it could not be read."""

    name: str
    seen: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Number:
    """A number that must not count synthetic events: before and after they were sent, and as long after that again."""

    name: str
    before: int | None = None
    after: int | None = None
    later: int | None = None
    problem: str = ""


@dataclass(frozen=True)
class Client:
    """How late our own side was: when it sent, and when it noticed what came in.

    `kept` is the share of the events that were sent by the time at which the last one was due.
    """

    kept: float
    rate_per_second: float
    send_lag_p50_s: float
    send_lag_p99_s: float
    receive_lag_p50_s: float
    receive_lag_p99_s: float
    lag_max_s: float

    @property
    def lag_p99_s(self) -> float:
        """The larger of both delays at p99."""
        return max(self.send_lag_p99_s, self.receive_lag_p99_s)


@dataclass(frozen=True)
class Measured:
    """One test of the pipeline. `watched_s` is how long events were looked for after the last one was sent.

    `cleaning` says what of the clean-up failed.
    """

    sent: Sent
    outs: tuple[Out, ...]
    client: Client | None
    watched_s: float = 0.0
    shown: tuple[Shown, ...] = ()
    numbers: tuple[Number, ...] = ()
    cleaning: tuple[str, ...] = ()
