"""Which migration tool keeps its history in the database, and at which version it is now."""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import sql

from pytest_deploygate.checks.migrations.probe.tool_flyway import numbers
from pytest_deploygate.clients.postgres.names import identifier
from pytest_deploygate.discovery.postgres.asking import Rows, Server, some
from pytest_deploygate.fields.names import written
from pytest_deploygate.lazy import dataclass

_TABLES = """
SELECT n.nspname::text, c.relname::text, array(SELECT attname::text FROM pg_attribute a WHERE a.attrelid = c.oid
  AND a.attnum > 0 AND NOT a.attisdropped)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND lower(c.relname) = ANY(%(names)s) AND n.nspname !~ '^(pg_|information_schema$)'
ORDER BY 1, 2
"""


@dataclass(frozen=True)
class Tool:
    """A tool: its table, a column that only its table has, the query for the version, and how the inventory names it.

    Without `key` (a `tool` of `database.migrations`) the query itself goes into the inventory.
    """

    name: str
    table: str
    column: str
    query: str
    key: str = ""


_NEWEST_FLYWAY = "SELECT version FROM {} WHERE success AND version IS NOT NULL ORDER BY installed_rank"
_TOOLS = (
    Tool("Alembic", "alembic_version", "version_num", "SELECT version_num FROM {}"),
    Tool(
        "Django",
        "django_migrations",
        "app",
        "SELECT DISTINCT ON (app) app || '.' || name FROM {} ORDER BY app, id DESC",
        "django",
    ),
    Tool("Flyway", "flyway_schema_history", "installed_rank", _NEWEST_FLYWAY, "flyway"),
    Tool("Flyway", "schema_version", "installed_rank", _NEWEST_FLYWAY, "flyway"),
    Tool(
        "Liquibase",
        "databasechangelog",
        "orderexecuted",
        "SELECT author || ':' || id FROM {} ORDER BY orderexecuted DESC LIMIT 1",
        "liquibase",
    ),
    Tool("golang-migrate", "schema_migrations", "dirty", "SELECT version::text FROM {}", "golang-migrate"),
    Tool("Rails", "schema_migrations", "version", "SELECT max(version)::text FROM {}", "rails"),
    Tool(
        "Prisma",
        "_prisma_migrations",
        "migration_name",
        "SELECT migration_name FROM {} WHERE rolled_back_at IS NULL ORDER BY started_at DESC LIMIT 1",
    ),
    Tool(
        "Entity Framework",
        "__efmigrationshistory",
        "MigrationId",
        'SELECT max("MigrationId") FROM {}',
    ),
    Tool(
        "goose",
        "goose_db_version",
        "is_applied",
        "SELECT version_id::text FROM {} WHERE is_applied ORDER BY id DESC LIMIT 1",
    ),
    Tool("Knex", "knex_migrations", "migration_time", "SELECT name FROM {} ORDER BY id DESC LIMIT 1"),
    Tool("Sequelize", "sequelizemeta", "name", "SELECT max(name) FROM {}"),
    Tool("sqlx", "_sqlx_migrations", "installed_on", "SELECT max(version)::text FROM {} WHERE success"),
    Tool("Diesel", "__diesel_schema_migrations", "run_on", "SELECT max(version) FROM {}"),
)
#: Tools whose migrations are files of SQL.
_OF_SQL = ("flyway", "golang-migrate")


def look(server: Server, folder: str | None) -> None:
    """Note the expected version: from the `folder` of migrations if one is named, else the one that is there now."""
    names = sorted({tool.table for tool in _TOOLS})
    rows = server.rows("the migration tool's table", _TABLES, "CONNECT on the database", {"names": names})
    found = [
        (tool, written(schema, table))
        for schema, table, columns in rows or ()
        if (tool := _tool(table, columns))
    ]
    if not found:
        server.wanted(
            "database.migrations",
            "no table of a known migration tool; any other: {query: SELECT …, expect: VERSION}",
        )
        return
    for tool, table in found[1:]:
        server.remark(f"{table} is a history of {tool.name} too; only {found[0][1]} is written")
    _note(server, *found[0], folder)


def _tool(table: str, columns: Sequence[str]) -> Tool | None:
    return next((tool for tool in _TOOLS if tool.table == table.lower() and tool.column in columns), None)


def _note(server: Server, tool: Tool, table: str, folder: str | None) -> None:
    rows = server.rows(
        f"the version in {table}",
        sql.SQL(tool.query).format(identifier(table)),
        f"GRANT SELECT ON {table} TO {server.role}; (USAGE on its schema, too)",
    )
    if folder:
        how = {"alembic": folder} if tool.name == "Alembic" else {"tool": tool.key, "scripts": folder}
        if tool.name == "Alembic" or tool.key:
            server.fact(
                "database.migrations",
                how | {"version_table": table},
                f"the table of {tool.name}; the folder was named",
                given=True,
            )
            if tool.name == "Alembic" or tool.key in _OF_SQL:
                lint = {} if tool.name == "Alembic" else {"files": [folder]}
                server.fact("database.migration_lint", lint, "pending migrations of that folder", given=True)
            return
        server.remark(f"scripts of {tool.name} are not read; its version is written as it is now")
    versions = _versions(tool, rows)
    if rows is not None and not versions:
        server.unread(
            f"the version in {table}", "the table is empty", "migrate the database, then discover again"
        )
    if versions:
        expect: Any = versions[0] if len(versions) == 1 else versions
        server.fact(
            "database.migrations",
            _named(tool, table, expect),
            f"{table} of {tool.name} is at {some(versions)} now",
        )
        folder_key = "alembic" if tool.name == "Alembic" else "scripts"
        if tool.key or tool.name == "Alembic":
            server.wanted(
                "database.migrations",
                f"`{folder_key}: FOLDER` compares with the scripts instead of today's version (--migrations FOLDER)",
            )


def _versions(tool: Tool, rows: Rows | None) -> list[str]:
    found = [str(row[0]) for row in rows or () if row[0] is not None]
    return [max(found, key=numbers)] if found and tool.key == "flyway" else found


def _named(tool: Tool, table: str, expect: Any) -> Mapping[str, Any]:
    if tool.key:
        return {"tool": tool.key, "version_table": table, "expect": expect}
    return {"query": tool.query.format(table), "expect": expect}
