"""Events written to a topic of Kafka: acknowledged by all replicas, and never twice by ourselves."""

from __future__ import annotations

import asyncio
import contextlib

from pytest_deploygate.checks.pipeline.probe.seen import Told
from pytest_deploygate.checks.pipeline.section.entrances import KafkaEntrance
from pytest_deploygate.clients.tls.client_context import client_context
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact, shortened

_CONNECT_S = 15.0
_ANSWER_MS = 10_000


class Kafka:
    """A producer. The device's name is the key, so that its events stay in order in one partition."""

    def __init__(self, name: str, entrance: KafkaEntrance, told: Told) -> None:
        self._name, self._entrance, self._told = name, entrance, told
        self._open: set[asyncio.Task[None]] = set()
        self._waiting: asyncio.Queue[tuple[int, str, bytes]] = asyncio.Queue()
        self._writer: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Connect. Raises CannotTell."""
        try:
            from aiokafka import AIOKafkaProducer  # noqa: PLC0415 (an extra)
            from aiokafka.errors import KafkaError  # noqa: PLC0415
        except ImportError:
            raise CannotTell(
                f"{self._name}: events can't be sent to Kafka without a client: pip install 'pytest-deploygate[events]'"
            ) from None
        entrance = self._entrance
        self._errors: tuple[type[BaseException], ...] = (KafkaError, OSError)
        protocol = ("SASL_" if entrance.user else "") + ("SSL" if entrance.tls else "PLAINTEXT")
        self._producer = AIOKafkaProducer(
            bootstrap_servers=entrance.servers,
            client_id="deploygate",
            acks="all",
            linger_ms=0,
            enable_idempotence=True,
            request_timeout_ms=_ANSWER_MS,
            security_protocol=protocol,
            ssl_context=client_context(entrance.ca_file) if entrance.tls else None,
            sasl_mechanism=entrance.mechanism,
            sasl_plain_username=entrance.user,
            sasl_plain_password=entrance.password.reveal() if entrance.password else None,
        )
        servers = ", ".join(entrance.servers)
        try:
            await asyncio.wait_for(self._producer.start(), _CONNECT_S)
            if not await asyncio.wait_for(self._producer.partitions_for(entrance.topic), _CONNECT_S):
                raise CannotTell(f"{self._name}: Kafka at {servers} has no topic {entrance.topic}")
        except self._errors as error:
            said = shortened(redact(f"{type(error).__name__}: {error}"), 160)
            raise CannotTell(f"{self._name}: Kafka at {servers} cannot be used: {said}") from None
        except TimeoutError:
            raise CannotTell(
                f"{self._name}: Kafka at {servers} did not answer within {_CONNECT_S:g} s"
            ) from None
        self._writer = asyncio.create_task(self._write())

    def send(self, number: int, device: str, message: bytes) -> None:
        """Begin to send an event. If the other side takes them too slowly, that is its delay."""
        self._told.begun(number)
        self._waiting.put_nowait((number, device, message))

    async def end(self) -> None:
        """Close."""
        tasks = [*self._open, *([self._writer] if self._writer else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if hasattr(self, "_producer"):
            with contextlib.suppress(TimeoutError, *self._errors):
                await asyncio.wait_for(self._producer.stop(), 0.5)

    async def _write(self) -> None:
        while True:
            number, device, message = await self._waiting.get()
            try:
                acknowledged = await self._producer.send(self._entrance.topic, message, key=device.encode())
            except self._errors as error:
                self._refused(number, error)
                continue
            task = asyncio.create_task(self._answer(number, acknowledged))
            self._open.add(task)
            task.add_done_callback(self._open.discard)

    async def _answer(self, number: int, acknowledged: asyncio.Future[object]) -> None:
        try:
            await acknowledged
        except self._errors as error:
            self._refused(number, error)
        else:
            self._told.accept(number)

    def _refused(self, number: int, error: BaseException) -> None:
        # Only errors with a number of the protocol are an answer of a broker.
        answered = bool(getattr(error, "errno", -1) and getattr(error, "errno", -1) > 0) and not isinstance(
            error, OSError
        )
        said = shortened(redact(f"{type(error).__name__}: {error}"), 160)
        self._told.refuse(number, f"Kafka: {said}", answered=answered)
