"""Measurements for a rollback as frozen values: no I/O, no limit."""

from __future__ import annotations

from datetime import datetime

from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Lost:
    """Rows written since `cutover`; None if they could not be counted, and `problem` says why.

    `first` is when the first of them was written, if the inventory has a query for it. `export_problem` says why they
    could not be saved now; empty if they could, or if no export is configured.
    """

    cutover: datetime | None
    rows: int | None
    problem: str = ""
    first: datetime | None = None
    at: datetime | None = None
    export_problem: str = ""


@dataclass(frozen=True)
class Clients:
    """Sessions of one role from one address on the old database."""

    role: str
    address: str
    application: str
    sessions: int


@dataclass(frozen=True)
class OldSideSeen:
    """The old side over `over_s` seconds. `rows` are those written since the cutover at the first and the last read.

    `written` are tables whose counters rose meanwhile, with the increase; `reset` is true if counters fell, so that
    they are inconclusive. `requests` came through the old balancer meanwhile, None if it was not queried;
    `front_problem` says why it could not be. `ignored` are written tables that the inventory excludes.
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
