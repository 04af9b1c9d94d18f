"""Measurements of the matrix from place to service, as frozen values: no I/O, no limits."""

from __future__ import annotations

from enum import StrEnum

from pytest_deploygate.judging.silent_hosts import Failure
from pytest_deploygate.lazy import dataclass


class Step(StrEnum):
    """The steps of an attempt, in their order."""

    NAME = "name"
    TCP = "TCP"
    TLS = "TLS"
    FIRST = "first byte"


class Kind(StrEnum):
    """Why a step failed."""

    REFUSED = "refused"
    """The other side said no: a reset, a name that does not exist, a certificate that is not trusted."""
    SILENT = "silent"
    """Nothing came in time."""
    NO_ROUTE = "no route"
    """No packet left the place, or the network said that there is no way."""
    OWN = "own"
    """The place itself could not try: open files, ports, memory, a file that it lacks."""


@dataclass(frozen=True)
class Try:
    """One attempt. `failed` is the step that it ended at, None if all were done.

    Times are since the attempt began, in seconds: `name_s` until the name was resolved, the others since the first packet.
    `status` is that of an HTTP answer.
    """

    failed: Step | None = None
    kind: Kind | None = None
    said: str = ""
    name_s: float | None = None
    connect_s: float | None = None
    tls_s: float | None = None
    first_s: float | None = None
    status: int | None = None


@dataclass(frozen=True)
class FullSize:
    """What became of packets of full size. `path_mtu` is what the place's kernel believes afterwards, in bytes.

    `segment` is the longest that was sent. `acknowledged` is None if nothing long was sent; `said` then says why.
    """

    path_mtu: int | None = None
    segment: int = 0
    acknowledged: bool | None = None
    said: str = ""


@dataclass(frozen=True)
class Cell:
    """A service tried from a place at one of its addresses; `address` is empty if the name has none there.

    `late_s` is how long the place's own processors kept an attempt waiting, 0 if there were enough that they did not.
    """

    source: str
    service: str
    address: str
    tries: tuple[Try, ...]
    full_size: FullSize | None = None
    late_s: float = 0.0


@dataclass(frozen=True)
class Place:
    """A place that attempts were made from. `failure` says why a host could not be used."""

    name: str
    failure: Failure | None = None


@dataclass(frozen=True)
class Matrix:
    """All that was tried. `unfinished` are (place, service) that were not tried to their end in time."""

    places: tuple[Place, ...]
    cells: tuple[Cell, ...]
    unfinished: tuple[tuple[str, str], ...] = ()
