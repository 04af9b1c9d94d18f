"""The live schema, copied without its data into the scratch server; the live server is only read.

What a migration tool records of itself (which migrations ran) is copied with its rows: without them it would begin
anew. Statistics need no copy: a plan's conditions are estimated by the live server itself.
"""

from __future__ import annotations

import os
import re
import subprocess

import psycopg
from psycopg import sql

from pytest_deploygate.checks.migrations.facts import Relation
from pytest_deploygate.checks.migrations.probe.rehearsal.server import Server
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact

_DUMP_S = 600
#: The tables in which tools record what ran.
RECORDS = (
    "alembic_version", "flyway_schema_history", "schema_version", "django_migrations", "schema_migrations",
    "ar_internal_metadata", "databasechangelog", "databasechangeloglock",
)  # fmt: skip
_LIVE = """
SELECT format('%I.%I', n.nspname, c.relname) AS name, c.relkind::text,
       CASE WHEN c.relkind IN ('r', 'm') THEN pg_table_size(c.oid) ELSE 0 END::int8 AS bytes,
       greatest(c.reltuples, 0)::float8 AS rows,
       (SELECT array_agg(format('%I.%I', pn.nspname, p.relname)) FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent
        JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE i.inhrelid = c.oid) AS parents,
       EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm', 'p', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND n.nspname !~ '^pg_(toast|temp)'
"""
_ROLES = "SELECT rolname, rolsuper FROM pg_roles WHERE rolname !~ '^pg_' AND rolname <> 'postgres'"
_SETTINGS = """
SELECT s FROM pg_db_role_setting r CROSS JOIN unnest(r.setconfig) s JOIN pg_database d ON d.oid = r.setdatabase
WHERE r.setrole = 0 AND d.datname = current_database()
"""
_SCHEMAS_OF_EXTENSIONS = """
SELECT n.nspname FROM pg_namespace n WHERE EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_namespace'::regclass
  AND d.objid = n.oid AND d.deptype = 'e') AND n.nspname !~ '^pg_'
"""
#: Without them no foreign server can be reached from the scratch server, and none written to.
_USER_MAPPINGS = """
SELECT format('DROP USER MAPPING FOR %s SERVER %I', CASE WHEN umuser = 0 THEN 'PUBLIC' ELSE quote_ident(usename) END, srvname)
FROM pg_user_mappings
"""
_RECORDS = """
SELECT format('%%I.%%I', n.nspname, c.relname),
       CASE WHEN s.oid IS NOT NULL THEN format('%%I.%%I', sn.nspname, s.relname) END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_depend d ON d.refobjid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.classid = 'pg_class'::regclass
  AND d.deptype IN ('a', 'i') AND EXISTS (SELECT FROM pg_class q WHERE q.oid = d.objid AND q.relkind = 'S')
LEFT JOIN pg_class s ON s.oid = d.objid LEFT JOIN pg_namespace sn ON sn.oid = s.relnamespace
WHERE c.relkind = 'r' AND (c.relname = ANY (%s) OR n.nspname || '.' || c.relname = ANY (%s))
  AND n.nspname NOT IN ('pg_catalog', 'information_schema')
"""


@dataclass(frozen=True)
class Copied:
    """The database on the scratch server, and what could not be copied, in the server's words."""

    database: str
    left_out: tuple[str, ...]


def live_relations(cluster: Cluster) -> tuple[Relation, ...]:
    """Read tables, views with data and their sizes from the primary; a parent's size has those of its children."""
    rows = cluster.rows(cluster.primary, _LIVE)
    children: dict[str, list[str]] = {}
    for name, _, _, _, parents, _ in rows:
        for parent in parents or []:
            children.setdefault(parent, []).append(name)
    own = {name: int(size) for name, _, size, *_ in rows}

    def below(name: str, seen: set[str]) -> int:
        seen.add(name)
        return own.get(name, 0) + sum(below(c, seen) for c in children.get(name, []) if c not in seen)

    return tuple(
        Relation(
            name, own[name], below(name, set()), count, of_extension, children=tuple(children.get(name, ()))
        )
        for name, _, _, count, _, of_extension in rows
    )


