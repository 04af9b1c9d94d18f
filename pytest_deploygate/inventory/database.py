"""The inventory's `database` section: a PostgreSQL cluster and what is expected of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from pytest_deploygate.checks.migrations.section.lint import MigrationLint
from pytest_deploygate.checks.pooling.section import Pooling
from pytest_deploygate.checks.postgres.section.servers import Servers
from pytest_deploygate.checks.postgres.section.statements import Monitoring, Statements
from pytest_deploygate.fields.types import (
    Duration,
    Each,
    ExistingPath,
    FilePath,
    Given,
    Port,
    SecretReference,
    Section,
    Size,
)


class Node(Section):
    """One PostgreSQL server. Short form: `db1.example.com` or `db1.example.com:5432`."""

    name: str = Field(description="how findings call it; the host if left out")
    host: str = Field(description="host name or address", pattern=r"^[A-Za-z0-9._:%-]+$")
    port: Port = Field(default=5432, description="TCP port")
    delayed: Duration | None = Field(
        default=None, description="recovery_min_apply_delay that is there on purpose"
    )
    upstream: str | None = Field(
        default=None, description="name of the replica that it streams from, when cascaded on purpose"
    )

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, str):
            host, colon, port = value.rpartition(":")
            if colon and port.isdigit() and ":" not in host:
                return {"name": host, "host": host, "port": int(port)}
            return {"name": value, "host": value}
        if isinstance(value, dict) and "name" not in value and "host" in value:
            return {"name": value["host"], **value}
        return value


class Migrations(Section):
    """Where the expected schema version stands: a tool's own table and scripts, or a query and what it must return."""

    exactly_one = ("alembic", "tool", "query")
    instead = (
        "say one of `alembic: FOLDER`, `tool: flyway` (or another) with `scripts: FOLDER` or `expect: VERSION`, "
        "or `query: SELECT …` with `expect: VERSION`"
    )

    alembic: ExistingPath | None = Field(
        default=None, description="folder with Alembic's env.py and versions/ (script_location)"
    )
    tool: Literal["flyway", "django", "golang-migrate", "liquibase", "rails"] | None = Field(
        default=None, description="migration tool whose own table is read"
    )
    scripts: ExistingPath | None = Field(
        default=None, description="the tool's folder of migrations, from which the expected ones are read"
    )
    version_table: str = Field(
        default="", description="the tool's table, with schema if needed; left out: the tool's own default"
    )
    query: str | None = Field(
        default=None, description="query that returns the version(s) the database is at, one a row"
    )
    expect: str | list[str] | None = Field(default=None, description="version(s) that the query must return")
    dirty: str | None = Field(
        default=None, description="query that returns true while a migration is half done"
    )

    @model_validator(mode="after")
    def _query_has_answer(self) -> Self:
        if self.query is not None and self.expect is None:
            raise ValueError("`query` needs `expect`: the version that the query must return")
        if self.tool is not None and (self.scripts is None) == (self.expect is None):
            raise ValueError(
                f"`tool: {self.tool}` needs `scripts: FOLDER` or `expect: VERSION`, one of the two"
            )
        if self.tool is None and self.scripts is not None:
            raise ValueError("`scripts` belongs to `tool`; Alembic's folder is named by `alembic`")
        return self


class Tables(Section):
    """The expected structure, as `deploygate snapshot` writes it."""

    snapshot: ExistingPath = Field(description="file written by `deploygate snapshot`")
    ignore: list[str] = Field(
        json_schema_extra={"weaker": "any"},
        default=[],
        description="relations (schema.name, * as wildcard) that may differ; each is listed in the report",
    )


class IndexedQuery(Section):
    """A query whose plan must use an index."""

    name: str = Field(description="how findings call it")
    sql: str = Field(description="the query; it is explained, never executed")
    uses: str | None = Field(
        default=None,
        description="index (schema.name or name) that the plan must use; left out: any index, no sequential scan",
    )


