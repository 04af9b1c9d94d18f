"""The inventory's sections `audit_trail`, `data_retention` and `erasure`."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from pytest_deploygate.fields.http import HttpRequest, Method, Statuses, Url
from pytest_deploygate.fields.names import ColumnName, PlaceName, RelationName
from pytest_deploygate.fields.redis import Redis
from pytest_deploygate.fields.schedule import LastRun, Schedule
from pytest_deploygate.fields.types import (
    DatabaseKeys,
    Duration,
    Each,
    FilePath,
    Flag,
    Given,
    InventoryKeys,
    SecretReference,
    Section,
    Words,
)


class Login(Section):
    """The role that the platform itself logs in as."""

    user: str = Field(description="role")
    password: SecretReference | None = Field(default=None, description="reference to its password")


class PlatformRequest(HttpRequest):
    """A request to the platform. `{email}`, `{name}` and `{phone}` stand for the synthetic person."""

    renamed: ClassVar[Mapping[str, str]] = {"bearer": "token", "expect": "status"}

    method: Method = Field(default="POST", description="HTTP method")
    url: Url = Field(description="address, e.g. https://app.example.com/api/people")
    status: Statuses = Field(
        default=[200, 201, 202, 204], description="HTTP status of a good answer, or a list of them"
    )
    timeout: Duration = Field(default=timedelta(seconds=15), description="how long an answer may take")


class Operation(Section):
    """What the platform is asked to do: SQL run as its role, or a request. Exactly one."""

    exactly_one = ("sql", "http")

    sql: str | None = Field(
        default=None,
        description="statement; %(email)s, %(name)s and %(phone)s stand for the synthetic person",
    )
    http: PlatformRequest | None = Field(default=None, description="request")


class AuditTrail(Section):
    """An audited operation on synthetic data, where its record must appear, and who must not change records."""

    renamed: ClassVar[Mapping[str, str]] = {"record": "query"}

    table: RelationName = Field(description="schema.name of the table with the records")
    role: Login = Field(
        description="the application's role: it performs the operation and must not change records"
    )
    more_roles: list[str] = Field(
        default=[], description="other roles of the application that must not be able to change records"
    )
    operation: list[Operation] = Field(min_length=1, description="the audited operation")
    undo: list[Operation] = Field(default=[], description="steps that remove the synthetic data")
    query: str = Field(
        description="query that finds the operation's records: columns who, what, at (timestamptz) and source"
    )
    who: str | None = Field(
        default=None, description="the actor that records must name; left out: the role's user"
    )
    within: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(seconds=5),
        description="the record must appear within this time",
    )

    @property
    def patience_s(self) -> float:
        """How long the probe waits for the record, in seconds: a probe waits this long and does not judge."""
        return self.within.total_seconds()


class AgedFiles(Section):
    """Files that must be deleted at a certain age: rotated logs, exported data, old backups."""

    name: str = Field(description="name used in findings")
    path: FilePath = Field(description="folder, on the host")
    pattern: str = Field(default="*", description="names of files to check, as for `find -name`")
    keep: Duration = Field(
        description="no file may have been written earlier than this long ago",
    )
    slack: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(days=1),
        description="how much older a file may be",
    )
    host: str = Field(default="local://", description="connection, e.g. ssh://web1")


class Retained(Section):
    """A table whose rows must be deleted at a certain age. The job that does so, its last run, and the rows are checked."""

    table: RelationName = Field(description="schema.name")
    column: ColumnName = Field(description="its time column (timestamptz, timestamp or date)")
    keep: Duration = Field(description="rows older than this must be deleted")
    slack: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(days=1),
        description="a row may be this much older than `keep`, e.g. one partition and one run of the job",
    )
    partman: ColumnName | None = Field(
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
        description="how long after its scheduled time the job may finish",
    )

    @model_validator(mode="after")
    def _has_job(self) -> Self:
        if self.partman is None and (self.schedule is None or self.last_run is None):
            raise ValueError(
                "set `partman: SCHEMA`, or `schedule` and `last_run` of the job that removes rows"
            )
        return self


class DataRetention(Section):
    """Personal data that must be deleted at a certain age."""

    tables: Annotated[
        list[Retained],
        Each("personal_table", "tables: [{table: …, column: …, keep: 90d, schedule: {…}, last_run: {…}}]"),
    ] = Field(min_length=1, description="tables with personal data")
    files: Annotated[
        list[AgedFiles], Each("aged_files", "files: [{name: access logs, path: …, keep: 30d}]")
    ] = Field(min_length=1, description="logs and backups as files")


class Allowed(Section):
    """A place where data of the person must remain."""

    where: str = Field(description="schema.table.column, `log NAME` or `redis NAME`; * as wildcard")
    reason: Words = Field(min_length=10, description="why it must remain, for how long")

    def __str__(self) -> str:
        """Return the text for the report's list of weakenings."""
        return f"{self.where} ({self.reason})"


