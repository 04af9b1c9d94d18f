"""The sections of an inventory for this subject."""

from typing import Annotated

from pydantic import Field

from pytest_deploygate.checks.postgres.section.after_load import AfterLoad
from pytest_deploygate.checks.postgres.section.servers import ClusterSettings
from pytest_deploygate.checks.postgres.section.statements import Caching, Monitoring, Statements
from pytest_deploygate.checks.postgres.section.validation import ValidationQuery
from pytest_deploygate.fields.types import DatabaseKeys, Each, Given, InventoryKeys


class Keys(InventoryKeys):
    """The keys `caching` and `after_load`."""

    caching: Annotated[Caching | None, Given("caching", "caching: {buffers: {min_hit_ratio: 0.95}}")] = Field(
        default=None, description="minimum hit ratios of caches"
    )
    after_load: Annotated[AfterLoad | None, Given("after_load", "after_load: {max_sequence_used: 0.8}")] = (
        Field(default=None, description="what bulk loads leave behind")
    )


class InDatabase(DatabaseKeys):
    """The keys of `database` about each server and its statistics."""

    cluster: Annotated[
        ClusterSettings | None, Given("expected_servers", "cluster: {version: '15', memory: 16GB}")
    ] = Field(default=None, description="configuration that every server must have")
    monitoring: Annotated[Monitoring | None, Given("monitoring_queries", "monitoring: {slow_log: 1s}")] = (
        Field(default=None, description="how slow statements must be monitored")
    )
    statements: Annotated[
        Statements | None, Given("statement_bounds", "statements: {max_mean: 200ms, max_p99: 500ms}")
    ] = Field(default=None, description="bounds for the statements in pg_stat_statements")
    validation: Annotated[
        list[ValidationQuery] | None,
        Each("validation_query", "validation: [{name: …, sql: SELECT …, expect: …}]"),
    ] = Field(default=None, min_length=1, description="queries with the answers they must return")
