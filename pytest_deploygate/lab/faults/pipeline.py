"""Faults of the event pipeline: events that are lost, doubled, overtaken or late, and devices that users should not see.

Events are chosen by their number, with which their id ends. Of four devices the first two send by HTTP, the others by MQTT.
"""

from __future__ import annotations

from pytest_deploygate.lab.faults import Change, Fault
from pytest_deploygate.lab.services import mqtt, platform

_INVENTORY = "lab-application"
_NEEDS = (platform.BALANCER, mqtt.BROKER)
_ITEM = {"phase3.pipeline": "fail"}
#: The ends of the ids of one event that enters by HTTP, and of one that enters by MQTT.
_BY_HTTP, _BY_MQTT = f"{41:08x}", f"{42:08x}"


def _with(**switches: object) -> Change:
    return lambda lab: platform.change(lab, **switches)


LOST = Fault(
    "pipeline-event-lost",
    "the consumer of the broker drops one event: the broker accepted it, and it is never stored",
    _ITEM,
    _with(event_lost=_BY_MQTT),
    platform.as_started,
    says="1 of 320 events that the broker of mqtt accepted were never stored",
    needs=_NEEDS,
    inventory=_INVENTORY,
)
DOUBLED = Fault(
    "pipeline-event-doubled",
    "one event is stored and sent twice",
    _ITEM,
    _with(event_doubled=_BY_HTTP),
    platform.as_started,
    says="1 of 320 events came out more than once",
    needs=_NEEDS,
    inventory=_INVENTORY,
)
SWAPPED = Fault(
    "pipeline-order-swapped",
    "one event is accepted at once and stored only after later ones of its device",
    _ITEM,
    _with(event_late=_BY_HTTP),
    platform.as_started,
    says="1 of 320 events came out after a later one of the same device",
    needs=_NEEDS,
    inventory=_INVENTORY,
)
DELAYED = Fault(
    "pipeline-delayed",
    "events that enter by HTTP are held back for five seconds",
    _ITEM,
    _with(event_delay_s=5.0),
    platform.as_started,
    says="p99 of the delay is",
    needs=_NEEDS,
    inventory=_INVENTORY,
)
UNTOLD = Fault(
    "pipeline-event-not-shown",
    "one event is stored, and those who listen are not told",
    _ITEM,
    _with(event_untold=_BY_HTTP),
    platform.as_started,
    says="were stored (api, database) and never came out at websocket, server-sent events",
    needs=_NEEDS,
    inventory=_INVENTORY,
)
SEEN = Fault(
    "pipeline-devices-seen",
    "users see the devices of all tenants, synthetic ones among them",
    _ITEM,
    _with(devices_of_anybody=True),
    platform.as_started,
    says="devices of the plant shows the device synthetic-b-5",
    needs=_NEEDS,
    inventory=_INVENTORY,
)