class LogFile(Section):
    """A log that must not contain the person."""

    name: str = Field(description="name used in findings")
    path: FilePath = Field(
        description="the file with those rotated away from it, or a folder of logs, on the host; compressed ones too"
    )
    host: str = Field(default="local://", description="connection, e.g. ssh://web1")


class SearchedRedis(Redis):
    """A Redis server that is searched for the person."""

    holds: Flag = Field(
        json_schema_extra={"weaker": "false"},
        default=False,
        description="the person must be found here before the erasure: part of the control",
    )
    timeout: Duration = Field(default=timedelta(seconds=30), description="time limit of the search")


class Residual(Section):
    """A kind of backup that contains the person until it expires."""

    name: str = Field(description="name used in findings")
    keep: Duration = Field(description="age at which a backup is deleted")


class Erasure(Section):
    """A synthetic person is created, found everywhere, erased, and searched for everywhere again."""

    role: Login = Field(description="the application's role, which runs the steps with SQL")
    create: list[Operation] = Field(min_length=1, description="how the platform creates the person")
    erase: list[Operation] = Field(min_length=1, description="how the platform erases the person")
    expected: list[PlaceName] = Field(
        min_length=1, description="schema.table.column where the person must be found before: the control"
    )
    allowed: list[Allowed] = Field(
        json_schema_extra={"weaker": "any"},
        default=[],
        description="where something must remain, with the reason",
    )
    views: list[RelationName] = Field(
        default=[],
        description="views that are searched too (schema.name); TimescaleDB's continuous aggregates always are",
    )
    skip: list[Allowed] = Field(
        json_schema_extra={"weaker": "any"},
        default=[],
        description="tables (schema.name, * as wildcard) that are not searched, with the reason",
    )
    logs: list[LogFile] = Field(default=[], description="log files that are searched")
    logs_settle: Duration = Field(
        json_schema_extra={"weaker": "smaller"},
        default=timedelta(seconds=2),
        description="logs are searched no sooner than this after the erasure: their writers buffer lines",
    )
    redis: list[SearchedRedis] = Field(default=[], description="Redis servers that are searched")
    within: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(seconds=5),
        description="the erasure must complete within this time",
    )
    table_timeout: Duration = Field(
        default=timedelta(seconds=30), description="time limit for searching one table"
    )
    backups: list[Residual] = Field(
        min_length=1, description="backups that contain the person until they expire"
    )

    @property
    def patience_s(self) -> float:
        """How long the probe waits for places to become empty, in seconds: a probe waits this long and does not judge."""
        return self.within.total_seconds()


class Keys(InventoryKeys):
    """The keys `audit_trail`, `data_retention` and `erasure`."""

    audit_trail: Annotated[
        AuditTrail | None,
        Given("audit_trail", "audit_trail: {table: …, role: {…}, operation: […], query: …}"),
    ] = Field(default=None, description="the audit trail and who must not change it")
    data_retention: Annotated[
        DataRetention | None, Given("data_retention", "data_retention: {tables: […], files: […]}")
    ] = Field(
        default=None, description="personal data, logs and backups that must be deleted at a certain age"
    )
    erasure: Annotated[
        Erasure | None, Given("erasure", "erasure: {role: {…}, create: […], erase: […], expected: […]}")
    ] = Field(default=None, description="the right to erasure, tested with a synthetic person")


class InDatabase(DatabaseKeys):
    """The key `database.retention`."""

    retention: Annotated[
        list[Retained] | None,
        Each(
            "retained",
            "retention: [{table: …, column: …, keep: 90d, schedule: {…}, last_run: {…}}]",
            optional=True,
        ),
    ] = Field(default=None, min_length=1, description="tables whose rows must be deleted at a certain age")
