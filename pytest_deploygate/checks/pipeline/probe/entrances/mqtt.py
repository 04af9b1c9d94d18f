"""Events published by MQTT on one connection. No event waits for the acknowledgement of another."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
from typing import Any

from pytest_deploygate.checks.pipeline.probe.seen import Told
from pytest_deploygate.checks.pipeline.section.entrances import MqttEntrance
from pytest_deploygate.clients import reach
from pytest_deploygate.clients.tls.client_context import client_context
from pytest_deploygate.model import CannotTell

_CONNECT_S = 10.0
#: The client's own bound on unacknowledged events would make it a closed loop.
_UNBOUNDED = 65_535
#: MQTT 5: the broker has the event, and nobody subscribed to its topic.
_NOBODY = 0x10


class Mqtt:
    """A connection to a broker. The client's own thread writes and reads."""

    def __init__(self, name: str, entrance: MqttEntrance, told: Told) -> None:
        self._name, self._entrance, self._told = name, entrance, told
        self._connected = threading.Event()
        self._refusal = ""
        self._guard = threading.Lock()
        self._numbers: dict[int, int] = {}
        self._early: dict[int, Any] = {}

    async def begin(self) -> None:
        """Connect. Raises CannotTell."""
        try:
            from paho.mqtt.client import Client  # noqa: PLC0415 (an extra)
            from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion  # noqa: PLC0415
        except ImportError:
            raise CannotTell(
                f"{self._name}: events can't be sent by MQTT without a client: pip install 'pytest-deploygate[events]'"
            ) from None
        entrance = self._entrance
        self._client = client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"deploygate-{secrets.token_hex(4)}",
            protocol=MQTTProtocolVersion.MQTTv5 if entrance.version == "5" else MQTTProtocolVersion.MQTTv311,
        )
        client.max_inflight_messages_set(_UNBOUNDED)
        client.max_queued_messages_set(0)
        client.on_connect, client.on_publish = self._on_connect, self._on_publish
        if entrance.user is not None:
            client.username_pw_set(entrance.user, entrance.password.reveal() if entrance.password else None)
        port = entrance.port or (8883 if entrance.tls else 1883)
        try:
            if entrance.tls:
                client.tls_set_context(client_context(entrance.ca_file))
            await asyncio.get_running_loop().run_in_executor(None, client.connect, entrance.host, port, 60)
        except OSError as error:
            why = reach.why_ours(error) or str(error)
            raise CannotTell(
                f"{self._name}: no connection to the broker {entrance.host}:{port} ({why})"
            ) from None
        client.loop_start()
        if not await asyncio.get_running_loop().run_in_executor(None, self._connected.wait, _CONNECT_S):
            raise CannotTell(
                f"{self._name}: the broker {entrance.host}:{port} did not answer within {_CONNECT_S:g} s"
            )
        if self._refusal:
            raise CannotTell(f"{self._name}: the broker {entrance.host}:{port} refuses us: {self._refusal}")

    def send(self, number: int, device: str, message: bytes) -> None:
        """Begin to send an event."""
        self._told.begun(number)
        topic = self._entrance.topic.replace("{device}", device)
        sent = self._client.publish(topic, message, qos=self._entrance.qos)
        if sent.rc:
            why = "the connection to the broker was lost"
            self._told.refuse(number, why, answered=False)
            return
        if self._entrance.qos:
            with self._guard:
                self._numbers[sent.mid] = number
                reason = self._early.pop(sent.mid, None)
            if reason is not None:
                self._acknowledged(sent.mid, reason)

    async def end(self) -> None:
        """Disconnect."""
        if hasattr(self, "_client"):
            with contextlib.suppress(OSError, ValueError):
                self._client.disconnect()
            await asyncio.get_running_loop().run_in_executor(None, self._client.loop_stop)

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self._refusal = str(reason) if reason.is_failure else ""
        self._connected.set()

    def _on_publish(self, _client: Any, _data: Any, mid: int, reason: Any, _properties: Any) -> None:
        with self._guard:
            if mid not in self._numbers:  # it was acknowledged before we knew its number
                self._early[mid] = reason
                return
        self._acknowledged(mid, reason)

    def _acknowledged(self, mid: int, reason: Any) -> None:
        number = self._numbers.pop(mid)
        if reason.is_failure:
            self._told.refuse(number, f"refused by the broker: {reason}", answered=True)
        else:
            self._told.accept(number, unheard=reason.value == _NOBODY)
