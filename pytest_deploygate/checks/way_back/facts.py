"""What is measured of the way back, as frozen values: no I/O, no limit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Lost:
    """Rows written since `cutover`; None where that could not be counted, and `problem` says why.

    `first` is when the first of them was written, where the inventory says how to ask. `export_problem` says why they
    could not be saved now, empty where they could or nobody says how.
    """

    cutover: datetime | None
    rows: int | None
    problem: str = ""
    first: datetime | None = None
    at: datetime | None = None
    export_problem: str = ""


@dataclass(frozen=True, slots=True)
class Clients:
    """Sessions of one role from one address on the old database."""

    role: str
    address: str
    application: str
    sessions: int


@dataclass(frozen=True, slots=True)
class OldSideSeen:
    """The old side over `over_s` seconds. `rows` are those written since the cutover at the first and the last look.

    `written` are tables whose counters rose meanwhile, with by how much; `reset` is true where counters fell, so that
    they tell nothing. `requests` came through the old balancer meanwhile, None where nobody asked; `front_problem` says
    why it could not be asked. `ignored` are tables left out by the inventory that were written.
    """

    where: str
    cutover: datetime | None
    rows: tuple[int, int] | None
    rows_problem: str
    written: tuple[tuple[str, int], ...]
    ignored: tuple[str, ...]
    tables: int
    reset: bool
    over_s: float
    read_only: bool
    clients: tuple[Clients, ...]
    requests: int | None = None
    front_problem: str = ""
