"""The expected structure: tables, indexes and partitions."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from pytest_deploygate.checks.structure.snapshot import table_names
from pytest_deploygate.fields.names import ColumnName, RelationName
from pytest_deploygate.fields.types import DatabaseKeys, Duration, Each, ExistingPath, Given, Section, Size

_ADD_TABLES = "tables: {snapshot: FILE}, the file written by `deploygate snapshot`"


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

    name: str = Field(description="name used in findings")
    sql: str = Field(description="the query; it is explained, never executed")
    uses: RelationName | None = Field(
        default=None,
        description="index (schema.name or name) that the plan must use; if omitted, any index and no sequential scan",
    )


class Indexes(Section):
    """What is expected of indexes beyond the snapshot."""

    expected: list[RelationName] = Field(
        default=[], description="indexes that must exist, schema.name, besides those of the snapshot"
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
        description="indexes larger than this are not checked by amcheck; the finding lists them",
    )


class Partitioned(Section):
    """A table that must be partitioned by time."""

    table: RelationName = Field(description="schema.name")
    column: ColumnName = Field(description="partition column")
    interval: Duration = Field(description="width of a partition")
    ahead: Duration = Field(
        json_schema_extra={"weaker": "smaller"},
        default=timedelta(days=2),
        description="partitions must exist for at least this long from now",
    )


class InDatabase(DatabaseKeys):
    """The keys `database.tables`, `database.indexes` and `database.partitioning`."""

    tables: Annotated[
        Tables | None,
        Given("tables", _ADD_TABLES),
        Each("table", _ADD_TABLES, entries=table_names),
    ] = Field(default=None, description="the expected structure")
    indexes: Annotated[
        Indexes | None, Given("indexes", "indexes: {expected: [schema.name]}", defaults_with="tables")
    ] = Field(default=None, description="the expected indexes")
    partitioning: Annotated[
        list[Partitioned] | None,
        Each("partitioned", "partitioning: [{table: …, column: …, interval: 1d}]", optional=True),
    ] = Field(default=None, min_length=1, description="tables partitioned by time")
