"""Faults that queries, calculations, history and aggregates of migrated data show."""

from __future__ import annotations

from pytest_deploygate.lab.faults import Fault
from pytest_deploygate.lab.services import source
from pytest_deploygate.lab.state import Lab

_INVENTORY = "lab-migration"
_ROWS = {"phase4.integrity": "fail", "phase4.discrepancies": "fail"}


def _fault(name: str, what: str, items: dict[str, str], table: str, statement: str, says: str) -> Fault:
    def breaks(lab: Lab) -> None:
        source.change(lab, table, statement)

    return Fault(
        name,
        what,
        items | _ROWS,
        breaks,
        lambda lab: source.reload(lab, table),
        says=says,
        needs=(source.NAME,),
        inventory=_INVENTORY,
    )


QUERY = _fault(
    "migration-query-differs",
    "a machine stands in another line than before",
    {"phase4.sample-queries": "fail"},
    "machines",
    "UPDATE plant.machines SET line = 'line 0' WHERE id = 1",
    "has machines",
)
FACTOR = _fault(
    "migration-wrong-factor",
    "a sensor was migrated with the factor of another one: its stored values no longer follow from the raw ones",
    {"phase4.calculations": "fail", "crit.accuracy": "fail"},
    "sensors",
    "UPDATE plant.sensors SET factor = factor * 1.01 WHERE id = 22",
    "450 of 27000 stored values differ",
)
MONTH = _fault(
    "migration-missing-month",
    "the readings of a whole month did not arrive",
    # A fifth of the rows of a table are not there.
    {"phase4.history": "fail", "phase4.progress": "fail"},
    "readings",
    "DELETE FROM plant.readings WHERE at >= '2026-07-01Z' AND at < '2026-08-01Z'",
    "2026-07-01 0 instead of 180",
)
BUCKET = _fault(
    "migration-missing-bucket",
    "one day of a sensor is missing in a stored aggregate",
    {"phase4.aggregations": "fail"},
    "readings_daily",
    "DELETE FROM plant.readings_daily WHERE sensor_id = 9 AND day = '2026-08-02'",
    "(9, 2026-08) has n",
)
WRITTEN = Fault(
    "migration-source-written",
    "a client still writes to the source after the freeze",
    {"phase4.start": "fail", "phase4.discrepancies": "fail"},
    source.write_on,
    lambda lab: source.end(lab, source.WRITER),
    says="legacy.machines",
    needs=(source.NAME,),
    inventory=_INVENTORY,
)
STALLED = Fault(
    "migration-stalled-copy",
    "a COPY into the target stands still: its sender sends nothing",
    {"phase4.progress": "fail", "phase4.discrepancies": "fail"},
    source.stall,
    lambda lab: source.end(lab, source.COPIER),
    says="COPY into plant.events",
    needs=(source.NAME,),
    inventory=_INVENTORY,
)
