"""Readings over MQTT: one consumer takes them from the broker, in the order in which they came.

Run as `python -m pytest_deploygate.lab.application.consumer FOLDER`. Its session is kept by the broker, so what comes while it
is away waits there; a reading that comes twice is stored once.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path

import aiomqtt
import psycopg

from pytest_deploygate.lab.application import ingest, settings
from pytest_deploygate.lab.application.settings import Settings
from pytest_deploygate.lab.application.store import Store
from pytest_deploygate.lab.application.switches import Switches
from pytest_deploygate.lab.state import HOST

TOPIC = "readings"
USER = "platform"


async def run(folder: Path) -> None:
    """Take readings until the process is ended; connect again when the broker or the database was away."""
    own = settings.load(folder)
    store = Store(own)
    await store.open()
    while True:
        try:
            await _consume(own, store, own.switches())
        except (aiomqtt.MqttError, psycopg.Error) as error:
            sys.stderr.write(f"{' '.join(str(error).split())}\n")
        await asyncio.sleep(0.2)


async def _consume(own: Settings, store: Store, switches: Switches) -> None:
    client = aiomqtt.Client(
        HOST,
        own.mqtt_port or 0,
        username=USER,
        password=own.secret("mqtt"),
        identifier="platform-consumer",
        clean_session=False,
        max_inflight_messages=100,
    )
    async with client:
        await client.subscribe(f"{TOPIC}/+", qos=1)
        sys.stderr.write("subscribed\n")
        async for message in client.messages:
            with contextlib.suppress(ValueError):
                document = json.loads(bytes(message.payload))
                # The topic says which device sent it, and the broker who may write there.
                device = str(message.topic).partition("/")[2]
                await ingest.take(store, switches, ingest.parse({**document, "device": device}))


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1])))
