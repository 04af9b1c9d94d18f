"""Faults of the indexes."""

from __future__ import annotations

import psycopg

from pytest_deploygate.lab import sql
from pytest_deploygate.lab.faults import Fault, by_sql
from pytest_deploygate.lab.state import Lab, LabError

_ITEMS = {"phase2.indexes": "fail"}
_HALF_MADE = "alerts_sensor_id_severity_key"
_TWIN = "alerts_sensor_id_raised_at_idx1"
_ORDER = "UPDATE pg_index SET indoption = '{option}' WHERE indexrelid = 'platform.audit_log_logged_at_idx'::regclass"


def _fail_to_make_unique(lab: Lab) -> None:
    """Leave an invalid index behind, as CREATE INDEX CONCURRENTLY does when it finds a duplicate."""
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
    _ITEMS,
    _fail_to_make_unique,
    by_sql(f"DROP INDEX IF EXISTS platform.{_HALF_MADE}"),
    says="invalid",
)
UNUSED = Fault(
    "index-unused",
    "the index that the hourly query needs was dropped: it scans the whole table",
    _ITEMS,
    by_sql("DROP INDEX platform.readings_hourly_bucket_idx"),
    lambda lab: sql.execute(
        lab,
        "CREATE INDEX IF NOT EXISTS readings_hourly_bucket_idx ON platform.readings_hourly (bucket)",
        "ALTER INDEX platform.readings_hourly_bucket_idx OWNER TO platform_owner",
    ),
    says="readings_hourly_bucket_idx",
)
DUPLICATE = Fault(
    "index-duplicate",
    "platform.alerts has the same index twice: each write pays for both",
    _ITEMS,
    lambda lab: sql.execute(lab, f"CREATE INDEX {_TWIN} ON platform.alerts (sensor_id, raised_at DESC)"),
    by_sql(f"DROP INDEX IF EXISTS platform.{_TWIN}"),
    says="alerts",
)
CORRUPT = Fault(
    "index-corrupt",
    "the index on platform.audit_log is not in the order that the catalog says, as after a collation change:"
    " it is valid and finds nothing; only amcheck sees it",
    _ITEMS,
    by_sql(_ORDER.format(option=1)),
    by_sql(_ORDER.format(option=0), "REINDEX INDEX platform.audit_log_logged_at_idx"),
    says="audit_log",
)