def copy(cluster: Cluster, server: Server, record: str) -> Copied:
    """Copy the schema, and the rows of migration tools' own tables. Raises CannotTell if it cannot be dumped."""
    settings = cluster.settings
    with server.connect("postgres") as connection:
        for name, superuser in cluster.rows(cluster.primary, _ROLES):
            more = sql.SQL("SUPERUSER" if superuser else "NOSUPERUSER")
            connection.execute(sql.SQL("CREATE ROLE {} {}").format(sql.Identifier(name), more))
        if settings.name != "postgres":
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(settings.name))
            )
    with server.connect(settings.name) as connection:
        # A dump leaves schemas of extensions to the extension, which may be missing here; tables in them are dumped.
        for (name,) in cluster.rows(cluster.primary, _SCHEMAS_OF_EXTENSIONS):
            connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(name)))
    text = _dumped(cluster, server, "--schema-only", "--no-subscriptions")
    left_out = _loaded(server, settings.name, text)
    if cluster.rows(cluster.primary, "SELECT FROM pg_extension WHERE extname = 'timescaledb'"):
        # Which tables are hypertables is data of the extension, which a dump of the schema has not.
        left_out += ("hypertables of timescaledb: in the copy they are plain parents of their chunks",)
    found = cluster.rows(cluster.primary, _RECORDS, (list(RECORDS), [record]))
    tables = dict.fromkeys(name for row in found for name in row if name)
    if tables:
        chosen = [f"--table={name}" for name in tables]
        left_out += _loaded(server, settings.name, _dumped(cluster, server, "--data-only", *chosen))
    with server.connect("postgres") as connection:
        for (setting,) in cluster.rows(cluster.primary, _SETTINGS):
            name, _, value = setting.partition("=")
            try:
                connection.execute(_in_force(settings.name, name, value))
            except psycopg.Error as error:
                left_out += (f"setting {name}: {error}",)
    return Copied(settings.name, left_out + _filled_views(server, settings.name))


def _filled_views(server: Server, database: str) -> tuple[str, ...]:
    """Populate the materialized views, which a dump leaves unpopulated; in the order of the dump, so bases come first."""
    errors: list[str] = []
    with server.connect(database) as connection:
        for (drop,) in connection.execute(_USER_MAPPINGS).fetchall():
            connection.execute(drop.encode())
        for (name,) in connection.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'm' ORDER BY oid"
        ):
            try:
                connection.execute(sql.SQL("REFRESH MATERIALIZED VIEW {}").format(sql.SQL(name)))
            except psycopg.Error as error:
                errors.append(f"rows of {name}: {error.diag.message_primary}")
    return tuple(errors)


def _in_force(database: str, name: str, value: str) -> sql.Composed:
    # A list like search_path is several values; each is quoted as it stands.
    listed = name in ("search_path", "DateStyle", "temp_tablespaces", "session_preload_libraries")
    values = re.findall(r'"(?:[^"]|"")*"|[^,\s]+', value) if listed else [value]
    return sql.SQL("ALTER DATABASE {} SET {} = {}").format(
        sql.Identifier(database),
        sql.SQL(".").join(sql.Identifier(part) for part in name.split(".")),
        sql.SQL(", ").join(
            sql.Literal(v[1:-1].replace('""', '"') if v.startswith('"') and listed else v) for v in values
        ),
    )


def _dumped(cluster: Cluster, server: Server, *options: str) -> bytes:
    settings, node = cluster.settings, cluster.primary
    env = {
        "PATH": os.environ.get("PATH", os.defpath), "HOME": os.environ.get("HOME", "/"), "LC_ALL": "C",
        "PGHOST": node.host, "PGPORT": str(node.port), "PGDATABASE": settings.name, "PGUSER": settings.user,
        "PGSSLMODE": settings.sslmode, "PGAPPNAME": "deploygate",
        "PGCONNECT_TIMEOUT": str(max(2, round(settings.connect_timeout.total_seconds()))),
        "PGOPTIONS": "-c default_transaction_read_only=on",
    }  # fmt: skip
    if settings.password:
        env["PGPASSWORD"] = settings.password.reveal()
    if settings.sslrootcert:
        env["PGSSLROOTCERT"] = str(settings.sslrootcert)
    command = [str(server.programs / "pg_dump"), "--lock-wait-timeout=5s", *options]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=_DUMP_S, env=env)
    except (OSError, subprocess.SubprocessError) as error:
        raise CannotTell(f"pg_dump of {node.name} cannot be run: {error}") from error
    if done.returncode:
        said = redact(" ".join(_error(done.stderr.decode(errors="replace")).split()))[:300]
        grant = "; grant pg_read_all_data to the gate's role" if "permission denied" in said else ""
        raise CannotTell(f"the schema of {node.name} cannot be dumped: {said}{grant}")
    return done.stdout


def _error(said: str) -> str:
    """Return what pg_dump says that went wrong: warnings come before it, and the query that failed after it."""
    lines = said.splitlines()
    wrong = next((n for n, line in enumerate(lines) if "error:" in line or "ERROR:" in line), 0)
    end = next((n for n in range(wrong, len(lines)) if "detail: Query was" in lines[n]), len(lines))
    return "\n".join(lines[wrong:end])


def _loaded(server: Server, database: str, text: bytes) -> tuple[str, ...]:
    """Load a dump, and return each error once. What it lacks is missing in the rehearsal."""
    command = [
        str(server.programs / "psql"),
        "-X",
        "-q",
        "-h",
        str(server.root),
        "-p",
        "5432",
        "-U",
        "postgres",
    ]
    env = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "PGCLIENTENCODING": "UTF8"}
    done = subprocess.run(
        [*command, "-d", database], input=text, capture_output=True, check=False, timeout=_DUMP_S, env=env
    )
    errors = re.findall(r"ERROR:\s+(.*)", done.stderr.decode(errors="replace"))
    return tuple(dict.fromkeys(e for e in errors if e != 'schema "public" already exists'))
