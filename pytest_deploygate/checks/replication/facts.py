"""What is measured of replication and failover, as frozen values: no I/O, no limits."""

from __future__ import annotations

from dataclasses import field
from datetime import timedelta

from pytest_deploygate.judging.histories.checking import Anomalies
from pytest_deploygate.judging.own_lag import OwnLag
from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class FailoverFacts:
    """What a failover drill found. Times are in seconds since the primary was stopped; None for what was not reached.

    The record's `outcome` is one of `good`, `lost`, `not_synchronous` (nothing was stopped), `not_promoted`,
    `unproven`, `not_restored`. `acknowledged_per_100ms` counts the writes on `primary` from `lead_s` before it was stopped;
    the writers end with it. `rpo_s` is what was lost as a time: from the first lost acknowledgement to the last of all, 0 if
    nothing was lost. `writable_after_s` is the recovery time.
    """

    promoted: str = ""
    acknowledged: int = 0
    indeterminate: int = 0
    missing: int = 0
    first_missing: int | None = None
    phantom: int = 0
    writable_after_s: float | None = None
    restored_after_s: float | None = None
    lag: OwnLag = field(default_factory=OwnLag)
    primary: str = ""
    lead_s: float = 0.0
    acknowledged_per_100ms: tuple[int, ...] = ()
    rpo_s: float | None = None


@dataclass(frozen=True)
class Followed:
    """An entry for clients; `after_s` is when a new connection through it reached a node that takes writes, None if never."""

    name: str
    after_s: float | None = None


@dataclass(frozen=True)
class TwoWritable:
    """A time in which more than one node took writes, in seconds since the fault."""

    from_s: float
    to_s: float
    nodes: tuple[str, ...]


@dataclass(frozen=True)
class ManagedFacts:
    """What a drill through a manager found. Times are in seconds since the fault; None for what was not reached.

    The record's `outcome` is `good`, `lost`, `no_leader`, `not_rejoined`, `not_restored` or `unproven`. `synchronous` is
    whether commits waited for a replica when the fault came. `missing_by_node` counts acknowledged writes that a node lacked
    at the end, with the cluster whole again; -1 for a node that could not be asked. `longest_unseen_s` is the longest time in
    which a node was not sampled. `by_documentation` says that the manager's commands were never run by us.
    `anomalies` is what the history of the clients says by itself; None in records of earlier versions.
    `acknowledged_per_100ms` begins `lead_s` before the fault; `writable` names who took writes, and when.
    """

    fault: str = ""
    manager: str = ""
    by_documentation: bool = False
    before: str = ""
    after: str = ""
    synchronous: bool = False
    acknowledged: int = 0
    indeterminate: int = 0
    missing: int = 0
    first_missing: int | None = None
    phantom: int = 0
    missing_by_node: dict[str, int] = field(default_factory=dict)
    first_write_s: float | None = None
    first_read_s: float | None = None
    samples: int = 0
    longest_unseen_s: float = 0.0
    two_writable: tuple[TwoWritable, ...] = ()
    rejoined_s: float | None = None
    restored_s: float | None = None
    entries: tuple[Followed, ...] = ()
    anomalies: Anomalies | None = None
    lead_s: float = 0.0
    acknowledged_per_100ms: tuple[int, ...] = ()
    writable: tuple[TwoWritable, ...] = ()
    lag: OwnLag = field(default_factory=OwnLag)


@dataclass(frozen=True)
class Watch:
    """A replica watched until it had the primary's position and the marker row, or the wait (`waited_s`) was over.

    `caught_up_s` is the time until it had replayed the primary's position (received it, on a delayed replica);
    0 if it was there at the first poll, None if it never was. `marker_s` is the same for the marker row.
    """

    waited_s: float = 0.0
    caught_up_s: float | None = None
    behind_bytes: int | None = None
    unreplayed_bytes: int | None = None
    last_replayed_age_s: float | None = None
    marker_s: float | None = None
    problem: str = ""
    lag: OwnLag = field(default_factory=OwnLag)


@dataclass(frozen=True)
class PrimaryFacts:
    """The cluster as a whole: the declared primary, the other nodes, and slots and standbys that belong to no replica.

    `standbys` are all rows of the primary's pg_stat_replication, `extra` those of no expected replica;
    `streaming` names the replicas that some node of the cluster sends to. `read_only_by` is the source of
    default_transaction_read_only (pg_settings.source), if it is on for every session; `read_only_hidden`, that the gate's
    role has one of its own, which hides that; `read_only_roles`, others who cannot write. `marker_table` is the gate's own
    table, which stays there without rows.
    """

    primary: Server
    replicas: tuple[Server, ...]
    standbys: tuple[Standby, ...]
    extra: tuple[Standby, ...]
    streaming: tuple[str, ...]
    slots: tuple[Slot, ...]
    problem: str
    read_only_by: str = ""
    read_only_hidden: bool = False
    read_only_roles: tuple[str, ...] = ()
    marker_table: str = ""


