"""Events sent by HTTP: one request for each, none waits for the answer to another."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import aiohttp

from pytest_deploygate.checks.pipeline.probe import connecting
from pytest_deploygate.checks.pipeline.probe.seen import Told
from pytest_deploygate.checks.pipeline.section.entrances import HttpEntrance
from pytest_deploygate.clients.budget import Spending
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact, shortened

_AT_ONCE = 128


class Http:
    """Requests to one address."""

    def __init__(self, name: str, entrance: HttpEntrance, told: Told, spending: Spending) -> None:
        self._name, self._entrance, self._told, self._spending = name, entrance, told, spending
        self._timeout = aiohttp.ClientTimeout(total=entrance.timeout.total_seconds())
        self._open: set[asyncio.Task[None]] = set()

    async def begin(self) -> None:
        """Connections are opened when events are sent. Raises CannotTell if trust cannot be read."""
        try:
            self._session = connecting.session(
                self._entrance, self._spending, self._spending.at_once(_AT_ONCE)
            )
        except CannotTell as error:
            raise CannotTell(f"{self._name}: {error}") from None
        self._session.headers.setdefault("Content-Type", "application/json")

    def send(self, number: int, device: str, message: bytes) -> None:
        """Begin to send an event."""
        task = asyncio.create_task(self._post(number, device, message))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def end(self) -> None:
        """Give up what is still open."""
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await self._session.close()

    async def _post(self, number: int, device: str, message: bytes) -> None:
        entrance, told = self._entrance, self._told
        url = entrance.url.replace("{device}", quote(device, safe=""))
        told.begun(number)
        try:
            async with self._session.request(
                entrance.method, url, data=message, timeout=self._timeout, allow_redirects=False
            ) as answer:
                body = await answer.text(errors="replace")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            told.refuse(number, connecting.why(error), answered=False)
            return
        if answer.status not in entrance.status:
            said = shortened(redact(" ".join(body.split())), 120)
            why = f"answered with {answer.status}{f': {said}' if said else ''}"
            told.refuse(number, why, answered=True, broken=answer.status >= 500)
        elif lacking := entrance.lacking(body):
            told.refuse(number, f"answered with {answer.status}, {lacking}", answered=True)
        else:
            told.accept(number)
