"""The platform inside the database: roles, migrations by Alembic, and deterministic data."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
from psycopg import sql as quoted

from pytest_deploygate.lab import old_system, sql
from pytest_deploygate.lab.state import (
    DATABASE,
    HOST,
    LOGINS,
    PRIMARY,
    SUPERUSER,
    Lab,
    LabError,
    alembic_scripts,
)

DAYS_BACK = 30
DAYS_AHEAD = 10
STEP = "5 minutes"

_ROLES = """
GRANT platform_app TO platform_owner;
ALTER ROLE platform_backup REPLICATION;
GRANT pg_read_all_settings TO platform_backup;
ALTER ROLE replicator REPLICATION;
GRANT pg_monitor, pg_read_all_data, pg_read_all_settings TO deploygate;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO PUBLIC;
CREATE SCHEMA platform AUTHORIZATION platform_owner;
CREATE SCHEMA deploygate AUTHORIZATION deploygate;
GRANT USAGE ON SCHEMA platform TO platform_app, platform_jobs;
CREATE EXTENSION amcheck;
CREATE EXTENSION pg_stat_statements;
GRANT EXECUTE ON FUNCTION pg_control_system(), pg_control_checkpoint(), pg_control_recovery(), pg_control_init(),
    pg_promote(boolean, integer), pg_switch_wal(), pg_create_restore_point(text), pg_hba_file_rules() TO deploygate;
GRANT SELECT ON pg_hba_file_rules TO deploygate;
GRANT EXECUTE ON FUNCTION pg_switch_wal(), pg_create_restore_point(text) TO platform_backup;
DO $$
DECLARE f regprocedure;
BEGIN
    FOR f IN
        SELECT d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
        WHERE d.classid = 'pg_proc'::regclass AND e.extname = 'amcheck'
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO deploygate', f);
    END LOOP;
    FOR f IN
        SELECT oid FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace
        AND proname IN ('pg_backup_start', 'pg_backup_stop', 'pg_start_backup', 'pg_stop_backup')
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO platform_backup', f);
    END LOOP;
END $$;
"""

_MACHINES = """
INSERT INTO platform.machines (id, code, name, line, status, commissioned_on)
SELECT n, 'M-' || lpad(n::text, 3, '0'),
    (ARRAY['Press', 'Lathe', 'Furnace', 'Conveyor'])[1 + (n - 1) % 4] || ' ' || (1 + (n - 1) / 4),
    'Line ' || chr(65 + (n - 1) / 4), CASE WHEN n = 12 THEN 'maintenance' ELSE 'active' END,
    date '2019-01-15' + n * 97
FROM generate_series(1, 12) AS n;
INSERT INTO platform.sensors (id, machine_id, kind, unit, low_limit, high_limit)
SELECT 2 * m - 1 + k, m, (ARRAY['temperature', 'pressure', 'vibration', 'power'])[1 + (m + 2 * k) % 4],
    (ARRAY['°C', 'bar', 'mm/s', 'kW'])[1 + (m + 2 * k) % 4], 10, 90
FROM generate_series(1, 12) AS m, generate_series(0, 1) AS k;
INSERT INTO platform.users (id, email, full_name, phone, role, created_at)
SELECT n, 'user' || n || '@example.com', 'Example Person ' || n, '+1-555-' || lpad(n::text, 4, '0'),
    CASE WHEN n <= 2 THEN 'admin' WHEN n % 4 = 0 THEN 'engineer' ELSE 'operator' END,
    timestamptz '2024-01-01 08:00+00' + n * interval '7 hours'
FROM generate_series(1, 60) AS n;
"""

#: Smooth by the hour of the day, with a repeatable jitter and, about one time in 100, a spike over the limit.
_READINGS = f"""
INSERT INTO platform.readings (sensor_id, recorded_at, value, quality)
SELECT s, t, round((50 + 15 * sin(x * 6.283185307 / 288 + s) + (h %% 1000) / 100.0
    + CASE WHEN h %% 101 = 0 THEN 45 ELSE 0 END)::numeric, 3), CASE WHEN h %% 211 = 0 THEN 1 ELSE 0 END
FROM generate_series(%(first)s::timestamptz, %(last)s::timestamptz, interval '{STEP}') AS t,
    LATERAL (SELECT (extract(epoch FROM t) / 300)::bigint AS x) AS e,
    generate_series(1, 24) AS s,
    LATERAL (SELECT ((x * 2654435761 + s * 40503) %% 1000003 + 1000003) %% 1000003 AS h) AS r
"""

_ALERTS = """
INSERT INTO platform.alerts (sensor_id, raised_at, value, severity, acknowledged_at, acknowledged_by)
SELECT sensor_id, recorded_at, value, CASE WHEN value > 105 THEN 'critical' ELSE 'warning' END,
    CASE WHEN done THEN recorded_at + interval '12 minutes' END, CASE WHEN done THEN 1 + sensor_id % 60 END
