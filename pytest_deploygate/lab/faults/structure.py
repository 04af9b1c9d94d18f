"""Faults of the table structures."""

from __future__ import annotations

from pytest_deploygate.lab.faults import Fault, by_sql

_ITEMS = {"phase2.tables": "fail"}


def _if_column(column: str, statement: str) -> str:
    """Return a statement that runs only while platform.users has the column."""
    return (
        "DO $$ BEGIN IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'platform.users'::regclass"
        f" AND attname = '{column}' AND NOT attisdropped) THEN {statement}; END IF; END $$"
    )


NOT_NULL = Fault(
    "table-dropped-not-null",
    "platform.machines.name may be NULL: its NOT NULL was dropped",
    _ITEMS,
    by_sql("ALTER TABLE platform.machines ALTER COLUMN name DROP NOT NULL"),
    by_sql("ALTER TABLE platform.machines ALTER COLUMN name SET NOT NULL"),
    says="NOT NULL",
)
EXTRA_GRANT = Fault(
    "table-extra-grant",
    "the application may delete from the audit log: one grant too many",
    {**_ITEMS, "comp.audit-trail": "fail"},
    by_sql("GRANT DELETE ON platform.audit_log TO platform_app"),
    by_sql("REVOKE DELETE ON platform.audit_log FROM platform_app"),
    says="DELETE",
    scope="phase2 or preflight and compliance",
)
MISSING_COLUMN = Fault(
    "table-missing-column",
    "platform.users has no column phone: somebody renamed it by hand",
    # Nobody can be added without it, so neither audit nor erasure can be tried.
    {**_ITEMS, "comp.audit-trail": "inconclusive", "comp.erasure": "inconclusive"},
    by_sql(_if_column("phone", "ALTER TABLE platform.users RENAME COLUMN phone TO telephone")),
    by_sql(_if_column("telephone", "ALTER TABLE platform.users RENAME COLUMN telephone TO phone")),
    says="phone",
    scope="phase2 or preflight and compliance",
)
MISSING_CHECK = Fault(
    "table-dropped-check",
    "platform.machines takes any status: its CHECK constraint was dropped",
    _ITEMS,
    by_sql("ALTER TABLE platform.machines DROP CONSTRAINT machines_status_check"),
    by_sql(
        "ALTER TABLE platform.machines DROP CONSTRAINT IF EXISTS machines_status_check,"
        " ADD CONSTRAINT machines_status_check CHECK (status IN ('active', 'maintenance', 'retired'))"
    ),
    says="CHECK",
)

FOREIGN_KEYS_OFF = Fault(
    name="table-foreign-keys-off",
    what="the foreign keys of platform.alerts are switched off, as a data load leaves them behind",
    items={**_ITEMS, "guard.after-load": "fail"},
    breaks=by_sql("ALTER TABLE platform.alerts DISABLE TRIGGER ALL"),
    heals=by_sql("ALTER TABLE platform.alerts ENABLE TRIGGER ALL"),
    says="switched off",
    scope="phase2 or phase4 and guard",
)
