"""Bounds for replication, the writes made while it is watched, and the failover drill."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pytest_deploygate.fields.references import looked_up_or_left_out
from pytest_deploygate.fields.types import (
    DatabaseKeys,
    Duration,
    FilePath,
    Given,
    Port,
    Section,
    Size,
    Words,
)
from pytest_deploygate.fields.validating import Before


class WriteLoad(Section):
    """Writes made while replication is watched. Needs `writes.schema`."""

    duration: Duration = Field(
        json_schema_extra={"weaker": "smaller"}, default=timedelta(seconds=2), description="how long to write"
    )
    writers: int = Field(default=2, ge=1, le=64, description="connections that write")
    rows_per_second: int = Field(
        json_schema_extra={"weaker": "smaller"}, default=500, ge=1, description="cap over all writers"
    )


class Failover(Section):
    """The failover drill (`--allow-disruptive`): how to fail over and back; commands run on this machine."""

    stop_primary: str = Field(description="command that stops the primary at once, as a crash would")
    promote: str | None = Field(
        default=None, description="command that promotes {node}; default: SELECT pg_promote() on it"
    )
    restore: str = Field(
        description="command that brings the cluster back to this inventory's roles, {node} being the promoted one"
    )
    within: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(seconds=30),
        description="the promoted node must accept writes by then",
    )
    record: FilePath = Field(description="file where the drill writes its dated record")
    max_age: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(days=90),
        description="a record older than this does not count",
    )

    @property
    def patience_s(self) -> float:
        """How long the drill waits for a node to be chosen and to accept writes, in seconds: a probe waits this long and does not judge."""
        return self.within.total_seconds()


class Disturbance(Section):
    """What a drill does to the node that leads. Commands run on this machine; {node} in them is that node's name."""

    fault: Literal["switchover", "killed", "frozen", "network_cut", "disk_full", "dcs_lost"] = Field(
        description="what happens; a clean switchover is asked of the manager and needs no commands"
    )
    do: str | None = Field(default=None, description="command that brings it about")
    undo: str | None = Field(
        default=None, description="command that takes it back; may be run twice, also if nothing was done"
    )
    unavailable: Annotated[Words | None, Before(looked_up_or_left_out)] = Field(
        default=None,
        json_schema_extra={"weaker": "any"},
        description="why this cannot be tried here; empty: it can",
    )

    @model_validator(mode="after")
    def _can_be_done_and_taken_back(self) -> Self:
        if self.fault != "switchover" and self.unavailable is None and not (self.do and self.undo):
            raise ValueError(
                f"{self.fault} needs the commands `do` and `undo`, or `unavailable` with the reason why it cannot be tried"
            )
        return self


class Entry(Section):
    """A place through which clients reach the node that takes writes: a pooler, a balancer, or a name in DNS."""

    name: str = Field(description="name used in findings")
    host: str = Field(description="host name or address", pattern=r"^[A-Za-z0-9._:%-]+$")
    port: Port = Field(default=5432, description="TCP port")