class Indexes(Section):
    """What is expected of indexes beyond the snapshot."""

    expected: list[str] = Field(
        default=[], description="indexes that must exist, schema.name, beside those of the snapshot"
    )
    queries: Annotated[
        list[IndexedQuery], Each("indexed_query", "queries: [{name: …, sql: SELECT …, uses: INDEX}]")
    ] = Field(default=[], description="queries whose plans must use an index")
    amcheck: bool = Field(
        json_schema_extra={"weaker": "false"},
        default=True,
        description="verify B-tree indexes with amcheck's bt_index_check",
    )
    amcheck_max_size: Size = Field(
        json_schema_extra={"weaker": "smaller"},
        default=1024**3,
        description="indexes larger than this are not read by amcheck and said to be left out",
    )


class Schedule(Section):
    """Where a recurring job is scheduled. Exactly one of the three."""

    exactly_one = ("crontab", "systemd_timer", "pg_cron")

    crontab: FilePath | None = Field(
        default=None, description="crontab file (five time fields and a command)"
    )
    command: str | None = Field(default=None, description="text that the crontab's command contains")
    systemd_timer: str | None = Field(default=None, description="systemd timer unit")
    pg_cron: str | None = Field(default=None, description="pg_cron job name")
    host: str = Field(
        default="local://", description="testinfra host where the crontab or timer is, e.g. ssh://backup1"
    )

    @model_validator(mode="after")
    def _line_of_crontab(self) -> Self:
        if self.crontab is not None and not self.command:
            raise ValueError("`crontab` needs `command`: text that tells the job's line from others")
        return self


class Aggregate(Section):
    """A continuous aggregate (or a table or materialized view kept as one) that must equal its raw rows."""

    relation: str = Field(description="schema.name of the aggregate")
    bucket: str = Field(description="its bucket column (timestamptz)")
    width: Duration = Field(description="width of a bucket")
    key: list[str] = Field(description="its other key columns, e.g. [sensor_id]")
    recompute: str = Field(
        description="query over the raw rows that gives the same columns for buckets from %(start)s to before %(end)s"
    )
    source: str = Field(
        description="schema.name of the raw table, whose newest rows say how far it must reach"
    )
    time_column: str = Field(description="time column of the raw table")
    refreshed: str | None = Field(
        default=None, description="query that returns when it was last refreshed (timestamptz)"
    )
    schedule: Schedule | None = Field(default=None, description="its refresh policy")
    max_age: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(hours=2),
        description="its last refresh may be this old",
    )
    tolerance: float = Field(
        json_schema_extra={"weaker": "larger"},
        default=1e-9,
        ge=0,
        description="relative difference that floats may have",
    )
    max_buckets: int = Field(
        default=2000, ge=1, description="buckets recomputed; more are sampled, and the finding says so"
    )


class Partitioned(Section):
    """A table that must be partitioned by time."""

    table: str = Field(description="schema.name")
    column: str = Field(description="partition column")
    interval: Duration = Field(description="width of a partition")
    ahead: Duration = Field(
        json_schema_extra={"weaker": "smaller"},
        default=timedelta(days=2),
        description="partitions must exist for at least this long from now",
    )


class WriteLoad(Section):
    """Writes made while replication is watched. Needs `writes.schema`."""

    duration: Duration = Field(
        json_schema_extra={"weaker": "smaller"}, default=timedelta(seconds=2), description="for how long"
    )
    writers: int = Field(default=2, ge=1, le=64, description="connections that write")
    rows_per_second: int = Field(
        json_schema_extra={"weaker": "smaller"}, default=500, ge=1, description="cap over all writers"
    )


