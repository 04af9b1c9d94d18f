"""Measurements of poolers, as frozen values: no I/O, no limits."""

from __future__ import annotations

from dataclasses import field

from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class PoolFacts:
    """One pool (a database and a role): its mode, its clients, how long they wait, and its server connections."""

    database: str
    user: str
    mode: str
    clients_active: int
    clients_waiting: int
    max_wait_s: float
    servers: int


@dataclass(frozen=True)
class PoolerFacts:
    """One pooler. `size` is the maximum size of one role's pool for our database, including the reserve pool.

    `most` is how many server connections all its pools may open: `roles` times `size`, or the database's own cap, and
    `others` the same for the other databases that it has on that server. `modes` are the modes in force by role, where a
    role has one of its own. `behind` is the server that our database leads to: `primary`, `replica`, `another cluster`, or
    empty with `behind_problem`.
    `problem` is set when the console did not answer; `refused` when nothing listens there.
    """

    name: str
    size: int = 0
    most: int = 0
    mode: str = ""
    paused: bool = False
    disabled: bool = False
    max_clients: int = 0
    pools: tuple[PoolFacts, ...] = ()
    roles_seen: tuple[str, ...] = ()
    problem: str = ""
    refused: bool = False
    others: tuple[tuple[str, int], ...] = ()
    modes: tuple[tuple[str, str], ...] = ()
    behind: str = ""
    behind_problem: str = ""


@dataclass(frozen=True)
class Capacity:
    """How many connections the primary accepts, and how many its poolers may open in total."""

    node: str
    max_connections: int
    reserved: int
    in_use: int | None
    poolers: tuple[PoolerFacts, ...]


@dataclass(frozen=True)
class PressureFacts:
    """A pressure test. `failed` clients got an error or no answer at all; `most_servers` is the highest number of
    server connections seen serving them. `silent` of the failed ones waited in vain; `lag` is ours during the slowest answer.
    """

    pooler: str
    clients: int
    max_connections: int
    pool_size: int
    answers: int
    failed: int
    first_error: str
    slowest_s: float
    most_servers: int | None
    silent: int = 0
    lag: OwnLag = field(default_factory=OwnLag)
