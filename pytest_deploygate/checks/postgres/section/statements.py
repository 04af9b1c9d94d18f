"""The inventory's sections about statements and caches: `database.monitoring`, `database.statements`, `caching`."""

from datetime import timedelta

from pydantic import Field

from pytest_deploygate.fields.redis import Redis
from pytest_deploygate.fields.types import Duration, Section, Words


class Monitoring(Section):
    """What is required so that slow statements are seen."""

    statements: bool = Field(
        json_schema_extra={"weaker": "false"},
        default=True,
        description="pg_stat_statements is loaded, installed and counting",
    )
    slow_log: Duration | None = Field(
        json_schema_extra={"weaker": "null"},
        default=timedelta(seconds=5),
        description="statements slower than this must be logged (log_min_duration_statement or auto_explain)",
    )


class AllowedStatement(Section):
    """A statement that is known to be slow and allowed to be."""

    contains: str = Field(
        min_length=8, description="text that the statement contains, with whitespace as single spaces"
    )
    reason: Words = Field(min_length=10, description="why it may be slow")

    def __str__(self) -> str:
        """Format it for the report's list of weakenings."""
        return f"{self.contains!r} ({self.reason})"


class Statements(Section):
    """Bounds for this database's statements in pg_stat_statements."""

    max_mean: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(milliseconds=200),
        description="mean time that a statement may take",
    )
    max_p99: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(milliseconds=500),
        description="p99 that a statement may take: at most 1 % of its calls may take longer",
    )
    min_calls: int = Field(
        json_schema_extra={"weaker": "larger"},
        default=5,
        ge=1,
        description="a statement that ran fewer times is shown, not judged",
    )
    min_since: Duration = Field(
        json_schema_extra={"weaker": "smaller"},
        default=timedelta(0),
        description="statistics must cover at least this time",
    )
    ignore_roles: list[str] = Field(
        json_schema_extra={"weaker": "any"}, default=[], description="roles whose statements are not judged"
    )
    allowed: list[AllowedStatement] = Field(
        json_schema_extra={"weaker": "any"},
        default=[],
        description="statements that may be slow, with the reason",
    )


class Buffers(Section):
    """PostgreSQL's own cache."""

    min_hit_ratio: float = Field(
        json_schema_extra={"weaker": "smaller"},
        default=0.95,
        ge=0,
        le=1,
        description="share of blocks that were found in shared_buffers",
    )
    min_blocks: int = Field(
        json_schema_extra={"weaker": "smaller"},
        default=10_000,
        ge=1,
        description="with fewer blocks the result is inconclusive",
    )


class Caching(Section):
    """Minimum hit ratios of caches."""

    buffers: Buffers | None = Field(
        default=Buffers(), description="PostgreSQL's buffer cache; `null`: not judged"
    )
    redis: list[Redis] = Field(default=[], description="Redis servers that are caches")
