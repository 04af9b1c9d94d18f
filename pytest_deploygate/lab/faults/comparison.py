"""Faults of a migration's rows: each is one difference between source and target."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_deploygate.lab.faults import Change, Fault
from pytest_deploygate.lab.services import source

_INVENTORY = "lab-migration"
#: Without an entry in the issue log nobody has decided about what differs.
_ITEMS = {"phase4.integrity": "fail", "phase4.discrepancies": "fail"}
_VALUES = _ITEMS | {"phase4.calculations": "fail", "crit.accuracy": "fail"}


def _on_target(*statements: str) -> Change:
    return lambda lab: source.on_target(lab, *statements)


def _reloaded(*tables: str) -> Change:
    return lambda lab: source.reload(lab, *tables)


def _fault(
    name: str, what: str, table: str, statement: str, says: str, items: Mapping[str, str] = _ITEMS
) -> Fault:
    return Fault(
        name,
        what,
        items,
        lambda lab: source.change(lab, table, statement),
        _reloaded(table),
        says=says,
        needs=(source.NAME,),
        inventory=_INVENTORY,
    )


LOST = _fault(
    "migration-lost-row",
    "one of 27,000 readings did not arrive",
    "readings",
    "DELETE FROM plant.readings WHERE sensor_id = 17 AND at = '2026-07-01Z'",
    '1 missing on the target): key 17,"2026-07-01 00:00:00+00"',
    _ITEMS | {"phase4.history": "fail"},
)
EXTRA = _fault(
    "migration-extra-row",
    "the target has an order that the source does not have",
    "orders",
    "INSERT INTO plant.orders SELECT md5('extra')::uuid, placed_at, due, machine_id, note, lines, amount FROM plant.orders LIMIT 1",
    "1 extra on the target",
)
DOUBLED = _fault(
    "migration-doubled-row",
    "a row of a table without a key arrived twice",
    "events",
    "INSERT INTO plant.events SELECT * FROM plant.events WHERE machine = 'M-7' AND at = '2026-06-01 07:00Z' LIMIT 1",
    "1 extra on the target",
)
CHANGED = _fault(
    "migration-changed-value",
    "one reading has another value",
    "readings",
    "UPDATE plant.readings SET value = value + 0.5 WHERE sensor_id = 30 AND at = '2026-08-01Z'",
    "1 changed in value",
    _VALUES,
)
SWAPPED = _fault(
    "migration-swapped-values",
    "two machines have each other's name: counts and sums of the column are the same",
    "machines",
    "UPDATE plant.machines m SET name = o.name FROM plant.machines o WHERE (m.id, o.id) IN ((11, 12), (12, 11))",
    "2 changed in name",
)
EMPTY = _fault(
    "migration-null-became-empty",
    "a note that was NULL is an empty text",
    "orders",
    "UPDATE plant.orders SET note = '' WHERE id = md5('2001')::uuid",
    "has note '' instead of NULL",
)
SHIFTED = _fault(
    "migration-shifted-zone",
    "the times of one day's orders are two hours late: they were read as local time",
    "orders",
    "UPDATE plant.orders SET placed_at = placed_at + interval '2 hours' WHERE placed_at >= '2026-07-01Z' AND placed_at < '2026-07-02Z'",
    "changed in placed_at",
)
ROUNDED = _fault(
    "migration-rounded-float",
    "a sensor's readings went through a type of single precision",
    "readings",
    "UPDATE plant.readings SET value = value::real WHERE sensor_id = 41 AND at >= '2026-09-01Z'",
    "changed in value",
    _VALUES,
)
TRUNCATED = _fault(
    "migration-truncated-text",
    "names longer than twelve characters were cut off",
    "machines",
    "UPDATE plant.machines SET name = left(name, 12)",
    "60 changed in name",
)
FORGOTTEN = Fault(
    "migration-forgotten-table",
    "a table of the source was not migrated at all",
    _ITEMS | {"phase4.start": "fail", "phase4.progress": "fail"},
    _on_target("ALTER TABLE plant.events RENAME TO events_old"),
    lambda lab: source.on_target(lab, "ALTER TABLE IF EXISTS plant.events_old RENAME TO events"),
    says="legacy.events (as plant.events)",
    needs=(source.NAME,),
    inventory=_INVENTORY,
)
