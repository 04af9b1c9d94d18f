"""What is measured of poolers, as frozen values: no I/O, no limit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PoolFacts:
    """One pool (a database and a role): how large it may grow, in which mode, who waits and for how long."""

    database: str
    user: str
    mode: str
    clients_active: int
    clients_waiting: int
    max_wait_s: float
    servers: int


@dataclass(frozen=True, slots=True)
class PoolerFacts:
    """One pooler. `size` is the most that one role's pool of our database may take, reserve pool included.

    `most` is what all its pools together may take of the server: `roles` times `size`, or the database's own cap.
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


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the primary takes, and what its poolers together may ask of it."""

    node: str
    max_connections: int
    reserved: int
    in_use: int | None
    poolers: tuple[PoolerFacts, ...]


@dataclass(frozen=True, slots=True)
class PressureFacts:
    """A pressure test. `failed` clients got an error or no answer at all; `most_servers` is the most connections
    that were seen on the server serving them.
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