class Failover(Section):
    """The failover drill (`--allow-disruptive`): how to fail over and how to come back; commands run here."""

    stop_primary: str = Field(description="command that stops the primary at once, as a crash would")
    promote: str | None = Field(
        default=None, description="command that promotes {node}; left out: SELECT pg_promote() on it"
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


class Replication(Section):
    """Bounds for streaming replication. Every one has a default."""

    max_lag: Size = Field(
        json_schema_extra={"weaker": "larger"},
        default=16 * 1024**2,
        description="bytes a replica may be behind",
    )
    max_lag_time: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(seconds=10),
        description="time a replica may be behind",
    )
    marker_within: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(seconds=5),
        description="a marker row must be read on each replica by then",
    )
    max_reply_age: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(seconds=20),
        description="age of a receiver's last reply; a frozen one stays silent",
    )
    max_slot_wal: Size = Field(
        json_schema_extra={"weaker": "larger"}, default=1024**3, description="WAL that a slot may retain"
    )
    slots: bool = Field(
        json_schema_extra={"weaker": "false"},
        default=True,
        description="each replica streams through a replication slot",
    )
    synchronous: bool | None = Field(
        default=None, description="commits wait for a replica; left out: reported, not judged"
    )
    load: WriteLoad | None = Field(
        json_schema_extra={"weaker": "null"},
        default=WriteLoad(),
        description="writes made while watching; `null`: none",
    )
    failover: Failover | None = Field(default=None, description="the failover drill")


class LastRun(Section):
    """Where a job's last run is recorded. Exactly one."""

    exactly_one = ("pgbackrest", "status_file", "systemd_service", "pg_cron")

    pgbackrest: str | None = Field(default=None, description="pgBackRest stanza; its newest backup counts")
    pgbackrest_config: FilePath | None = Field(default=None, description="pgBackRest's configuration file")
    pgbackrest_type: Literal["full", "diff", "incr"] | None = Field(
        default=None, description="type of backup that counts; left out: any"
    )
    status_file: FilePath | None = Field(
        default=None, description='JSON that the job writes: {"finished": ISO time, "exit_code": 0, …}'
    )
    systemd_service: str | None = Field(default=None, description="service that the timer starts")
    pg_cron: str | None = Field(default=None, description="pg_cron job name, read from cron.job_run_details")


class BackupJob(Section):
    """A scheduled backup: that it is scheduled, that it ran, that it succeeded."""

    name: str = Field(description="how findings call it")
    schedule: Schedule = Field(description="where it is scheduled")
    last_run: LastRun = Field(description="where its last run is recorded")
    slack: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(hours=2),
        description="how much later than scheduled a run may have finished",
    )


class Retained(Section):
    """A table whose rows must go at an age. The job that removes them, its last run, and the rows are looked at."""

    table: str = Field(description="schema.name")
    column: str = Field(description="its time column (timestamptz, timestamp or date)")
    keep: Duration = Field(description="rows older than this must go")
    slack: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(days=1),
        description="a row may be this much older than `keep`, e.g. one partition and one run of the job",
    )
    partman: str | None = Field(
        default=None, description="schema of pg_partman, when its part_config holds the policy of this table"
    )
    policy: str | None = Field(
        default=None,
        description="query that returns the interval after which the job removes rows (interval)",
    )
    schedule: Schedule | None = Field(
        default=None, description="where the job that removes rows is scheduled"
    )
    last_run: LastRun | None = Field(default=None, description="where its last run is recorded")
    job_slack: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(hours=2),
        description="how much later than scheduled the job may have finished",
    )

    @model_validator(mode="after")
    def _has_job(self) -> Self:
        if self.partman is None and (self.schedule is None or self.last_run is None):
            raise ValueError(
                "say `partman: SCHEMA`, or `schedule` and `last_run` of the job that removes rows"
            )
        return self


class Expectation(Section):
    """A range that a value must lie in."""

    min: float | None = Field(default=None, description="smallest value allowed")
    max: float | None = Field(default=None, description="largest value allowed")

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("say `min`, `max` or both")
        return self


class ValidationQuery(Section):
    """A query with the answer it must give. It runs in a read-only transaction."""

    name: str = Field(description="how findings call it")
    sql: str = Field(description="a query that returns one value, or rows when `expect` is nothing")
    expect: Literal["nothing"] | Expectation | bool | int | float | str = Field(
        description="the value, a range {min, max}, or `nothing`: no row at all"
    )
    empty_means: str | None = Field(
        default=None,
        description="table that must have rows for the answer to mean anything; empty: inconclusive until phase 4",
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
