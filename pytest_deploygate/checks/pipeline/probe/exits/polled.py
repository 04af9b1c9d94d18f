"""Events that the platform keeps: read through an API or from the database, again and again.

Between which two reads an event appeared is known, not when.
"""

from __future__ import annotations

import abc
import asyncio
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from urllib.parse import quote

import aiohttp

from pytest_deploygate.checks.pipeline.probe import connecting
from pytest_deploygate.checks.pipeline.probe.events import Events
from pytest_deploygate.checks.pipeline.probe.seen import Seen
from pytest_deploygate.checks.pipeline.section.exits import ApiExit, DatabaseExit, Polled
from pytest_deploygate.clients.budget import Spending
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact, shortened


class _Polled(abc.ABC):
    """A place that is read in steps."""

    def __init__(self, name: str, out: Polled, events: Events, seen: Seen, path: str) -> None:
        self._name, self._section, self._events, self._seen, self._path = name, out, events, seen, path
        self._task: asyncio.Task[None] | None = None
        self._before = time.monotonic()

    async def begin(self) -> None:
        """Read for the first time. Raises CannotTell."""
        await self._once()
        self._task = asyncio.create_task(self._follow())

    async def last(self) -> None:
        """Read once more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        try:
            await self._once()
        except CannotTell as error:
            self._seen.problem = str(error)

    async def end(self) -> None:
        """Close."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def count(self) -> int:
        """Return how many of our events are kept now. Raises CannotTell."""
        return len(set(await self._read()))

    @abc.abstractmethod
    async def _read(self) -> list[int]:
        """Return the numbers of all events that are kept, as sorted there. Raises CannotTell."""

    async def _once(self) -> None:
        began = time.monotonic()
        numbers = await self._read()
        if self._section.order == "newest first":
            numbers.reverse()
        self._seen.kept(numbers, self._before)
        self._before = began

    async def _follow(self) -> None:
        every_s = self._section.every.total_seconds()
        while True:
            began = time.monotonic()
            try:
                await self._once()
            except CannotTell as error:
                self._seen.broke(str(error))
            await asyncio.sleep(max(0.0, every_s - (time.monotonic() - began)))


class PolledApi(_Polled):
    """Readings that an API returns."""

    def __init__(
        self,
        name: str,
        out: ApiExit,
        events: Events,
        seen: Seen,
        spending: Spending,
        path: str,
        devices: Sequence[str],
        since: datetime,
    ) -> None:
        super().__init__(name, out, events, seen, path)
        self._out, self._spending = out, spending
        url = out.url.replace("{since}", quote(since.isoformat().replace("+00:00", "Z"), safe=""))
        each = "{device}" in url
        self._urls = (
            [url.replace("{device}", quote(device, safe="")) for device in devices] if each else [url]
        )
        self._session: aiohttp.ClientSession | None = None

    async def begin(self) -> None:
        """Read for the first time. Raises CannotTell."""
        self._session = connecting.session(self._out, self._spending, 8)
        await super().begin()

    async def end(self) -> None:
        """Close."""
        await super().end()
        if self._session is not None:
            await self._session.close()

    async def _read(self) -> list[int]:
        parts = await asyncio.gather(*map(self._answer, self._urls))
        return [number for part in parts for number in part]

    async def _answer(self, url: str) -> list[int]:
        out = self._out
        limit = aiohttp.ClientTimeout(total=out.timeout.total_seconds())
        self._spending.take(opens=0)
        if self._session is None:
            raise CannotTell(f"{self._name} was not begun")
        try:
            async with self._session.request(out.method, url, data=out.sent, timeout=limit) as answer:
                body = await answer.text(errors="replace")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise CannotTell(f"{self._name} ({url}): {connecting.why(error)}") from None
        if answer.status not in out.status:
            said = shortened(redact(" ".join(body.split())), 120)
            raise CannotTell(
                f"{self._name} ({url}) answered with {answer.status}, {out.expected} was expected: {said}"
            )
        if lacking := out.lacking(body):
            raise CannotTell(f"{self._name} ({url}): {lacking}")
        try:
            json.loads(body)
        except ValueError:
            raise CannotTell(
                f"{self._name} ({url}) answered with {answer.content_type} that is no JSON"
            ) from None
        return self._events.numbers(body, self._path)


class PolledDatabase(_Polled):
    """Rows of a query."""

    def __init__(
        self,
        name: str,
        out: DatabaseExit,
        events: Events,
        seen: Seen,
        database: Cluster,
        path: str,
        devices: Sequence[str],
        since: datetime,
    ) -> None:
        super().__init__(name, out, events, seen, path)
        self._query, self._database = out.query, database
        self._parameters = {"devices": list(devices), "since": since}
        self._pool = ThreadPoolExecutor(1, "pipeline")

    async def end(self) -> None:
        """Close."""
        await super().end()
        self._pool.shutdown(wait=False)

    async def _read(self) -> list[int]:
        cluster = self._database
        rows = await asyncio.get_running_loop().run_in_executor(
            self._pool, cluster.rows, cluster.primary, self._query, self._parameters
        )
        # A row counts once, however many of its columns have the id.
        return [
            number
            for row in rows
            for number in dict.fromkeys(self._events.numbers_of([_as_text(v) for v in row]))
        ]


def _as_text(value: object) -> object:
    return value if isinstance(value, dict | list) else str(value)
