"""Bounds for replication, the writes made while it is watched, and the failover drill."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from pytest_deploygate.fields.types import DatabaseKeys, Duration, FilePath, Given, Section, Size


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

    @property
    def patience_s(self) -> float:
        """How long the probe waits for a replica, in seconds: the larger of its two time bounds."""
        return max(self.max_lag_time, self.marker_within).total_seconds()


class InDatabase(DatabaseKeys):
    """The key `database.replication`."""

    replication: Annotated[Replication, Given("replication", "replication: {max_lag: 16MB}")] = Field(
        default=Replication(), description="bounds for replication"
    )
