"""The server that data was migrated from, and the migration itself: pg_dump for the schema, COPY for the rows.

It has the database `plant` with the schema `legacy`. The target is a database of the same name on db1, with the schema
`plant`. Sessions on the source have settings that change how values are printed, as old servers often do.
"""

from __future__ import annotations

from pathlib import Path

import psycopg

from pytest_deploygate.lab import client, nodes, processes, sql
from pytest_deploygate.lab.services import Service
from pytest_deploygate.lab.state import HOST, PRIMARY, SUPERUSER, Lab, LabError
from pytest_deploygate.lab.supervisor import Program

NAME, WRITER, COPIER = "source", "source-writer", "stalled-copy"
PROFILE = "migration"
PLANT = "plant"
#: Tables of the schema, each after those that it refers to.
TABLES = ("machines", "sensors", "readings", "readings_daily", "orders", "events")
_CONFIGURATION = """
listen_addresses = '{host}'
port = {port}
unix_socket_directories = '{sockets}'
cluster_name = '{name}'
max_connections = 30
shared_buffers = 32MB
wal_level = logical
fsync = off
timezone = 'UTC'
log_timezone = 'UTC'
password_encryption = 'scram-sha-256'
"""
_HOSTILE = {
    "timezone": "Asia/Kathmandu",
    "datestyle": "SQL, DMY",
    "intervalstyle": "iso_8601",
    "extra_float_digits": "-10",
    "bytea_output": "escape",
}
_DATA = """
CREATE SCHEMA legacy;
CREATE TABLE legacy.machines (id int PRIMARY KEY, code char(8) NOT NULL UNIQUE, name text NOT NULL, line text, picture bytea);
CREATE TABLE legacy.sensors (id int PRIMARY KEY, machine_id int NOT NULL REFERENCES legacy.machines, kind text NOT NULL,
  factor numeric(8,4) NOT NULL);
CREATE TABLE legacy.readings (sensor_id int NOT NULL REFERENCES legacy.sensors, at timestamptz NOT NULL, raw double precision NOT NULL,
  value double precision NOT NULL, PRIMARY KEY (sensor_id, at));
CREATE TABLE legacy.readings_daily (sensor_id int, day date, n bigint NOT NULL, total double precision NOT NULL, PRIMARY KEY (sensor_id, day));
CREATE TABLE legacy.orders (id uuid PRIMARY KEY, placed_at timestamptz NOT NULL, due interval, machine_id int REFERENCES legacy.machines,
  note text, lines jsonb NOT NULL, amount numeric(12,2) NOT NULL);
CREATE TABLE legacy.events (at timestamptz NOT NULL, machine text NOT NULL, what text);
INSERT INTO legacy.machines SELECT n, 'M-' || n, 'Press no. ' || n || ' of hall ' || n % 4, CASE WHEN n % 5 = 0 THEN '' WHEN n % 7 = 0 THEN NULL
  ELSE 'line ' || n % 3 END, decode(md5(n::text), 'hex') FROM generate_series(1, 60) n;
INSERT INTO legacy.sensors SELECT n, 1 + n % 60, (ARRAY['temperature', 'pressure', 'power'])[1 + n % 3], 1 + n % 7 / 4.0
  FROM generate_series(1, 60) n;
INSERT INTO legacy.readings SELECT s.id, '2026-05-01Z'::timestamptz + h * interval '8 hours', 20 + (s.id * 7919 + h * 104729) % 1000 / 37.0,
  (20 + (s.id * 7919 + h * 104729) % 1000 / 37.0) * s.factor::float8 FROM legacy.sensors s, generate_series(0, 449) h;
INSERT INTO legacy.readings_daily SELECT sensor_id, (at AT TIME ZONE 'UTC')::date, count(*), sum(value) FROM legacy.readings GROUP BY 1, 2;
INSERT INTO legacy.orders SELECT md5(n::text)::uuid, '2026-06-01Z'::timestamptz + n * interval '47 minutes', n % 30 * interval '1 day',
  1 + n % 60, CASE n % 3 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE 'für Halle ' || n % 9 END,
  jsonb_build_object('pieces', n % 50, 'drawing', 'D-' || n), n * 1.25 FROM generate_series(1, 3000) n;
INSERT INTO legacy.events SELECT '2026-06-01Z'::timestamptz + n % 900 * interval '1 hour', 'M-' || n % 60, 'stop' FROM generate_series(1, 3000) n;
CREATE ROLE deploygate LOGIN;
GRANT pg_monitor, pg_read_all_data TO deploygate;
ANALYZE;
"""


