"""The application before the platform's new version: its database with the schema of then, and what it did there.

pg_stat_statements of that database has its statements. The new schema has a table `planned_work` that only it writes.
"""

from __future__ import annotations

from psycopg import sql as quoted

from pytest_deploygate.lab import sql
from pytest_deploygate.lab.state import Lab

DATABASE = "previous"
#: The schema as it was before: no priority of planned work yet, and names of devices were shorter.
_SCHEMA = """
CREATE EXTENSION pg_stat_statements;
CREATE SCHEMA application AUTHORIZATION platform_owner;
GRANT USAGE ON SCHEMA application TO platform_app;
CREATE TABLE application.devices (
    id text PRIMARY KEY, tenant text NOT NULL, name varchar(60) NOT NULL, unit text NOT NULL,
    high_limit double precision NOT NULL
);
CREATE TABLE application.planned_work (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, device text NOT NULL REFERENCES application.devices,
    planned_at timestamptz NOT NULL, what text NOT NULL, done_at timestamptz
);
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA application TO platform_app;
INSERT INTO application.devices VALUES ('press-1', 'plant', 'Press 1', 'bar', 90);
"""
#: A day of the old application.
_DAY = (
    "SET search_path = application",
    "SELECT id, name, unit FROM devices WHERE tenant = 'plant' ORDER BY id",
    "INSERT INTO planned_work (device, planned_at, what) VALUES ('press-1', now() + interval '1 day', 'Grease')",
    "SELECT w.id, w.what, d.name FROM planned_work w JOIN devices d ON d.id = w.device WHERE w.done_at IS NULL",
    "UPDATE planned_work SET done_at = now() WHERE device = 'press-1' AND what = 'Grease'",
    "DELETE FROM planned_work WHERE done_at < now() - interval '1 year'",
)


def create(lab: Lab) -> None:
    """Make its database."""
    name = quoted.Identifier(DATABASE)
    with sql.connect(lab, database="postgres") as connection:
        connection.execute(quoted.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        connection.execute(quoted.SQL("CREATE DATABASE {}").format(name))
    with sql.connect(lab, database=DATABASE) as connection:
        connection.execute(_SCHEMA)


def work(lab: Lab) -> None:
    """Let it work for a day. The record of it is in memory, so it is lost with a server that crashes or is replaced."""
    with sql.connect(lab, role="platform_app", database=DATABASE) as connection:
        for statement in _DAY:
            connection.execute(statement.encode())
