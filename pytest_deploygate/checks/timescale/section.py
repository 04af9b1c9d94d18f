"""The inventory's `timescale` section: TimescaleDB and what is expected of its hypertables, policies and aggregates."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, WithJsonSchema, model_validator

from pytest_deploygate.fields.names import ColumnName, RelationName
from pytest_deploygate.fields.postgres import ConnectionSettings
from pytest_deploygate.fields.references import looked_up
from pytest_deploygate.fields.schedule import Schedule
from pytest_deploygate.fields.types import (
    Duration,
    Each,
    ExistingPath,
    Given,
    InventoryKeys,
    Port,
    SecretReference,
    Section,
)
from pytest_deploygate.fields.validating import Before


def _version(value: object) -> object:
    """Read an expected version; without quotes `2.28` is a number in YAML, which would turn 2.20 into 2.2."""
    if isinstance(value, int | float):
        raise ValueError(  # noqa: TRY004
            f'put the version in quotes, "{value}": without them it is a number in YAML, and 2.20 would be 2.2'
        )
    return looked_up(value)


Version = Annotated[
    str,
    Before(_version),
    Field(pattern=r"^\d+(\.\d+)*(-\w+)?$"),
    WithJsonSchema(
        {"type": "string", "pattern": r"^(\d+(\.\d+)*(-\w+)?|lab:.+)$", "examples": ["2.28", "2.28.3"]}
    ),
]
_SLACK = timedelta(hours=1)


class SpaceDimension(Section):
    """A second dimension of a hypertable, by hash."""

    column: ColumnName = Field(description="its column")
    partitions: int = Field(ge=1, description="number of partitions")


class Hypertable(Section):
    """A table that must be a hypertable, divided into chunks of one width."""

    table: RelationName = Field(description="schema.name")
    column: ColumnName = Field(description="its time column")
    chunk_interval: Duration = Field(description="width of a chunk")
    space: list[SpaceDimension] = Field(default=[], description="dimensions by hash in addition to time")
    ahead: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(days=7),
        description="no chunk may begin further in the future than this: such rows come from a wrong clock",
    )


class ChunkRetention(Section):
    """A hypertable (or continuous aggregate) whose old chunks must be dropped by a policy."""

    table: RelationName = Field(description="schema.name")
    drop_after: Duration = Field(description="age at which the policy must drop a chunk")
    slack: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=_SLACK,
        description="how long past that age and the policy's own interval a chunk may stay",
    )


class Columnstore(Section):
    """A hypertable whose older chunks must be compressed (moved to the columnstore) by a policy."""

    table: RelationName = Field(description="schema.name")
    after: Duration = Field(description="age at which the policy must compress a chunk")
    segmentby: list[ColumnName] | None = Field(
        default=None, description="columns it is segmented by; left out: any"
    )
    orderby: list[str] | None = Field(
        default=None, description='columns it is ordered by, as in "recorded_at DESC"; left out: any'
    )
    slack: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=_SLACK,
        description="how long past that age and the policy's own interval a chunk may stay uncompressed",
    )


class ContinuousAggregate(Section):
    """A continuous aggregate: its policy, how far it is materialised, and buckets recomputed from the raw rows."""

    view: RelationName = Field(description="schema.name")
    bucket: ColumnName = Field(description="its bucket column (timestamptz)")
    width: Duration = Field(description="width of a bucket")
    key: list[ColumnName] = Field(default=[], description="its other GROUP BY columns, e.g. [sensor_id]")
    real_time: bool | None = Field(
        default=None, description="whether it adds the newest raw rows when read; left out: either"
    )
    max_age: Duration | None = Field(
        default=None,
        description="raw rows may reach this far past its watermark; left out: what its policy promises"
        " (end_offset, a bucket, and two intervals)",
    )
    tolerance: float = Field(
        json_schema_extra={"weaker": "larger"},
        default=1e-9,
        ge=0,
        description="relative difference allowed for floats",
    )
    max_buckets: int = Field(
        default=500,
        ge=1,
        description="buckets recomputed at most; of more, a sample is taken and the finding says so",
    )


class OutsideScheduler(Schedule):
    """What calls `run_job` if TimescaleDB's own background workers are off on purpose."""


