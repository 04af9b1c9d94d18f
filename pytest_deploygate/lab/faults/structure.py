"""Faults of the structure: tables, indexes and day partitions."""

from __future__ import annotations

import psycopg

from pytest_deploygate.lab import schedule, sql
from pytest_deploygate.lab.faults import Fault, by_sql, silence
from pytest_deploygate.lab.state import DATABASE, Lab, LabError

_TABLES = {"phase2.tables": "fail"}


def _if_column(column: str, statement: str) -> str:
    """Return a statement that runs only while platform.users has the column."""
    return (
        "DO $$ BEGIN IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'platform.users'::regclass"
        f" AND attname = '{column}' AND NOT attisdropped) THEN {statement}; END IF; END $$"
    )


NOT_NULL = Fault(
    "table-dropped-not-null",
    "platform.machines.name may be NULL: its NOT NULL was dropped",
    _TABLES,
    by_sql("ALTER TABLE platform.machines ALTER COLUMN name DROP NOT NULL"),
    by_sql("ALTER TABLE platform.machines ALTER COLUMN name SET NOT NULL"),
    says="NOT NULL",
    tests=("test_table_structure",),
)
EXTRA_GRANT = Fault(
    "table-extra-grant",
    "the application may delete from the audit log: a grant too many",
    {**_TABLES, "comp.audit-trail": "fail"},
    by_sql("GRANT DELETE ON platform.audit_log TO platform_app"),
    by_sql("REVOKE DELETE ON platform.audit_log FROM platform_app"),
    says="DELETE",
    tests=(
        "test_records_cannot_be_changed",
        "test_table_structure",
    ),
    scope="phase2 or preflight and compliance",
)
MISSING_COLUMN = Fault(
    "table-missing-column",
    "platform.users has no column phone: somebody renamed it by hand",
    # No person can be added without it, so neither audit nor erasure can be tested.
    {**_TABLES, "comp.audit-trail": "inconclusive", "comp.erasure": "inconclusive"},
    by_sql(_if_column("phone", "ALTER TABLE platform.users RENAME COLUMN phone TO telephone")),
    by_sql(_if_column("telephone", "ALTER TABLE platform.users RENAME COLUMN telephone TO phone")),
    says="phone",
    tests=(
        "test_operation_is_recorded",
        "test_table_structure",
    ),
    scope="phase2 or preflight and compliance",
)
MISSING_CHECK = Fault(
    "table-dropped-check",
    "platform.machines takes any status: its CHECK constraint was dropped",
    _TABLES,
    by_sql("ALTER TABLE platform.machines DROP CONSTRAINT machines_status_check"),
    by_sql(
        "ALTER TABLE platform.machines DROP CONSTRAINT IF EXISTS machines_status_check,"
        " ADD CONSTRAINT machines_status_check CHECK (status IN ('active', 'maintenance', 'retired'))"
    ),
    says="CHECK",
    tests=("test_table_structure",),
)
SURPLUS = Fault(
    "table-beside-snapshot",
    "somebody kept a copy of platform.machines before an import: a table that no migration created",
    _TABLES,
    by_sql(
        "CREATE TABLE platform.machines_before_import AS TABLE platform.machines",
        "ANALYZE platform.machines_before_import",
    ),
    by_sql("DROP TABLE IF EXISTS platform.machines_before_import"),
    says="platform.machines_before_import",
    tests=("test_nothing_beside_the_snapshot",),
)
OPEN_SCHEMA = Fault(
    "schema-open-to-all",
    "every role may create objects in the schema platform",
    _TABLES,
    by_sql("GRANT CREATE ON SCHEMA platform TO PUBLIC"),
    by_sql("REVOKE CREATE ON SCHEMA platform FROM PUBLIC"),
    says="CREATE",
    tests=("test_nothing_beside_the_snapshot",),
)
OPEN_DATABASE = Fault(
    "database-open-to-all",
    "every role may create schemas in the platform's database",
    _TABLES,
    lambda lab: sql.execute(lab, f"GRANT CREATE ON DATABASE {DATABASE} TO PUBLIC"),
    lambda lab: sql.execute(lab, f"REVOKE CREATE ON DATABASE {DATABASE} FROM PUBLIC"),
    says="CREATE",
    tests=("test_nothing_beside_the_snapshot",),
)
DEFAULT_PRIVILEGES = Fault(
    "default-privileges-wider",
    "the application will be allowed to delete from every table that the owner creates from now on",
    _TABLES,
    by_sql(
        "ALTER DEFAULT PRIVILEGES FOR ROLE platform_owner IN SCHEMA platform GRANT DELETE ON TABLES TO platform_app"
    ),
    by_sql(
        "ALTER DEFAULT PRIVILEGES FOR ROLE platform_owner IN SCHEMA platform REVOKE DELETE ON TABLES FROM platform_app"
    ),
    says="default privileges",
    tests=("test_nothing_beside_the_snapshot",),
)
STRICT = Fault(
    "function-strict",
    "platform.ensure_partitions does nothing for NULL: it was made STRICT by hand",
    _TABLES,
    by_sql("ALTER FUNCTION platform.ensure_partitions STRICT"),
    by_sql("ALTER FUNCTION platform.ensure_partitions CALLED ON NULL INPUT"),
    says="STRICT",
    tests=("test_nothing_beside_the_snapshot",),
)
FOREIGN_KEYS_OFF = Fault(
    name="table-foreign-keys-off",
    what="the foreign keys of platform.alerts are switched off, as after a data load",
    items={**_TABLES, "guard.after-load": "fail"},
    breaks=by_sql("ALTER TABLE platform.alerts DISABLE TRIGGER ALL"),
    heals=by_sql("ALTER TABLE platform.alerts ENABLE TRIGGER ALL"),
    says="switched off",
    tests=("test_table_structure",),
    scope="phase2 or phase4 and guard",
)

