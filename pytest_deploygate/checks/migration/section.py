"""The inventory's `migration` section: source and target, what was moved, and how it is compared."""

from datetime import datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from pytest_deploygate.fields.any_server import AnyServer
from pytest_deploygate.fields.names import ColumnName, RelationName
from pytest_deploygate.fields.types import (
    Duration,
    Each,
    FilePath,
    Given,
    InventoryKeys,
    Section,
    Size,
    Words,
)

_STAR = "*"


class Expressions(Section):
    """SQL expressions that give equal values on both sides, in place of a column."""

    source: str | None = Field(default=None, min_length=1, description="expression over the source's columns")
    target: str | None = Field(default=None, min_length=1, description="expression over the target's columns")

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if self.source is None and self.target is None:
            raise ValueError("give an expression for `source`, for `target`, or for both")
        return self


class Moved(Section):
    """Tables of the source, and where their rows are on the target. The first rule that names a table counts."""

    source: str = Field(
        pattern=r"^[^.]+\.[^.]+$",
        description="schema.table of the source; `*` in the table's place stands for every table of the schema",
    )
    target: str | None = Field(
        default=None,
        pattern=r"^[^.]+\.[^.]+$",
        description="schema.table of the target, or schema.* for the same names in another schema. Left out: the same",
    )
    key: list[ColumnName] | None = Field(
        default=None,
        min_length=1,
        description="columns that identify a row. Left out: the primary key, else a unique index without NULLs, else whole rows",
    )
    columns: dict[ColumnName, ColumnName] = Field(
        default_factory=dict, description="columns with another name on the target: {source: target}"
    )
    left_out: dict[ColumnName, Words] = Field(
        json_schema_extra={"weaker": "any"},
        default_factory=dict,
        description="columns that are not compared, each with the reason",
    )
    expressions: dict[ColumnName, Expressions] = Field(
        default_factory=dict, description="by column of the source: what is compared in its place"
    )
    sensitive: list[ColumnName] = Field(
        default_factory=list, description="columns whose values are written as digests"
    )

    @model_validator(mode="after")
    def _stars_agree(self) -> Self:
        schema, table = self.source.split(".")
        if _STAR in schema or (_STAR in table and table != _STAR):
            raise ValueError(f"{self.source!r}: write schema.table, or schema.* for all tables of a schema")
        if self.target is not None and (self.target.split(".")[1] == _STAR) != (table == _STAR):
            raise ValueError(
                f"{self.source!r} and {self.target!r}: `*` stands for the table in both or in none"
            )
        return self

    def names(self, schema: str, table: str) -> bool:
        """Tell whether the rule names a table of the source."""
        wanted_schema, wanted = self.source.split(".")
        return schema == wanted_schema and wanted in {_STAR, table}

    def at_target(self, table: str) -> tuple[str, str]:
        """Return where a table of the source is on the target."""
        schema, name = (self.target or self.source).split(".")
        return schema, table if name == _STAR else name


class Live(Section):
    """How rows are compared while the source is written to: rows that differ are looked at again."""

    delay: Duration = Field(default=timedelta(seconds=5), description="how long a row may take to arrive")
    times: int = Field(default=3, ge=1, le=20, description="how often a row that differs is looked at again")
    slot: str | None = Field(
        default=None, description="replication slot of the source from which the target gets its changes"
    )
    max_lag: Size = Field(
        json_schema_extra={"weaker": "larger"},
        default=16 * 1024**2,
        description="how much the slot may hold that the target has not confirmed",
    )


class ComparisonBudget(Section):
    """What the comparison may use of both servers."""

    connections: int = Field(
        default=1,
        ge=1,
        le=32,
        description="connections that read, on each side; one more looks at differing rows",
    )
    rest: float = Field(default=0.0, ge=0, le=0.95, description="share of the time that each of them pauses")
    max_active: int | None = Field(
        default=None,
        ge=0,
        description="it waits while more sessions of others than this are active on a server",
    )
    statement_timeout: Duration = Field(default=timedelta(minutes=30), description="limit for each statement")
    max_written: int = Field(default=100_000, ge=1, description="limit of lines in the file of differences")


class SampleQuery(Section):
    """A query that must give the same rows on both sides."""

    name: str = Field(min_length=1, description="its name in findings")
    source: str = Field(min_length=1, description="the query on the source")
    target: str | None = Field(
        default=None, min_length=1, description="the query on the target; default: the same"
    )
    ordered: bool = Field(
        json_schema_extra={"weaker": "false"},
        default=False,
        description="the order of the rows counts, too; else they are compared as a multiset",
    )
    tolerance: float = Field(
        json_schema_extra={"weaker": "larger"},
        default=0.0,
        ge=0,
        lt=1,
        description="relative difference allowed between numbers with a fraction",
    )
    max_rows: int = Field(default=10_000, ge=1, le=1_000_000, description="limit of the rows of each side")

    @property
    def at_target(self) -> str:
        """Return the query for the target."""
        return self.target or self.source


class AggregateQuery(SampleQuery):
    """An aggregate, stored or computed, that must give the same groups on both sides."""

    key: list[ColumnName] = Field(min_length=1, description="columns of the query that identify a group")
    tolerance: float = Field(
        json_schema_extra={"weaker": "larger"},
        default=1e-9,
        ge=0,
        lt=1,
        description="relative difference allowed between numbers with a fraction",
    )


