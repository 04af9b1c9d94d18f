"""The inventory's `database.pooling` section: the poolers in front of the primary, and their pressure test."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from pytest_deploygate.fields.types import (
    DatabaseKeys,
    Duration,
    Each,
    FilePath,
    Given,
    Port,
    SecretReference,
    Section,
)


class Pressure(Section):
    """A short test with more clients than the server accepts, through the pooler.

    It runs if `opt_in` is the inventory's name, or with `--allow-disruptive`; otherwise its dated record is judged.
    """

    clients: int = Field(
        ge=2, le=5000, description="concurrent clients; more than the server's max_connections"
    )
    cap: int = Field(default=200, ge=2, le=5000, description="upper bound for `clients`")
    duration: Duration = Field(
        default=timedelta(seconds=1), description="how long they run statements, at most 60 s"
    )
    hold: Duration = Field(
        json_schema_extra={"weaker": "smaller"},
        default=timedelta(milliseconds=20),
        description="how long each statement holds its server connection (pg_sleep)",
    )
    answer_within: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(seconds=3),
        description="every answer must arrive within this time, connecting included",
    )
    opt_in: str = Field(
        default="", description="the inventory's name: this environment may be put under pressure"
    )
    record: FilePath | None = Field(default=None, description="file to which a run writes its dated record")
    max_age: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(days=90),
        description="a record older than this does not count",
    )

    @property
    def patience_s(self) -> float:
        """How long the client waits for an answer, in seconds: a probe waits this long and does not judge."""
        return self.answer_within.total_seconds()


class Pooler(Section):
    """One PgBouncer. The gate logs in to its console as the database's `user`, who must be in `stats_users`."""

    name: str = Field(description="name used in findings")
    host: str = Field(description="host name or address", pattern=r"^[A-Za-z0-9._:%-]+$")
    port: Port = Field(default=6432, description="TCP port")
    user: str | None = Field(
        default=None, description="role for console and pressure; left out: the database's user"
    )
    password: SecretReference | None = Field(
        default=None, description="its password; left out: the database's"
    )
    database: str | None = Field(
        default=None, description="its name for the database; left out: the database's name"
    )
    mode: Literal["session", "transaction", "statement"] = Field(
        default="transaction", description="expected pool mode"
    )
    other_mode: list[str] = Field(
        json_schema_extra={"weaker": "any"},
        default_factory=list,
        description="roles that pool in another mode on purpose, e.g. for migrations",
    )
    roles: int = Field(
        default=1, ge=1, description="roles that connect through it: PgBouncer keeps a pool for each"
    )
    max_wait: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(seconds=1),
        description="how long a client may wait for a server connection",
    )


class Pooling(Section):
    """The poolers, other connections, and how many connections must stay free."""

    poolers: Annotated[
        list[Pooler], Each("pooler", "poolers: [{name: pgbouncer, host: pool1.example.com, roles: 2}]")
    ] = Field(min_length=1, description="every pooler that connects to the primary")
    direct: int = Field(
        default=0, ge=0, description="connections that bypass the poolers: jobs, exporters, people"
    )
    reserve: int = Field(
        json_schema_extra={"weaker": "smaller"},
        default=5,
        ge=0,
        description="connections that must stay free in addition to superuser_reserved_connections",
    )
    pressure: Pressure | None = Field(
        json_schema_extra={"weaker": "null"}, default=None, description="the pressure test"
    )


class InDatabase(DatabaseKeys):
    """The key `database.pooling`."""

    pooling: Annotated[
        Pooling | None, Given("pooling", "pooling: {poolers: [{name: pgbouncer, host: …}], reserve: 5}")
    ] = Field(default=None, description="the poolers in front of the primary")
