"""Readings come in: each is stored once, told to whoever listens, and may raise or clear the alert of its device."""

from __future__ import annotations

import asyncio
import json
import math
from datetime import datetime

from pytest_deploygate.lab.application.store import Store
from pytest_deploygate.lab.application.switches import Switches
from pytest_deploygate.lazy import dataclass

#: What a replica stores is told to all replicas through the database.
CHANNEL = "platform_events"
#: How long a reading waits that the switch `event_late` holds back, and those that wait.
_LATE_S = 0.6
_WAITING: set[asyncio.Task[None]] = set()


@dataclass(frozen=True)
class Reading:
    """What a device sent. `sent_at` is its own time."""

    id: str
    device: str
    sent_at: datetime
    value: float


def parse(document: object) -> Reading:
    """Return the reading in a JSON document. Raises ValueError that says what is wrong."""
    told = document if isinstance(document, dict) else {}
    id_, device, sent_at, value = (told.get(name) for name in ("id", "device", "sent_at", "value"))
    _need(isinstance(document, dict), "a reading is an object with id, device, sent_at and value")
    _need(isinstance(id_, str) and 0 < len(id_) <= 100, "id must be a text of 1 to 100 characters")
    _need(isinstance(device, str), "device must be a text")
    _need(isinstance(value, int | float) and not isinstance(value, bool), "value must be a number")
    try:
        at = datetime.fromisoformat(str(sent_at))
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ValueError("sent_at must be a time with a zone, such as 2026-01-31T08:00:00Z")
    _need(math.isfinite(number := float(str(value))), "value must be a finite number")
    return Reading(str(id_), str(device), at, number)


def _need(holds: bool, text: str) -> None:
    if not holds:
        raise ValueError(text)


async def take(store: Store, switches: Switches, reading: Reading, tenant: str | None = None) -> bool:
    """Store a reading, of a device of `tenant` where it is given; return False where there is no such device."""
    if _chosen(switches.get("event_lost"), reading):
        return True
    if _chosen(switches.get("event_late"), reading):
        later = asyncio.create_task(_later(store, switches, reading, tenant))
        _WAITING.add(later)
        later.add_done_callback(_WAITING.discard)
        return True
    copies = 2 if _chosen(switches.get("event_doubled"), reading) else 1
    return all([await _store(store, switches, reading, tenant, copy) for copy in range(copies)])


async def _later(store: Store, switches: Switches, reading: Reading, tenant: str | None) -> None:
    """Store a reading that was accepted already, after later ones of its device."""
    await asyncio.sleep(_LATE_S)
    await _store(store, switches, reading, tenant, 0)


def _chosen(which: int | str | None, reading: Reading) -> bool:
    """Return whether a switch is meant for this reading of a synthetic device: one in `which` by its id, or by its end."""
    if not which or not reading.device.startswith("synthetic-"):
        return False
    return reading.id.endswith(which) if isinstance(which, str) else sum(reading.id.encode()) % which == 0


async def _store(store: Store, switches: Switches, reading: Reading, tenant: str | None, copy: int) -> bool:
    found = await store.row(
        "SELECT stored, tenant_id, raised, cleared, CASE WHEN stored AND %(told)s THEN pg_notify(%(channel)s,"
        " json_build_object('tenant', tenant_id, 'id', %(id)s::text, 'device', %(device)s::text,"
        " 'sent_at', %(at_text)s::text, 'value', %(value)s::float8, 'raised', raised, 'cleared', cleared)::text) END"
        " FROM take_reading(%(id)s, %(device)s, %(at)s, %(value)s, %(copy)s, %(alert)s, %(tenant)s)",
        {
            "channel": CHANNEL,
            "id": reading.id,
            "device": reading.device,
            "at": reading.sent_at,
            "at_text": reading.sent_at.isoformat(),
            "value": reading.value,
            "copy": copy,
            "tenant": tenant,
            "told": not _chosen(switches.get("event_untold"), reading),
            "alert": not switches.on("alert_never"),
        },
    )
    if found is not None and found["raised"] is not None:
        await _also_raise(store, switches, found["raised"])
    return found is not None


async def _also_raise(store: Store, switches: Switches, alert: int) -> None:
    """Raise more alerts than one: the same again, or a short one of each other device of the tenant."""
    if switches.on("alert_twice"):
        await store.rows(
            "INSERT INTO alerts (device, value, high_limit, copy) SELECT device, value, high_limit, 1 FROM alerts"
            " WHERE id = %(id)s ON CONFLICT DO NOTHING RETURNING id",
            {"id": alert},
        )
    if switches.on("alert_storm"):
        await store.rows(
            "INSERT INTO alerts (device, value, high_limit, cleared_at) SELECT d.id, a.value, d.high_limit, clock_timestamp()"
            " FROM alerts a JOIN devices o ON o.id = a.device JOIN devices d ON d.tenant = o.tenant AND d.id <> o.id"
            " WHERE a.id = %(id)s RETURNING id",
            {"id": alert},
        )


def event(text: str) -> dict[str, object]:
    """Return what a notification tells."""
    told: dict[str, object] = json.loads(text)
    return told
