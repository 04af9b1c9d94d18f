"""The inventory's aggregates that must equal a recomputation."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from pytest_deploygate.fields.names import ColumnName, RelationName
from pytest_deploygate.fields.schedule import Schedule
from pytest_deploygate.fields.types import DatabaseKeys, Duration, Each, Section


class Aggregate(Section):
    """A continuous aggregate (or a table or materialized view used as one) that must equal its raw rows."""

    relation: RelationName = Field(description="schema.name of the aggregate")
    bucket: ColumnName = Field(description="its bucket column (timestamptz)")
    width: Duration = Field(description="width of a bucket")
    key: list[ColumnName] = Field(description="its other key columns, e.g. [sensor_id]")
    recompute: str = Field(
        description="query over the raw rows that returns the same columns for buckets from %(start)s to before %(end)s"
    )
    source: RelationName = Field(
        description="schema.name of the raw table, whose newest rows determine how far it must reach"
    )
    time_column: ColumnName = Field(description="time column of the raw table")
    refreshed: str | None = Field(
        default=None, description="query that returns when it was last refreshed (timestamptz)"
    )
    schedule: Schedule | None = Field(default=None, description="its refresh policy")
    max_age: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(hours=2),
        description="maximum age of its last refresh",
    )
    tolerance: float = Field(
        json_schema_extra={"weaker": "larger"},
        default=1e-9,
        ge=0,
        description="relative difference allowed between floats",
    )
    raw_kept: Duration | None = Field(
        default=None,
        description="how long raw rows are kept: older buckets outlive them. Left out: no bucket may be older than every raw row",
    )
    max_buckets: int = Field(
        default=2000,
        ge=1,
        description="maximum number of buckets to recompute; if there are more, a sample is compared, as the finding states",
    )


class InDatabase(DatabaseKeys):
    """The key `database.aggregates`."""

    aggregates: Annotated[
        list[Aggregate] | None,
        Each(
            "aggregate",
            "aggregates: [{relation: …, bucket: …, width: 1h, key: […], recompute: SELECT …}]",
            optional=True,
        ),
    ] = Field(default=None, min_length=1, description="aggregates to recompute")
