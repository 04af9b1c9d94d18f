"""What Patroni says of its cluster and what the databases say, as frozen values: no I/O, no limits."""

from __future__ import annotations

from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Reported:
    """What a member says of itself (`GET /patroni`). `problem` is set if it does not answer; then nothing else is known.

    `ours` is whether our own side is the cause. `dcs_age_s` is how long ago it reached its DCS by its own clock, None where
    it does not say so.
    """

    member: str
    problem: str = ""
    ours: bool = False
    role: str = ""
    state: str = ""
    timeline: int | None = None
    paused: bool = False
    dcs_age_s: float | None = None
    version: str = ""


@dataclass(frozen=True)
class Listed:
    """A member as the cluster's list has it (`GET /cluster`). `lag_bytes` is None for the leader and where it is unknown.

    `barred` names the tags by which it can't take over.
    """

    member: str
    role: str
    state: str
    timeline: int | None
    lag_bytes: int | None
    barred: tuple[str, ...] = ()

    @property
    def leads(self) -> bool:
        """True for a leader, also of a cluster that follows another one."""
        return self.role in ("leader", "standby_leader")


@dataclass(frozen=True)
class Settings:
    """The dynamic configuration (`GET /config`). `synchronous` is `off`, `on`, `strict` or `quorum`; a size in bytes."""

    synchronous: str
    failsafe: bool
    ttl_s: float
    max_lag_bytes: int
    paused: bool


@dataclass(frozen=True)
class InDatabase:
    """What the server of a member says. `problem` is set if it does not answer, or is not in the inventory.

    `senders` are its rows of pg_stat_replication that stream, by application name, with their sync_state and the bytes that
    they are behind.
    """

    member: str
    problem: str = ""
    in_recovery: bool = False
    timeline: int = 0
    synchronous_standby_names: str = ""
    senders: tuple[tuple[str, str, int | None], ...] = ()


@dataclass(frozen=True)
class Store:
    """A member of etcd: whether it says that it is healthy, which needs a quorum."""

    url: str
    healthy: bool
    said: str = ""


@dataclass(frozen=True)
class Found:
    """All that was seen. `listed_problem` and `settings_problem` say why there is no list and no configuration."""

    members: tuple[Reported, ...]
    listed: tuple[Listed, ...]
    settings: Settings | None
    databases: tuple[InDatabase, ...]
    stores: tuple[Store, ...] = ()
    listed_problem: str = ""
    settings_problem: str = ""
