"""Faults of the record of what differs after a migration."""

from __future__ import annotations

from pytest_deploygate.lab.faults import Fault
from pytest_deploygate.lab.services import source

UNDOCUMENTED = Fault(
    "migration-undocumented-discrepancy",
    "all notes that were NULL became empty texts, and nobody wrote down whether that is accepted",
    {"phase4.integrity": "fail", "phase4.discrepancies": "fail"},
    lambda lab: source.change(lab, "orders", "UPDATE plant.orders SET note = '' WHERE note IS NULL"),
    lambda lab: source.reload(lab, "orders"),
    tests=("test_every_difference_is_documented",),
    says="1000 rows of legacy.orders note empty-for-null",
    needs=(source.NAME,),
    inventory="lab-migration",
)
