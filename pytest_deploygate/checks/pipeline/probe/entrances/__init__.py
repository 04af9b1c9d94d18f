"""The ways in: what they have in common, and making the one that an inventory names."""

from __future__ import annotations

from typing import Protocol

from pytest_deploygate.checks.pipeline.probe.events import Events
from pytest_deploygate.checks.pipeline.probe.seen import Told
from pytest_deploygate.checks.pipeline.section.entrances import Entrance
from pytest_deploygate.clients.budget import Spending

__all__ = ["WayIn", "made"]


class WayIn(Protocol):
    """A connection on which events are sent. `send` does not wait: it tells `Told` what became of an event."""

    async def begin(self) -> None:
        """Connect. Raises CannotTell."""

    def send(self, number: int, device: str, message: bytes) -> None:
        """Begin to send an event."""

    async def end(self) -> None:
        """Close, without waiting for the other side."""


def made(entrance: Entrance, told: Told, spending: Spending, events: Events) -> WayIn:
    """Return the way in that an inventory names. Clients of protocols are imported only where they are used."""
    if entrance.mqtt is not None:
        from pytest_deploygate.checks.pipeline.probe.entrances.mqtt import Mqtt  # noqa: PLC0415

        return Mqtt(entrance.name, entrance.mqtt, told)
    if entrance.kafka is not None:
        from pytest_deploygate.checks.pipeline.probe.entrances.kafka import Kafka  # noqa: PLC0415

        return Kafka(entrance.name, entrance.kafka, told)
    if entrance.amqp is not None:
        from pytest_deploygate.checks.pipeline.probe.entrances.amqp import Amqp  # noqa: PLC0415

        return Amqp(entrance.name, entrance.amqp, told)
    if entrance.websocket is not None:
        from pytest_deploygate.checks.pipeline.probe.entrances.websocket import WebSocket  # noqa: PLC0415

        return WebSocket(entrance.name, entrance.websocket, told, spending, events)
    if entrance.http is not None:
        from pytest_deploygate.checks.pipeline.probe.entrances.http import Http  # noqa: PLC0415

        return Http(entrance.name, entrance.http, told, spending)
    raise ValueError(entrance)