def where(lab: Lab) -> Path:
    """Return the source's data folder."""
    return lab.data(NAME)


def on_source(lab: Lab, *statements: str) -> list[tuple[object, ...]]:
    """Run statements in the source's database. Raises LabError."""
    return _run(lab, NAME, statements)


def on_target(lab: Lab, *statements: str) -> list[tuple[object, ...]]:
    """Run statements in the target's database. Raises LabError."""
    return _run(lab, PRIMARY, statements)


def _run(lab: Lab, node: str, statements: tuple[str, ...]) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    try:
        with sql.connect(lab, node, database=PLANT) as connection:
            for statement in statements:
                done = connection.execute(statement.encode())
                rows = done.fetchall() if done.description else []
    except psycopg.Error as error:
        raise LabError(f"{node} answered: {' '.join(str(error).split())}") from None
    return rows


def start(lab: Lab) -> None:
    """Create the source with its data, and migrate them. Raises LabError."""
    password = lab.private / "source.password"
    nodes.put(lab, password, lab.password(SUPERUSER).reveal() + "\n")
    words = [
        "--username",
        SUPERUSER,
        "--pwfile",
        str(password),
        "--auth",
        "scram-sha-256",
        "--encoding",
        "UTF8",
    ]
    initdb = [
        lab.tool("initdb"),
        "-D",
        str(where(lab)),
        *words,
        "--locale",
        "C",
        "--no-sync",
        "--no-instructions",
    ]
    processes.run(initdb, user=lab.user)
    text = _CONFIGURATION.format(host=HOST, port=lab.ports[NAME], sockets=lab.sockets, name=NAME)
    nodes.put(lab, where(lab) / "postgresql.conf", text)
    nodes.put(lab, where(lab) / "pg_hba.conf", nodes.LOGIN_RULES)
    nodes.start(lab, NAME)
    with sql.connect(lab, NAME, database="postgres") as connection:
        connection.execute(f"CREATE DATABASE {PLANT}".encode())
    on_source(lab, _DATA)
    secret = lab.password("deploygate").reveal().replace("'", "''")
    hostile = [f"ALTER DATABASE {PLANT} SET {name} = '{value}'" for name, value in _HOSTILE.items()]
    on_source(lab, f"ALTER ROLE deploygate PASSWORD '{secret}'", *hostile)
    migrate(lab)
    on_source(lab, f"ALTER DATABASE {PLANT} SET default_transaction_read_only = on")


def migrate(lab: Lab) -> None:
    """Make the target anew: the schema and then the rows of the source, by pg_dump. Raises LabError."""
    with sql.connect(lab, database="postgres") as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {PLANT} WITH (FORCE)".encode())
        connection.execute(f"CREATE DATABASE {PLANT}".encode())
    passwords = lab.private / "source.pgpass"
    secret = lab.password(SUPERUSER).reveal()
    nodes.put(
        lab, passwords, "".join(f"{HOST}:{lab.ports[n]}:*:{SUPERUSER}:{secret}\n" for n in (NAME, PRIMARY))
    )
    env = {"PGPASSFILE": str(passwords), "PGSSLMODE": "disable"}
    dump = [lab.tool("pg_dump"), *_at(lab, NAME), "--no-owner", "--no-privileges"]
    written = processes.run(dump, user=lab.user, env=env)
    load = [lab.tool("psql"), *_at(lab, PRIMARY), "-q", "-X", "-v", "ON_ERROR_STOP=1", "-1"]
    processes.run(load, user=lab.user, env=env, stdin=written)
    on_target(lab, "ALTER SCHEMA legacy RENAME TO plant", "ANALYZE")


