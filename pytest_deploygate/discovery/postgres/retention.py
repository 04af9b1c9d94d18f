"""Jobs that remove old rows: those of pg_partman and pg_cron. Commands of jobs are read, and shown nowhere."""

import re
from collections.abc import Mapping

from psycopg import sql

from pytest_deploygate.discovery.postgres.asking import Server, duration, some
from pytest_deploygate.fields.names import written

_SCHEMA = "SELECT n.nspname::text FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'pg_partman'"
_PARTMAN = """
SELECT parent_table, control, extract(epoch FROM retention::interval)::float8 FROM {} WHERE retention IS NOT NULL
  AND retention !~ '^[0-9]+$' ORDER BY 1
"""
# Row security shows a role its own jobs only, unless it is a superuser.
_CRON = "SELECT coalesce(jobname, ''), schedule, active, command FROM cron.job ORDER BY jobid"
_DELETES = re.compile(
    r"\s*DELETE\s+FROM\s+(?P<table>[\w.]+)\s+WHERE\s+(?P<column>\w+)\s*<=?\s*"
    r"(?:now\(\)|current_timestamp|current_date)\s*-\s*(?:interval\s*)?'(?P<keep>[^']+)'(?:::interval)?\s*;?\s*",
    re.IGNORECASE,
)
_SECONDS = "SELECT extract(epoch FROM %(text)s::interval)::float8"


def look(server: Server, extensions: Mapping[str, str]) -> None:
    """Note what removes old rows."""
    if "pg_partman" in extensions:
        _partman(server)
    if "pg_cron" in extensions:
        _cron(server)


def _partman(server: Server) -> None:
    rows = server.rows("pg_partman's schema", _SCHEMA, "CONNECT on the database") or []
    for (schema,) in rows:
        table = written(schema, "part_config")
        needs = f"GRANT USAGE ON SCHEMA {written(schema)} TO {server.role}; GRANT SELECT ON {table} TO {server.role};"
        query = sql.SQL(_PARTMAN).format(sql.Identifier(schema, "part_config"))
        for parent, column, seconds in server.rows(table, query, needs) or ():
            server.fact(
                "database.retention",
                {"table": str(parent), "column": str(column), "keep": duration(seconds), "partman": schema},
                f"{table} of pg_partman",
                entry=True,
            )


def _cron(server: Server) -> None:
    needs = f"GRANT USAGE ON SCHEMA cron TO {server.role}; GRANT SELECT ON cron.job TO {server.role}; (a superuser sees all jobs)"
    rows = server.rows("cron.job", _CRON, needs)
    if rows == []:
        server.unread("cron.job", "no job is shown: row security shows a role its own jobs only", needs)
    others = []
    for name, schedule, active, command in rows or ():
        deletes = _DELETES.fullmatch(str(command))
        if not deletes or not name or not active:
            state = "" if active else ", not active"
            others.append(f"{name or 'a job without a name'} ({schedule}{state})")
            continue
        seconds = server.rows("an interval", _SECONDS, "a valid interval", {"text": deletes["keep"]})
        if seconds:
            server.fact(
                "database.retention",
                {
                    "table": deletes["table"],
                    "column": deletes["column"],
                    "keep": duration(seconds[0][0]),
                    "schedule": {"pg_cron": name},
                    "last_run": {"pg_cron": name},
                },
                f"cron.job {name}, {schedule}",
                entry=True,
            )
    if others:
        server.wanted(
            "database.backups",
            f"jobs of pg_cron that could be backups or retention: {some(others)}; write {{pg_cron: NAME}} as their schedule",
        )