FROM (
    SELECT r.*, row_number() OVER (ORDER BY recorded_at, sensor_id) % 10 <> 0 AS done
    FROM platform.readings r JOIN platform.sensors s ON s.id = r.sensor_id WHERE r.value > s.high_limit
) AS over_the_limit ORDER BY recorded_at, sensor_id;
INSERT INTO platform.audit_log (logged_at, actor, action, relation, row_id, detail)
SELECT u.created_at, 'platform_owner', 'INSERT', 'platform.users', u.id, jsonb_build_object('id', u.id)
FROM platform.users u ORDER BY u.id;
INSERT INTO platform.messages (recipient, sent_at, body)
SELECT u.email, now() - u.id * interval '31 hours', jsonb_build_object('subject', 'Welcome', 'to', u.full_name)
FROM platform.users u ORDER BY u.id;
SELECT setval(pg_get_serial_sequence('platform.machines', 'id'), 12),
    setval(pg_get_serial_sequence('platform.sensors', 'id'), 24),
    setval(pg_get_serial_sequence('platform.users', 'id'), 60);
"""


def create_roles(lab: Lab) -> None:
    """Create the database, its roles with their passwords, its two schemas and its extensions."""
    with sql.connect(lab, database="postgres") as connection:
        for role in LOGINS:
            if role != SUPERUSER:
                connection.execute(
                    quoted.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                        quoted.Identifier(role), quoted.Literal(lab.password(role).reveal())
                    )
                )
        connection.execute(quoted.SQL("CREATE DATABASE {}").format(quoted.Identifier(DATABASE)))
    sql.execute(lab, _ROLES)
    old_system.create(lab)


def migrate(lab: Lab, revision: str = "head") -> None:
    """Run the platform's migrations up to `revision`, as the owner."""
    try:
        from alembic import command  # noqa: PLC0415 (an extra)
        from alembic.config import Config  # noqa: PLC0415
        from sqlalchemy import URL  # noqa: PLC0415
    except ImportError:
        raise LabError("Alembic is not installed: `pip install 'pytest-deploygate[lab]'`") from None
    url = URL.create(
        "postgresql+psycopg",
        username="platform_owner",
        password=lab.password("platform_owner").reveal(),
        host=HOST,
        port=lab.ports[PRIMARY],
        database=DATABASE,
        query={"sslmode": "disable", "options": "-csearch_path=public"},
    )
    configuration = Config()
    configuration.set_main_option("script_location", str(alembic_scripts()))
    configuration.set_main_option(
        "sqlalchemy.url", url.render_as_string(hide_password=False).replace("%", "%%")
    )
    command.upgrade(configuration, revision)


def fill(lab: Lab) -> None:
    """Generate the data on the server; it is the same within the same five minutes.

    Foreign keys are not checked row by row, as bulk loads do it (session_replication_role): twice as fast.
    """
    with _bulk(lab) as connection:
        row = connection.execute(
            f"SELECT platform.ensure_partitions({DAYS_BACK}, {DAYS_AHEAD}),"
            " to_timestamp(floor(extract(epoch FROM now()) / 300) * 300)"
        ).fetchone()
        last = row[1] if row else None
        connection.execute(_MACHINES)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda half: _fill_readings(lab, last, half), (0, 1)))
    with _bulk(lab) as connection:
        connection.execute(_ALERTS)
        connection.execute("SELECT platform.refresh_readings_hourly('-infinity')")
    sql.execute(lab, "ANALYZE")


#: The queries of the platform.
_WORK = (
    "SELECT count(*) FROM platform.readings",
    "SELECT recorded_at, value FROM platform.readings WHERE sensor_id = 7 AND recorded_at > now() - interval '1 day'",
    "SELECT a.raised_at, s.kind FROM platform.alerts a JOIN platform.sensors s ON s.id = a.sensor_id LIMIT 50",
    "SELECT email, full_name FROM platform.users WHERE lower(email) = 'user7@example.com'",
)


def work(lab: Lab) -> None:
    """Run the platform's queries, so that the statistics of statements and caches are not empty."""
    with sql.connect(lab, role="platform_app") as connection:
        for _ in range(12):
            for query in _WORK:
                connection.execute(query.encode())


def _fill_readings(lab: Lab, last: Any, half: int) -> None:
    with _bulk(lab) as connection:
        bounds = connection.execute(
            "SELECT date_trunc('day', %(last)s::timestamptz) - %(first_day)s * interval '1 day',"
            " CASE %(half)s WHEN 1 THEN %(last)s"
            " ELSE date_trunc('day', %(last)s::timestamptz) - interval '15 days 5 minutes' END",
            {"last": last, "first_day": DAYS_BACK if half == 0 else 15, "half": half},
        ).fetchone()
        if bounds:
            connection.execute(_READINGS.encode(), {"first": bounds[0], "last": bounds[1]})


def _bulk(lab: Lab) -> psycopg.Connection[Any]:
    connection = sql.connect(lab)
    connection.execute("SET session_replication_role = replica")
    return connection
