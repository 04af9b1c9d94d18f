"""Events published by AMQP 0-9-1 on one channel, each confirmed by the broker."""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import quote, urlsplit

from pytest_deploygate.checks.pipeline.probe.seen import Told
from pytest_deploygate.checks.pipeline.section.entrances import AmqpEntrance
from pytest_deploygate.clients import reach
from pytest_deploygate.clients.tls.client_context import client_context
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact, shortened

_CONNECT_S = 15.0


class Amqp:
    """A channel with publisher confirms. An event that no queue takes comes back."""

    def __init__(self, name: str, entrance: AmqpEntrance, told: Told) -> None:
        self._name, self._entrance, self._told = name, entrance, told
        self._open: set[asyncio.Task[None]] = set()

    async def begin(self) -> None:
        """Connect. Raises CannotTell."""
        try:
            import aio_pika  # noqa: PLC0415 (an extra)
        except ImportError:
            raise CannotTell(
                f"{self._name}: events can't be sent by AMQP without a client: pip install 'pytest-deploygate[events]'"
            ) from None
        self._message = aio_pika.Message
        self._returned = aio_pika.exceptions.DeliveryError
        self._errors = (aio_pika.exceptions.AMQPError, OSError, RuntimeError)
        entrance = self._entrance
        place = urlsplit(entrance.url).netloc
        try:
            self._connection = await asyncio.wait_for(
                aio_pika.connect(
                    _with_user(entrance),
                    ssl=entrance.url.startswith("amqps:"),
                    ssl_context=client_context(entrance.ca_file)
                    if entrance.url.startswith("amqps:")
                    else None,
                ),
                _CONNECT_S,
            )
            channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
            self._exchange = (
                await channel.get_exchange(entrance.exchange)
                if entrance.exchange
                else channel.default_exchange
            )
        except TimeoutError:
            raise CannotTell(
                f"{self._name}: the broker {place} did not answer within {_CONNECT_S:g} s"
            ) from None
        except self._errors as error:
            said = reach.why_ours(error) or shortened(redact(f"{type(error).__name__}: {error}"), 160)
            raise CannotTell(f"{self._name}: the broker {place} cannot be used: {said}") from None

    def send(self, number: int, device: str, message: bytes) -> None:
        """Begin to send an event."""
        task = asyncio.create_task(self._publish(number, device, message))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def end(self) -> None:
        """Close."""
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        if hasattr(self, "_connection"):
            with contextlib.suppress(TimeoutError, *self._errors):
                await asyncio.wait_for(self._connection.close(), 0.5)

    async def _publish(self, number: int, device: str, message: bytes) -> None:
        told = self._told
        told.begun(number)
        key = self._entrance.routing_key.replace("{device}", device)
        try:
            await self._exchange.publish(
                self._message(message, content_type="application/json"), routing_key=key, mandatory=True
            )
        except self._returned as error:
            returned = getattr(error, "message", None)
            code = getattr(getattr(returned, "delivery", None), "reply_text", "") or "not confirmed"
            why = f"refused by the broker: {code} (routing key {key})"
            told.refuse(number, why, answered=True)
        except self._errors as error:
            said = shortened(redact(f"{type(error).__name__}: {error}"), 160)
            told.refuse(number, said, answered=False)
        else:
            told.accept(number)


def _with_user(entrance: AmqpEntrance) -> str:
    if entrance.user is None:
        return entrance.url
    scheme, _, rest = entrance.url.partition("://")
    password = quote(entrance.password.reveal(), safe="") if entrance.password else ""
    return f"{scheme}://{quote(entrance.user, safe='')}:{password}@{rest}"