class Managed(Section):
    """Failover drills through the cluster's manager (`--allow-disruptive`), one for each fault."""

    manager: Literal["patroni", "plain", "repmgr", "pg_auto_failover", "cloudnativepg", "hook"] = Field(
        description="who promotes; patroni needs `database.patroni`, hook the commands `switch` and `promote`"
    )
    faults: list[Disturbance] = Field(min_length=1, description="what is tried, one drill for each")
    switch: str | None = Field(
        default=None,
        description="command that lets {node} lead; needed by hook, else instead of the manager's",
    )
    promote: str | None = Field(
        default=None,
        description="command that promotes {node} after a fault, where the manager does not do so by itself",
    )
    restore: str | None = Field(
        default=None,
        description="command that rebuilds the cluster with the inventory's primary, {node} being the promoted one; needed "
        "by plain, which cannot switch back",
    )
    cluster: str | None = Field(default=None, description="name of the cluster, for cloudnativepg")
    state: str | None = Field(
        default=None,
        description="command that prints the manager's state: `repmgr service status --csv` of {node}, by default through ssh; "
        "or `pg_autoctl show state --json`",
    )
    entries: list[Entry] = Field(default=[], description="poolers, balancers and names that must follow")
    newest_backup: str | None = Field(
        default=None, description="command that prints the time of the newest backup (ISO 8601 or seconds)"
    )
    backup_within: Duration = Field(
        default=timedelta(days=1),
        json_schema_extra={"weaker": "larger"},
        description="no drill begins if the newest backup is older",
    )
    without_backup: Words | None = Field(
        default=None,
        json_schema_extra={"weaker": "any"},
        description="why a drill may begin without a backup",
    )
    within: Duration = Field(
        default=timedelta(seconds=30),
        json_schema_extra={"weaker": "larger"},
        description="clients must be able to write by then",
    )
    rejoin_within: Duration = Field(
        default=timedelta(minutes=2),
        json_schema_extra={"weaker": "larger"},
        description="the former leader must stream again by then, counted from the end of the fault",
    )
    split_brain: Duration = Field(
        default=timedelta(0),
        json_schema_extra={"weaker": "larger"},
        description="how long two nodes may take writes at the same time",
    )
    record: FilePath = Field(description="file where the drills write their dated records")
    max_age: Duration = Field(
        default=timedelta(days=90),
        json_schema_extra={"weaker": "larger"},
        description="a record older than this does not count",
    )

    @model_validator(mode="after")
    def _has_what_its_manager_needs(self) -> Self:
        if self.manager == "hook" and not (self.switch and self.promote):
            raise ValueError("the manager `hook` needs the commands `switch` and `promote`")
        if self.manager == "plain" and not self.restore:
            raise ValueError("the manager `plain` needs `restore`: it cannot switch back by itself")
        if self.manager == "cloudnativepg" and not self.cluster:
            raise ValueError("the manager `cloudnativepg` needs `cluster`, the name of the cluster")
        if self.manager not in ("repmgr", "pg_auto_failover") and self.state is not None:
            raise ValueError(
                f"`state` is for the managers `repmgr` and `pg_auto_failover`, not for `{self.manager}`"
            )
        if self.newest_backup is None and self.without_backup is None:
            raise ValueError(
                "add `newest_backup`, a command that prints its time, or say with `without_backup` why none is needed"
            )
        kinds = [each.fault for each in self.faults]
        if twice := next((kind for kind in kinds if kinds.count(kind) > 1), None):
            raise ValueError(f"the fault {twice} is named twice")
        return self

    @property
    def patience_s(self) -> float:
        """How long a drill waits for a leader, in seconds: it waits longer than is judged."""
        return self.within.total_seconds() + 30.0


class Replication(Section):
    """Bounds for streaming replication. Every one has a default."""

    max_lag: Size = Field(
        json_schema_extra={"weaker": "larger"},
        default=16 * 1024**2,
        description="bytes that a replica may be behind",
    )
    max_lag_time: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(seconds=10),
        description="time that a replica may be behind",
    )
    marker_within: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(seconds=5),
        description="a marker row must be read on each replica by then",
    )
    max_reply_age: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(seconds=20),
        description="maximum age of a receiver's last reply; a frozen receiver stays silent",
    )
    max_slot_wal: Size = Field(
        json_schema_extra={"weaker": "larger"}, default=1024**3, description="WAL that a slot may retain"
    )
    slots: bool = Field(
        json_schema_extra={"weaker": "false"},
        default=True,
        description="each replica must stream through a replication slot",
    )
    synchronous: bool | None = Field(
        default=None,
        description="whether commits must wait for a replica; if omitted, reported but not judged",
    )
    load: WriteLoad | None = Field(
        json_schema_extra={"weaker": "null"},
        default=WriteLoad(),
        description="writes made while replication is watched; `null`: none",
    )
    failover: Failover | None = Field(default=None, description="the failover drill")
    managed_failover: Managed | None = Field(
        default=None, description="failover drills through the cluster's manager"
    )

    @property
    def patience_s(self) -> float:
        """How long the probe waits for a replica, in seconds: the larger of its two time bounds."""
        return max(self.max_lag_time, self.marker_within).total_seconds()


class InDatabase(DatabaseKeys):
    """The key `database.replication`."""

    replication: Annotated[Replication, Given("replication", "replication: {max_lag: 16MB}")] = Field(
        default=Replication(), description="bounds for replication"
    )
