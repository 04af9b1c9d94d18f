"""Measurements of components, as frozen values: no I/O, no limits."""

from __future__ import annotations

from enum import StrEnum

from pytest_deploygate.judging.silent_hosts import Failure
from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Told:
    """A version of a component as something tells it: `by` is the package, command or page, `where` the host or nothing.

    `version` is None if it was not told; `why` then says why. `absent` is true if it is known not to be there.
    """

    component: str
    by: str
    where: str = ""
    version: str | None = None
    why: str = ""
    absent: bool = False


@dataclass(frozen=True)
class Running:
    """The images that a container or workload runs, as digests and ids (`sha256:…`); of a workload those of each pod.

    `images` is None if they were not told; `why` then says why. `absent` is true if it is known not to be there.
    """

    component: str
    by: str
    where: str = ""
    images: tuple[tuple[str, ...], ...] | None = None
    why: str = ""
    absent: bool = False


@dataclass(frozen=True)
class Replaced:
    """A process whose program was replaced after its start: the package is new, what runs is old."""

    component: str
    where: str
    program: str


@dataclass(frozen=True)
class Planned:
    """How a plan ended. `changes` are (address, action). `complete` is false if it was not read to its end."""

    name: str
    exit_code: int | None
    changes: tuple[tuple[str, str], ...] = ()
    complete: bool = False
    said: str = ""


@dataclass(frozen=True)
class Deployed:
    """What is deployed. `silent` are hosts that could not be asked."""

    versions: tuple[Told, ...] = ()
    images: tuple[Running, ...] = ()
    replaced: tuple[Replaced, ...] = ()
    plans: tuple[Planned, ...] = ()
    silent: tuple[tuple[str, Failure], ...] = ()


class State(StrEnum):
    """What one read saw."""

    UP = "up"
    DOWN = "down"
    STARTING = "starting"
    """On its way: a unit that activates, a health check that has not ended, a workload that rolls out."""
    UNKNOWN = "unknown"
    """It was not told."""


@dataclass(frozen=True)
class Seen:
    """One read. `identity` changes when what runs is another one; `restarts` is a count of restarts, None without one.

    `since_s` is how long what runs has been running, None if not told.
    """

    state: State
    said: str = ""
    identity: str = ""
    restarts: int | None = None
    since_s: float | None = None


@dataclass(frozen=True)
class Watched:
    """Something that must be up, and what each read saw of it. `what` is for people: `unit nginx.service`."""

    component: str
    what: str
    where: str
    reads: tuple[Seen, ...]
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its name in a finding."""
        at = f"{self.where}: " if self.where else ""
        return f"{at}{self.component} ({self.what})"


@dataclass(frozen=True)
class Health:
    """All that must be up. `over_s` is the time between the first and the last read."""

    watched: tuple[Watched, ...]
    over_s: float
    silent: tuple[tuple[str, Failure], ...] = ()
