"""Where the expected schema version is recorded."""

from __future__ import annotations

from typing import Literal, Self, get_args

from pydantic import Field, model_validator

from pytest_deploygate.fields.types import ExistingPath, Section

Tool = Literal["flyway", "django", "golang-migrate", "liquibase", "rails"]
#: What to add to an inventory without it.
HOW = (
    f"migrations: {{alembic: FOLDER}}` or, for {', '.join(get_args(Tool))}, `migrations: {{tool: NAME, scripts: FOLDER}}` or, "
    "for any other tool, `migrations: {query: SELECT …, expect: VERSION}"
)


class Migrations(Section):
    """Where the expected schema version comes from: a tool's own table and scripts, or a query and what it must return."""

    exactly_one = ("alembic", "tool", "query")
    instead = (
        f"name the tool: `alembic: FOLDER`, or `tool: NAME` ({', '.join(get_args(Tool))}) with `scripts: FOLDER` or "
        "`expect: VERSION`, or for any other tool `query: SELECT …` with `expect: VERSION`"
    )

    alembic: ExistingPath | None = Field(
        default=None, description="folder with Alembic's env.py and versions/ (script_location)"
    )
    tool: Tool | None = Field(default=None, description="migration tool whose own table is read")
    scripts: ExistingPath | None = Field(
        default=None, description="the tool's folder of migrations, from which the expected ones are read"
    )
    version_table: str = Field(
        default="", description="the tool's table, with schema if needed; default: the tool's own"
    )
    query: str | None = Field(
        default=None, description="query that returns the version(s) the database is at, one per row"
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
                f"`tool: {self.tool}` needs exactly one of `scripts: FOLDER` and `expect: VERSION`"
            )
        if self.tool is None and self.scripts is not None:
            raise ValueError("`scripts` belongs to `tool`; Alembic's folder is set with `alembic`")
        return self