class Calculation(Section):
    """Stored values that must equal those computed anew from raw rows, on the target."""

    name: str = Field(min_length=1, description="its name in findings")
    query: str = Field(
        min_length=1,
        description="query with the columns `key`, `stored` and `computed`, a row for each value",
    )
    tolerance: float = Field(
        json_schema_extra={"weaker": "larger"},
        default=1e-9,
        ge=0,
        lt=1,
        description="relative difference allowed between stored and computed",
    )


class History(Section):
    """A table with a past: as many rows in each period on both sides, and no gap that is too long."""

    table: RelationName = Field(
        description="schema.table of the source; `tables` says where it is on the target"
    )
    column: ColumnName = Field(description="the column with the time of a row")
    period: Literal["hour", "day", "week", "month"] = Field(
        default="day", description="rows are counted for each of these, in UTC"
    )
    per: ColumnName | None = Field(
        default=None, description="column such as a device: gaps are looked for in each of its values"
    )
    max_gap: Duration | None = Field(
        json_schema_extra={"weaker": "larger"},
        default=None,
        description="longest time between two rows that follow each other. Left out: only counts are compared",
    )

    @property
    def name(self) -> str:
        """Its name in findings."""
        return self.table


class Migration(Section):
    """A migration of data into the inventory's `database`."""

    source: AnyServer = Field(description="the database that the data comes from")
    target: AnyServer | None = Field(
        default=None, description="the database that it goes to; default: the inventory's `database`"
    )
    tables: list[Moved] = Field(min_length=1, description="what was moved, and where to")
    left_out: dict[str, Words] = Field(
        json_schema_extra={"weaker": "any"},
        default_factory=dict,
        description="tables of the source (schema.table or schema.*) that are not moved, each with the reason",
    )
    frozen_at: datetime | None = Field(
        default=None, description="when the source was frozen: nobody writes to it since"
    )
    window: Duration = Field(
        json_schema_extra={"weaker": "smaller"},
        default=timedelta(seconds=5),
        description="how long is looked for writes on the source, and for progress on the target",
    )
    room: Size | None = Field(
        default=None, description="free space for data on the target: the tables must fit into it"
    )
    finish_by: datetime | None = Field(default=None, description="when all rows must have arrived")
    live: Live | None = Field(
        default=None, description="the source is still written to, and its changes are replicated"
    )
    budget: ComparisonBudget = Field(
        default_factory=ComparisonBudget, description="what the comparison may use"
    )
    queries: Annotated[
        list[SampleQuery] | None,
        Each("sample_query", "migration: {queries: [{name: …, source: SELECT …}]}"),
    ] = Field(default=None, min_length=1, description="queries that must give the same rows on both sides")
    calculations: Annotated[
        list[Calculation] | None,
        Each(
            "calculation",
            "migration: {calculations: [{name: …, query: 'SELECT … AS key, … AS stored, … AS computed'}]}",
        ),
    ] = Field(default=None, min_length=1, description="stored values that are computed anew")
    history: Annotated[
        list[History] | None, Each("history", "migration: {history: [{table: …, column: …, max_gap: …}]}")
    ] = Field(default=None, min_length=1, description="tables with a past")
    aggregations: Annotated[
        list[AggregateQuery] | None,
        Each("aggregation", "migration: {aggregations: [{name: …, source: SELECT …, key: […]}]}"),
    ] = Field(default=None, min_length=1, description="aggregates that must be the same on both sides")
    folder: FilePath = Field(description="folder for the comparison's journal and its file of differences")
    parquet: bool = Field(
        default=False, description="write the differences as Parquet, too (needs the extra `parquet`)"
    )

    @field_validator("frozen_at", "finish_by")
    @classmethod
    def _has_zone(cls, value: datetime | None) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError(f"{value} has no zone; write for example 2026-06-01T18:00:00Z")
        return value

    @model_validator(mode="after")
    def _frozen_or_live(self) -> Self:
        if self.frozen_at is not None and self.live is not None:
            raise ValueError("a source is either frozen (`frozen_at`) or `live`: remove one of them")
        return self

    @property
    def max_lag(self) -> int:
        """How many bytes a replication slot may hold that the target has not confirmed."""
        return (self.live or Live()).max_lag

    def rule(self, schema: str, table: str) -> Moved | None:
        """Return the first rule that names a table of the source."""
        return next((rule for rule in self.tables if rule.names(schema, table)), None)

    def reason_left_out(self, schema: str, table: str) -> str:
        """Return why a table of the source is not moved; empty if no entry says so."""
        return self.left_out.get(f"{schema}.{table}", "") or self.left_out.get(f"{schema}.{_STAR}", "")


class Keys(InventoryKeys):
    """The key `migration`."""

    migration: Annotated[
        Migration | None,
        Given(
            "migration",
            "migration: {source: {name: …, user: …, primary: …}, tables: [{source: legacy.*, target: app.*}], folder: …}",
        ),
    ] = Field(default=None, description="the migration of data, and how it is compared")
