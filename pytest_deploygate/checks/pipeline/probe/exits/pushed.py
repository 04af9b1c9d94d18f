"""Events that the platform pushes: WebSocket and server-sent events. A connection that ends is opened again, and noted."""

from __future__ import annotations

import abc
import asyncio
import contextlib
from collections.abc import AsyncGenerator

import aiohttp

from pytest_deploygate.checks.pipeline.probe import connecting
from pytest_deploygate.checks.pipeline.probe.events import Events
from pytest_deploygate.checks.pipeline.probe.seen import Seen
from pytest_deploygate.checks.pipeline.section.exits import SseExit, WebSocketExit
from pytest_deploygate.clients.budget import Spending
from pytest_deploygate.model import CannotTell

_AGAIN_S, _LONGEST_AGAIN_S = 0.2, 2.0
_EVENT_STREAM = "text/event-stream"


class _RefusedError(Exception):
    """The platform answered, but not with events."""


class _Pushed(abc.ABC):
    """A connection on which events come."""

    def __init__(
        self,
        name: str,
        out: WebSocketExit | SseExit,
        events: Events,
        seen: Seen,
        spending: Spending,
        path: str,
    ) -> None:
        self._name, self._out, self._events, self._seen = name, out, events, seen
        self._spending, self._path = spending, path
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Subscribe. Raises CannotTell."""
        self._session = connecting.session(self._out, self._spending, 1)
        self._task = asyncio.create_task(self._follow())
        await self._opened

    async def last(self) -> None:  # noqa: B027 (nothing is kept here)
        """Do nothing: events came, or not."""

    async def end(self) -> None:
        """Close."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            await self._session.close()

    @abc.abstractmethod
    def _messages(self) -> AsyncGenerator[str, None]:
        """Connect, call `_is_open`, and yield messages until the connection ends. Raises _RefusedError."""

    def _is_open(self) -> None:
        if not self._opened.done():
            self._opened.set_result(None)
        self._wait_s = _AGAIN_S

    async def _follow(self) -> None:
        self._wait_s = _AGAIN_S
        while True:
            try:
                async with contextlib.aclosing(self._messages()) as messages:
                    async for message in messages:
                        if numbers := self._events.numbers(message, self._path):
                            self._seen.pushed(numbers)
                why = "the platform closed the connection"
            except _RefusedError as error:
                why = str(error)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                why = connecting.why(error)
            if not self._opened.done():
                self._opened.set_exception(CannotTell(f"{self._name} ({self._out.url}): {why}"))
                return
            self._seen.broke(why)
            await asyncio.sleep(self._wait_s)
            self._wait_s = min(2 * self._wait_s, _LONGEST_AGAIN_S)


class PushedWebSocket(_Pushed):
    """A WebSocket."""

    _out: WebSocketExit

    async def _messages(self) -> AsyncGenerator[str, None]:
        socket = await connecting.websocket(self._session, self._out, self._out.url)
        try:
            for text in self._out.subscribe:
                await socket.send_str(text)
            self._is_open()
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    yield message.data
                elif message.type is aiohttp.WSMsgType.BINARY:
                    yield message.data.decode(errors="replace")
            if socket.close_code not in (None, 1000, 1001, 1005):
                raise _RefusedError(f"the platform closed the connection with code {socket.close_code}")
        finally:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                await socket.close()


class PushedSse(_Pushed):
    """Server-sent events, as WHATWG's HTML describes them."""

    _out: SseExit

    async def _messages(self) -> AsyncGenerator[str, None]:
        wait_s = self._out.timeout.total_seconds() if self._out.timeout else connecting.CONNECT_S
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=wait_s)
        asked = self._session.get(self._out.url, headers={"Accept": _EVENT_STREAM}, timeout=timeout)
        answer = await asyncio.wait_for(asked, wait_s)
        transport = answer.connection.transport if answer.connection else None
        try:
            kind = answer.content_type
            if answer.status != 200 or kind != _EVENT_STREAM:
                raise _RefusedError(
                    f"answered with {answer.status}, {kind}; 200 and {_EVENT_STREAM} were expected"
                )
            self._is_open()
            data: list[str] = []
            left = b""
            async for chunk, _ in answer.content.iter_chunks():
                *lines, left = (left + chunk).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
                for line in lines:
                    if line.startswith(b"data:"):
                        data.append(line[5:].removeprefix(b" ").decode(errors="replace"))
                    elif not line and data:
                        yield "\n".join(data)
                        data = []
        finally:
            answer.close()
            if transport is not None:
                transport.abort()  # a stream has no end that could be waited for