_INDEXES = {"phase2.indexes": "fail"}
_HALF_MADE = "alerts_sensor_id_severity_key"
_TWIN = "alerts_sensor_id_raised_at_idx1"
_ORDER = "UPDATE pg_index SET indoption = '{option}' WHERE indexrelid = 'platform.audit_log_logged_at_idx'::regclass"


def _fail_to_make_unique(lab: Lab) -> None:
    """Leave an invalid index behind, as CREATE INDEX CONCURRENTLY does on duplicates."""
    with sql.connect(lab) as connection:
        try:
            connection.execute(
                f"CREATE UNIQUE INDEX CONCURRENTLY {_HALF_MADE} ON platform.alerts (sensor_id, severity)".encode()
            )
        except psycopg.errors.UniqueViolation:
            return
    raise LabError("platform.alerts has no duplicates, so the unique index was made")


INVALID = Fault(
    "index-invalid",
    "a CREATE UNIQUE INDEX CONCURRENTLY on platform.alerts failed on duplicates and left an invalid index",
    _INDEXES,
    _fail_to_make_unique,
    by_sql(f"DROP INDEX IF EXISTS platform.{_HALF_MADE}"),
    says="invalid",
    tests=("test_indexes_are_there_and_valid",),
)
UNUSED = Fault(
    "index-unused",
    "the index that the hourly query needs was dropped: it scans the whole table",
    _INDEXES,
    by_sql("DROP INDEX platform.readings_hourly_bucket_idx"),
    lambda lab: sql.execute(
        lab,
        "CREATE INDEX IF NOT EXISTS readings_hourly_bucket_idx ON platform.readings_hourly (bucket)",
        "ALTER INDEX platform.readings_hourly_bucket_idx OWNER TO platform_owner",
    ),
    says="readings_hourly_bucket_idx",
    tests=(
        "test_indexes_are_there_and_valid",
        "test_query_uses_index",
    ),
)
DUPLICATE = Fault(
    "index-duplicate",
    "platform.alerts has the same index twice: each write updates both",
    _INDEXES,
    lambda lab: sql.execute(lab, f"CREATE INDEX {_TWIN} ON platform.alerts (sensor_id, raised_at DESC)"),
    by_sql(f"DROP INDEX IF EXISTS platform.{_TWIN}"),
    says="alerts",
    tests=("test_indexes_are_there_and_valid",),
)
CORRUPT = Fault(
    "index-corrupt",
    "the index on platform.audit_log is not in the order that the catalog declares, as after a collation change:"
    " it is valid and finds nothing; only amcheck sees it",
    _INDEXES,
    by_sql(_ORDER.format(option=1)),
    by_sql(_ORDER.format(option=0), "REINDEX INDEX platform.audit_log_logged_at_idx"),
    says="audit_log",
    tests=("test_indexes_are_sound",),
)

_PARTITIONS = {"phase2.partitioning": "fail", "db.partitioning": "fail"}
_BOTH = "phase2 or preflight and database"
_JOB = "ensure-partitions"
_STRAY = "timestamptz '2001-01-01 10:05+00'"
_DROP_AHEAD = """
DO $$ DECLARE d date; BEGIN
    SET LOCAL timezone = 'UTC';
    FOR d IN SELECT current_date + n FROM generate_series({first}, {last}) AS n LOOP
        EXECUTE format('DROP TABLE IF EXISTS platform.%I', 'readings_' || to_char(d, 'YYYYMMDD'));
    END LOOP;
END $$
"""


def _strand_rows(lab: Lab) -> None:
    """Insert rows for which no partition exists; the aggregate has them, so only their place is wrong."""
    sql.execute(
        lab,
        f"INSERT INTO platform.readings SELECT s, {_STRAY}, 50, 0 FROM generate_series(1, 3) AS s",
        "INSERT INTO platform.readings_hourly SELECT sensor_id, date_trunc('hour', recorded_at), 1, value, value,"
        " value FROM ONLY platform.readings_default",
    )


def _take_rows_back(lab: Lab) -> None:
    sql.execute(
        lab,
        f"DELETE FROM platform.readings WHERE recorded_at = {_STRAY}",
        f"DELETE FROM platform.readings_hourly WHERE bucket = date_trunc('hour', {_STRAY})",
    )


def _drop_days(lab: Lab, first: int, last: int) -> None:
    silence(lab, _JOB)
    sql.execute(lab, _DROP_AHEAD.format(first=first, last=last))


def _make_days(lab: Lab) -> None:
    schedule.switch_on(lab, _JOB)
    sql.execute(lab, "SELECT platform.ensure_partitions()")


IN_DEFAULT = Fault(
    "partition-rows-in-default",
    "three readings with a wrong clock are in the default partition",
    # Rows of 2001 are also older than any policy keeps them.
    {**_PARTITIONS, "db.retention": "fail"},
    _strand_rows,
    _take_rows_back,
    says="default",
    tests=(
        "test_old_rows_go",
        "test_partitions",
    ),
    scope=_BOTH,
)
NONE_AHEAD = Fault(
    "partition-none-ahead",
    "there is no partition after today: the job that creates them was switched off",
    _PARTITIONS,
    lambda lab: _drop_days(lab, 1, 30),
    _make_days,
    says="ahead",
    tests=("test_partitions",),
    scope=_BOTH,
)
NO_TOMORROW = Fault(
    "partition-gap-tomorrow",
    "there are partitions ahead, but none for tomorrow",
    _PARTITIONS,
    lambda lab: _drop_days(lab, 1, 1),
    _make_days,
    says="gap",
    tests=("test_partitions",),
    scope=_BOTH,
)
