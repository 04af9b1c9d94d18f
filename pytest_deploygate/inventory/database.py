"""The inventory's `database` section: a PostgreSQL cluster and what is expected of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pytest_deploygate.checks.aggregates.section import Aggregate
from pytest_deploygate.checks.jobs.section import BackupJob
from pytest_deploygate.checks.migrations.section.lint import MigrationLint
from pytest_deploygate.checks.migrations.section.versions import Migrations
from pytest_deploygate.checks.pooling.section import Pooling
from pytest_deploygate.checks.postgres.section.servers import Servers
from pytest_deploygate.checks.postgres.section.statements import Monitoring, Statements
from pytest_deploygate.checks.postgres.section.validation import ValidationQuery
from pytest_deploygate.checks.privacy.section import Retained
from pytest_deploygate.checks.replication.section import Replication
from pytest_deploygate.checks.structure.section import Indexes, Partitioned, Tables
from pytest_deploygate.fields.postgres import Node
from pytest_deploygate.fields.types import (
    Duration,
    Each,
    ExistingPath,
    Given,
    SecretReference,
    Section,
)


class Database(Section):
    """The database cluster: a primary, its replicas, and what is expected of them."""

    name: str = Field(description="name of the database")
    user: str = Field(description="role that the gate logs in as; pg_monitor and read access are enough")
    password: SecretReference | None = Field(
        default=None, description="reference to its password; left out: .pgpass, peer or trust"
    )
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = Field(
        default="prefer", description="as libpq"
    )
    sslrootcert: ExistingPath | None = Field(default=None, description="as libpq")
    connect_timeout: Duration = Field(
        default=timedelta(seconds=5), description="a server must let us in by then"
    )
    statement_timeout: Duration = Field(
        default=timedelta(seconds=30), description="no statement of ours runs longer"
    )
    primary: Node = Field(description="the node that takes writes")
    replicas: Annotated[
        list[Node] | None, Each("replica", "replicas: [db2.example.com, db3.example.com]")
    ] = Field(default=None, min_length=1, description="the nodes that must stream from it")
    migrations: Annotated[
        Migrations | None, Given("migrations", "migrations: {alembic: FOLDER} or a query with expect")
    ] = Field(default=None, description="the expected schema version")
    tables: Annotated[
        Tables | None, Given("tables", "tables: {snapshot: FILE}, the file written by `deploygate snapshot`")
    ] = Field(default=None, description="the expected structure")
    indexes: Annotated[Indexes | None, Given("indexes", "indexes: {expected: [schema.name]}")] = Field(
        default=None, description="the expected indexes"
    )
    aggregates: Annotated[
        list[Aggregate] | None,
        Each(
            "aggregate",
            "aggregates: [{relation: …, bucket: …, width: 1h, key: […], recompute: SELECT …}]",
            optional=True,
        ),
    ] = Field(default=None, min_length=1, description="aggregates to recompute")
    partitioning: Annotated[
        list[Partitioned] | None,
        Each("partitioned", "partitioning: [{table: …, column: …, interval: 1d}]", optional=True),
    ] = Field(default=None, min_length=1, description="tables partitioned by time")
    replication: Replication = Field(default=Replication(), description="bounds for replication")
    backups: Annotated[
        list[BackupJob] | None, Each("backup_job", "backups: [{name: nightly, schedule: {…}, last_run: {…}}]")
    ] = Field(default=None, min_length=1, description="scheduled backups")
    cluster: Annotated[
        Servers | None, Given("expected_servers", "cluster: {version: '15', memory: 16GB}")
    ] = Field(default=None, description="what every server must be set to")
    pooling: Annotated[
        Pooling | None, Given("pooling", "pooling: {poolers: [{name: pgbouncer, host: …}], reserve: 5}")
    ] = Field(default=None, description="the poolers in front of the primary")
    monitoring: Annotated[Monitoring | None, Given("monitoring_queries", "monitoring: {slow_log: 1s}")] = (
        Field(default=None, description="that slow statements are seen")
    )
    statements: Annotated[
        Statements | None, Given("statement_bounds", "statements: {max_mean: 200ms, max_p99: 500ms}")
    ] = Field(default=None, description="bounds for what pg_stat_statements holds")
    retention: Annotated[
        list[Retained] | None,
        Each(
            "retained",
            "retention: [{table: …, column: …, keep: 90d, schedule: {…}, last_run: {…}}]",
            optional=True,
        ),
    ] = Field(default=None, min_length=1, description="tables whose rows must go at an age")
    migration_lint: Annotated[
        MigrationLint | None, Given("migration_lint", "migration_lint: {files: [migrations/*.sql]}")
    ] = Field(default=None, description="migrations that are read before they run")
    validation: Annotated[
        list[ValidationQuery] | None,
        Each("validation_query", "validation: [{name: …, sql: SELECT …, expect: …}]"),
    ] = Field(default=None, min_length=1, description="queries with the answers they must give")

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [node.name for node in self.nodes]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two nodes are called {', '.join(twice)}; findings could not be told apart")
        return self

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Primary first, then the replicas in the inventory's order."""
        return (self.primary, *(self.replicas or ()))
