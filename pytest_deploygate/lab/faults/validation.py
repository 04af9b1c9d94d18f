"""Faults of the data that validation queries look at."""

from __future__ import annotations

from pytest_deploygate.lab import sql
from pytest_deploygate.lab.faults import Fault, by_sql
from pytest_deploygate.lab.state import Lab

_ITEMS = {"phase2.validation": "fail"}
_NOBODY = 9001


def _reopen_alerts(lab: Lab) -> None:
    sql.execute(
        lab,
        "CREATE TABLE deploygate.lab_alerts AS SELECT id, acknowledged_at, acknowledged_by FROM platform.alerts"
        " WHERE acknowledged_at IS NOT NULL AND id % 2 = 0",
        "UPDATE platform.alerts a SET acknowledged_at = NULL, acknowledged_by = NULL FROM deploygate.lab_alerts b"
        " WHERE b.id = a.id",
    )


def _close_alerts(lab: Lab) -> None:
    if sql.value(lab, "SELECT to_regclass('deploygate.lab_alerts') IS NOT NULL"):
        sql.execute(
            lab,
            "UPDATE platform.alerts a SET acknowledged_at = b.acknowledged_at, acknowledged_by = b.acknowledged_by"
            " FROM deploygate.lab_alerts b WHERE b.id = a.id",
            "DROP TABLE deploygate.lab_alerts",
        )
        # Most rows were written since the statistics were taken, which guard.after-load calls a load's leftover.
        sql.analyze(lab, "platform.alerts")


def _orphan(lab: Lab) -> None:
    """Add alerts of a sensor that is not there, past the foreign key, as a careless bulk load does."""
    with sql.connect(lab) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            "INSERT INTO platform.alerts (id, sensor_id, raised_at, value, severity)"
            f" SELECT {_NOBODY} + n, {_NOBODY}, now(), 99, 'warning' FROM generate_series(1, 2) AS n".encode()
        )


OUT_OF_RANGE = Fault(
    "validation-out-of-range",
    "half of the alerts are open, where at most a quarter may be",
    _ITEMS,
    _reopen_alerts,
    _close_alerts,
    says="0.25",
)
WRONG_VALUE = Fault(
    "validation-wrong-value",
    "one machine less is in service than expected",
    _ITEMS,
    by_sql("UPDATE platform.machines SET status = 'retired' WHERE id = 3"),
    by_sql("UPDATE platform.machines SET status = 'active' WHERE id = 3"),
    says="11",
)
ORPHANS = Fault(
    "validation-orphans",
    "two alerts belong to a sensor that does not exist",
    # They came with ids of their own, which the sequence has yet to reach.
    {**_ITEMS, "guard.after-load": "fail"},
    _orphan,
    by_sql(f"DELETE FROM platform.alerts WHERE sensor_id = {_NOBODY}"),
    says="row",
    scope="phase2 or phase4 and guard",
)
