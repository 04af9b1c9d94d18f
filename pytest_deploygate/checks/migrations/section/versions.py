"""Where the expected schema version is recorded."""

from typing import Literal, Self, get_args

from pydantic import Field, model_validator

from pytest_deploygate.fields.names import RelationName, parts, written
from pytest_deploygate.fields.types import ExistingPath, Section

Tool = Literal["flyway", "django", "golang-migrate", "liquibase", "rails"]
#: The table in which each tool keeps its history.
TABLES: dict[str, str] = {
    "alembic": "alembic_version",
    "flyway": "flyway_schema_history",
    "django": "django_migrations",
    "golang-migrate": "schema_migrations",
    "rails": "schema_migrations",
    "liquibase": "databasechangelog",
}
#: The command with which each tool applies what is pending.
UPGRADES: dict[str, str] = {
    "alembic": "alembic upgrade head",
    "flyway": "flyway migrate",
    "django": "python manage.py migrate",
    "golang-migrate": "migrate up",
    "rails": "bin/rails db:migrate",
    "liquibase": "liquibase update",
}
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
    version_table: RelationName = Field(
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
        default="local://",
        description="connection of the host on which `status` runs, e.g. ssh://app1.example.com",
    )

    query: str | None = Field(
        default=None, description="query that returns the version(s) the database is at, one per row"
    )
    expect: str | list[str] | None = Field(default=None, description="version(s) that the query must return")
    dirty: str | None = Field(
        default=None, description="query that returns true while a migration is half done"
    )

    @property
    def table(self) -> str:
        """The table of the history, with schema if one is given; empty for a query."""
        return self.version_table or TABLES.get("alembic" if self.alembic else self.tool or "", "")

    @property
    def lock_table(self) -> str:
        """The table beside it that Liquibase locks while it runs."""
        *schema, name = parts(self.table)
        return written(*schema, f"{name}{'LOCK' if name.isupper() else 'lock'}")

    @property
    def upgrade(self) -> str:
        """What to do about pending migrations, in words."""
        command = UPGRADES.get("alembic" if self.alembic else self.tool or "")
        return f"run `{command}`" if command else "run the migrations"

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