class Timescale(Section):
    """TimescaleDB. Connection settings that are left out are those of `database`."""

    host: str | None = Field(
        default=None, description="host; left out: the primary", pattern=r"^[A-Za-z0-9._:%-]+$"
    )
    port: Port | None = Field(default=None, description="TCP port; left out: the primary's, or 5432")
    name: Annotated[str, Before(looked_up)] | None = Field(
        default=None, description="database with the hypertables"
    )
    user: str | None = Field(default=None, description="role that the gate logs in as")
    password: SecretReference | None = Field(default=None, description="reference to its password")
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] | None = Field(
        default=None, description="as libpq"
    )
    sslrootcert: ExistingPath | None = Field(default=None, description="as libpq")
    version: Version = Field(description='required version of the extension, "2.28" (any patch) or "2.28.3"')
    license: Literal["timescale", "apache"] = Field(
        default="timescale",
        description="timescaledb.license; under `apache` there are no policies, no aggregates, no columnstore",
    )
    databases: list[str] = Field(
        default=[], description="other databases of the server that must have it in the same version"
    )
    scheduler: OutsideScheduler | None = Field(
        json_schema_extra={"weaker": "any"},
        default=None,
        description="what runs the jobs if background workers are off on purpose; left out: those workers must run",
    )
    hypertables: Annotated[
        list[Hypertable] | None,
        Each(
            "hypertable",
            "hypertables: [{table: …, column: …, chunk_interval: 1d}]",
            optional=True,
        ),
    ] = Field(default=None, min_length=1, description="tables that must be hypertables")
    retention: Annotated[
        list[ChunkRetention] | None,
        Each("chunk_retention", "retention: [{table: …, drop_after: 90d}]", optional=True),
    ] = Field(default=None, min_length=1, description="retention policies")
    columnstore: Annotated[
        list[Columnstore] | None, Each("columnstore", "columnstore: [{table: …, after: 7d}]", optional=True)
    ] = Field(default=None, min_length=1, description="compression (columnstore) policies")
    aggregates: Annotated[
        list[ContinuousAggregate] | None,
        Each(
            "continuous_aggregate",
            "aggregates: [{view: …, bucket: bucket, width: 1h, key: […]}]",
            optional=True,
        ),
    ] = Field(default=None, min_length=1, description="continuous aggregates")

    @model_validator(mode="after")
    def _port_of_host(self) -> Self:
        if self.port is not None and self.host is None:
            raise ValueError("`port` needs `host`: leave both out for the primary of `database`")
        return self

    def server(self, of: ConnectionSettings | None, database: str | None = None) -> ConnectionSettings:
        """Return the connection settings of the server, or of another `database` on it.

        Raises ValueError if neither this section nor `database` gives the host, the database and the user.
        """
        said = {
            field: getattr(self, field)
            for field in ("user", "password", "sslmode", "sslrootcert")
            if getattr(self, field) is not None
        }
        name = database or self.name or (of.name if of else None)
        host = self.host or (of.primary.host if of else None)
        if host is None or name is None or not (of or self.user):
            raise ValueError("without a `database` section it needs `host`, `name` and `user` of its own")
        port = self.port or (of.primary.port if of and self.host is None else 5432)
        node = {"name": "timescale", "host": host, "port": port}
        taken = {field: getattr(of, field) for field in _CONNECTING} if of else {}
        return ConnectionSettings.model_validate({**taken, **said, "name": name, "primary": node})


_CONNECTING = ("user", "password", "sslmode", "sslrootcert", "connect_timeout", "statement_timeout")


class Keys(InventoryKeys):
    """The key `timescale`."""

    timescale: Annotated[
        Timescale | None,
        Given("timescale", 'timescale: {version: "2.28", hypertables: […]}', optional=True),
    ] = Field(default=None, description="TimescaleDB, in the cluster of `database` or on a server of its own")
