"""Events sent on one WebSocket."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp

from pytest_deploygate.checks.pipeline.probe import connecting
from pytest_deploygate.checks.pipeline.probe.events import Events
from pytest_deploygate.checks.pipeline.probe.seen import Told
from pytest_deploygate.checks.pipeline.section.entrances import WebSocketEntrance
from pytest_deploygate.clients.budget import Spending
from pytest_deploygate.model import CannotTell


class WebSocket:
    """One connection. Events are written in the order in which they are due."""

    def __init__(
        self, name: str, entrance: WebSocketEntrance, told: Told, spending: Spending, events: Events
    ) -> None:
        self._name, self._entrance, self._told, self._spending = name, entrance, told, spending
        self._events = events
        self._waiting: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        """Connect. Raises CannotTell."""
        try:
            self._session = connecting.session(self._entrance, self._spending, 1)
            self._socket = await connecting.websocket(self._session, self._entrance, self._entrance.url)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise CannotTell(f"{self._name} ({self._entrance.url}): {connecting.why(error)}") from None
        self._tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._read())]

    def send(self, number: int, device: str, message: bytes) -> None:  # noqa: ARG002 (it is in the message)
        """Begin to send an event. If the other side takes them too slowly, that is its delay."""
        self._told.begun(number)
        self._waiting.put_nowait((number, message))

    async def end(self) -> None:
        """Close."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if hasattr(self, "_session"):
            with contextlib.suppress(aiohttp.ClientError, OSError, AttributeError):
                await self._socket.close()
            await self._session.close()

    async def _write(self) -> None:
        while True:
            number, message = await self._waiting.get()
            try:
                await self._socket.send_str(message.decode())
            except (aiohttp.ClientError, OSError) as error:
                self._told.refuse(number, connecting.why(error), answered=False)

    async def _read(self) -> None:
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.TEXT and self._entrance.acknowledges:
                for number in self._events.numbers(message.data):
                    self._told.accept(number)