def _passwords(lab: Lab) -> Path:
    return lab.private / "source.pgpass"


def _at(lab: Lab, node: str) -> list[str]:
    return ["-h", HOST, "-p", str(lab.ports[node]), "-U", SUPERUSER, "-d", PLANT]


def write_on(lab: Lab) -> None:
    """Let a client that does not know of the freeze write to the source, again and again; no value changes."""
    script = lab.private / "source-writer.sql"
    # One statement after the other: the server counts rows when a statement has ended, not within a loop of its own.
    nodes.put(
        lab,
        script,
        "SET default_transaction_read_only = off;\nUPDATE legacy.machines SET name = name WHERE id = 1 \\watch 0.1\n",
    )
    _client(lab, WRITER, NAME, "-f", str(script))
    asked = "SELECT n_tup_upd > 3 FROM pg_stat_user_tables WHERE relname = 'machines'"
    sql.wait_until("writes on the source", lambda: on_source(lab, asked) == [(True,)], 20.0)


def stall(lab: Lab) -> None:
    """Begin a COPY on the target whose sender sends nothing."""
    _client(lab, COPIER, PRIMARY, "-c", "COPY plant.events FROM PROGRAM 'exec sleep 3600'")
    asked = "SELECT count(*) FROM pg_stat_progress_copy"
    sql.wait_until("start of the COPY", lambda: on_target(lab, asked) == [(1,)], 20.0)


def end(lab: Lab, name: str) -> None:
    """End one of these clients, if it runs, and what its session still does."""
    if name in client.status(lab.folder)["servers"]:
        client.stop(lab, name)
    ended = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{name}'"
    on_source(lab, ended)
    on_target(lab, ended)


def _client(lab: Lab, name: str, node: str, *words: str) -> None:
    env = {"PGPASSFILE": str(_passwords(lab)), "PGSSLMODE": "disable", "PGAPPNAME": name}
    client.start(lab, name, Program([lab.tool("psql"), *_at(lab, node), "-X", *words], lab.user, env))


def reload(lab: Lab, *tables: str) -> None:
    """Copy the rows of some tables once more; others that refer to them stay as they are. Raises LabError."""
    try:
        with (
            sql.connect(lab, NAME, database=PLANT) as source,
            sql.connect(lab, database=PLANT) as target,
            target.transaction(),
        ):
            # The tables' rules about each other hold again when all rows are there.
            target.execute("SET LOCAL session_replication_role = replica")
            source.execute("SET extra_float_digits = 1")
            for table in tables:
                target.execute(f"DELETE FROM plant.{table}".encode())
                with (
                    source.cursor().copy(f"COPY legacy.{table} TO STDOUT (FORMAT binary)".encode()) as rows,
                    target.cursor().copy(f"COPY plant.{table} FROM STDIN (FORMAT binary)".encode()) as into,
                ):
                    for block in rows:
                        into.write(block)
    except psycopg.Error as error:
        raise LabError(f"the tables cannot be copied: {' '.join(str(error).split())}") from None


def reset(lab: Lab) -> None:
    """Migrate again: the cluster may be an earlier copy without the target."""
    migrate(lab)


def values(lab: Lab) -> dict[str, str]:
    """Return what inventories refer to beside the port."""
    return {"migration.folder": str(lab.folder / "comparison")}


SERVICE = Service(
    name=NAME,
    servers={NAME: "the server that data was migrated from"},
    more_servers={WRITER: "a client that still writes to the source", COPIER: "a COPY that stands still"},
    processes=("psql",),
    programs=(),
    missing="the migration of data is not covered",
    start=start,
    where=where,
    values=values,
    reset=reset,
    profiles=(PROFILE,),
)
