"""Where the expected schema version is recorded."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from pytest_deploygate.fields.types import ExistingPath, Section


class Migrations(Section):
    """Where the expected schema version comes from: a tool's own table and scripts, or a query and what it must return."""

    exactly_one = ("alembic", "tool", "query")
    instead = (
        "set one of `alembic: FOLDER`, `tool: flyway` (or another) with `scripts: FOLDER` or `expect: VERSION`, "
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
        default="", description="the tool's table, with schema if needed; default: the tool's own"
    )
    alembic_ini: ExistingPath | None = Field(
        default=None,
        description="alembic.ini, for `version_locations` and `recursive_version_locations`; left out: the one in the "
        "folder of `alembic` or above it, if there is one",
    )
    contexts: list[str] | None = Field(
        default=None,
        description="contexts that Liquibase is called with; an empty list: with none, so that all change sets run",
    )
    status: str | None = Field(
        default=None,
        description="command that asks the tool itself, e.g. `alembic current` with `alembic heads`, `manage.py "
        "showmigrations --plan`, `flyway info -outputType=json`, `liquibase status --verbose`, `rails db:migrate:status`, "
        "`migrate … version`; it decides",
    )
    status_host: str = Field(
        default="local://", description="testinfra host on which `status` runs, e.g. ssh://app1.example.com"
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
        if self.status is not None and self.query is not None:
            raise ValueError("`status` belongs to `alembic` or `tool`: a query has no tool to ask")
        if self.contexts is not None and self.tool != "liquibase":
            raise ValueError("`contexts` belongs to `tool: liquibase`")
        if self.alembic_ini is not None and self.alembic is None:
            raise ValueError("`alembic_ini` belongs to `alembic`")
        if self.tool is None and self.scripts is not None:
            raise ValueError("`scripts` belongs to `tool`; Alembic's folder is set with `alembic`")
        return self
