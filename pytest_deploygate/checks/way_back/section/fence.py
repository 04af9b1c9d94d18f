"""The inventory's `rollback.fence` section: the old side after the cutover, which must no longer be written."""

from datetime import timedelta
from typing import Literal

from pydantic import Field

from pytest_deploygate.fields.types import Duration, Port, SecretReference, Section


class OldFront(Section):
    """The old side's HAProxy: shows who still sends requests there, for example because of stale DNS."""

    socket: str = Field(description="unix socket path or host:port of the runtime API")
    frontend: str = Field(description="name of the frontend that users' requests came through")


class Fence(Section):
    """The old side's database, read twice."""

    host: str = Field(description="host name or address", pattern=r"^[A-Za-z0-9._:%-]+$")
    port: Port = Field(default=5432, description="TCP port")
    name: str = Field(description="database")
    user: str = Field(description="role to connect as; with pg_monitor it sees all sessions")
    password: SecretReference | None = Field(default=None, description="reference to its password")
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = Field(
        default="verify-full", description="libpq's sslmode"
    )
    count: str = Field(description="query on the old side: how many rows were written since %(cutover)s")
    watch: Duration = Field(
        json_schema_extra={"weaker": "smaller"},
        default=timedelta(seconds=2),
        description="the tables' write counters are compared over this time, at most a minute",
    )
    ignore: list[str] = Field(
        json_schema_extra={"weaker": "any"},
        default=[],
        description="tables (schema.name, * as wildcard) that may be written, e.g. a heartbeat; listed in the finding",
    )
    front: OldFront | None = Field(default=None, description="the balancer in front of the old side")
