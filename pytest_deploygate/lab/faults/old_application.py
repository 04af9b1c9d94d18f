"""Faults of the schema that the old application notices, and the new one does not."""

from __future__ import annotations

from pytest_deploygate.lab.faults import Fault, by_sql
from pytest_deploygate.lab.services import platform

_INVENTORY = "lab-application"
_ITEMS = {"guard.n-minus-1": "fail"}
_TABLE = "application.planned_work"

REQUIRED = Fault(
    "old-application-lacks-column",
    "the new schema requires a column of planned work that the old application does not write",
    _ITEMS,
    by_sql(
        f"ALTER TABLE {_TABLE} ADD COLUMN planned_by text NOT NULL DEFAULT 'operator'",
        f"ALTER TABLE {_TABLE} ALTER COLUMN planned_by DROP DEFAULT",
    ),
    by_sql(f"ALTER TABLE {_TABLE} DROP COLUMN IF EXISTS planned_by"),
    says=f"{_TABLE}.planned_by is NOT NULL without a default",
    tests=("test_old_application_on_new_schema", "test_old_application_journeys"),
    needs=(platform.BALANCER,),
    inventory=_INVENTORY,
)
RENAMED = Fault(
    "old-application-statement-broken",
    "a column of planned work was renamed, so statements of the old application no longer prepare",
    _ITEMS,
    by_sql(f"ALTER TABLE {_TABLE} RENAME COLUMN what TO summary"),
    by_sql(
        f"DO $$ BEGIN IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = '{_TABLE}'::regclass AND attname = 'summary')"
        f" THEN ALTER TABLE {_TABLE} RENAME COLUMN summary TO what; END IF; END $$"
    ),
    says="no longer prepares",
    tests=("test_old_application_on_new_schema", "test_old_application_journeys"),
    needs=(platform.BALANCER,),
    inventory=_INVENTORY,
)