@dataclass(frozen=True)
class ReplicaFacts:
    """One expected replica. `seen_on` names the node in whose pg_stat_replication `standby` was found.

    `follows` names the node that its receiver, or its primary_conninfo, points at; empty if it is none of the inventory.

    `marker_problem` is why no marker row could be written; `upstream_problem` why the upstream did not answer.
    """

    server: Server
    primary: Server
    upstream: str
    declared_delay: timedelta | None
    seen_on: str
    standby: Standby | None
    slot: Slot | None
    watch: Watch
    marker_problem: str
    upstream_problem: str
    follows: str = ""


@dataclass(frozen=True)
class Standby:
    """A row of pg_stat_replication. Ages in seconds at the time of the query; None where the server returns NULL."""

    pid: int
    application: str
    address: str
    state: str
    sync_state: str
    replay_lag_bytes: int | None
    flush_lag_bytes: int | None
    reply_age_s: float | None
    connected_s: float | None
    slot: str


@dataclass(frozen=True)
class Slot:
    """A row of pg_replication_slots. `reserves` is false for a slot that holds no WAL (never used)."""

    name: str
    kind: str
    active: bool
    temporary: bool
    reserves: bool
    wal_status: str
    retained_bytes: int


@dataclass(frozen=True)
class Server:
    """What one node reports about itself. `problem` is set if it did not answer; then nothing else is known.

    `ours`: our own side is the cause, e.g. its name does not resolve here. `sender` and `heard_s` are the server that its
    receiver is connected to and the age of the last message from there (pg_stat_wal_receiver), `conninfo` host and port of
    its primary_conninfo; empty or None where they are not shown to us.

    `lsn` is its write position, or its replay position in recovery, in bytes. `slot_wal_limit_mb` is
    max_slot_wal_keep_size (-1: no limit). `sees_all` is false if the role lacks pg_read_all_stats (pg_monitor).
    """

    node: str
    problem: str = ""
    in_recovery: bool = False
    version: int = 0
    system_identifier: str = ""
    sees_all: bool = True
    timeline: int = 0
    lsn: int = 0
    received_lsn: int | None = None
    replay_paused: bool = False
    receiver: str = ""
    receiver_slot: str = ""
    receiver_application: str = ""
    apply_delay: timedelta = timedelta(0)
    slot_wal_limit_mb: int = -1
    cluster_name: str = ""
    synchronous_standby_names: str = ""
    synchronous_commit: str = ""
    ours: bool = False
    sender: str = ""
    heard_s: float | None = None
    conninfo: str = ""

    @property
    def answered(self) -> bool:
        """True if the node could be queried."""
        return not self.problem

    @property
    def writable(self) -> bool:
        """True if it is known not to be in recovery."""
        return self.answered and not self.in_recovery


@dataclass(frozen=True)
class LoadFacts:
    """What the load did. `refused` rows were rolled back with an error; `hung` is true if a commit never returned.

    `missing_on_primary` counts acknowledged ids that the primary itself does not have afterwards (None: not queried).
    """

    planned_s: float
    lasted_s: float
    writers: int
    rate_limit: int
    acknowledged: int
    indeterminate: int
    refused: int
    slowest_commit_s: float
    commit_bound_s: float
    hung: bool
    problem: str
    synchronous_standby_names: str
    missing_on_primary: int | None


@dataclass(frozen=True)
class ReplicaUnderLoad:
    """One replica: its greatest lag during the load, and which writes it had once drained or after the wait.

    `drained_s` is the time after the load until it had the primary's last position and every acknowledged id,
    None if it never had. `phantom` counts ids on it that were never written. On a delayed replica only the
    position is compared (`ids_read` is false). `paused`: its replay was paused at the end.
    """

    node: str
    load: LoadFacts
    samples: int
    lag_bytes_max: int | None
    waited_s: float
    drained_s: float | None
    ids_read: bool
    missing: int
    first_missing: tuple[int, ...]
    phantom: int
    problem: str
    lag: OwnLag = field(default_factory=OwnLag)
    paused: bool = False
