"""Events go out: over WebSocket and as server-sent events, to everybody of the tenant that they belong to."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import psycopg
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from pytest_deploygate.lab.application import accounts, ingest, tokens
from pytest_deploygate.lab.application.accounts import User

Event = dict[str, Any]
#: Whoever does not read for so many events has lost some, and is disconnected.
_WAITING = 10_000


class Hub:
    """Whoever listens at this replica, and the database's notifications, which tell what any replica stored."""

    def __init__(self) -> None:
        self._listeners: dict[asyncio.Queue[Event], str] = {}

    @contextlib.contextmanager
    def listening(self, tenant: str) -> Iterator[asyncio.Queue[Event]]:
        """Give a queue of the events of a tenant, from now on."""
        queue: asyncio.Queue[Event] = asyncio.Queue(_WAITING)
        self._listeners[queue] = tenant
        try:
            yield queue
        finally:
            del self._listeners[queue]

    def tell(self, event: Event) -> None:
        """Put an event into the queues of its tenant."""
        for queue, tenant in self._listeners.items():
            if tenant == event["tenant"] and not queue.full():
                queue.put_nowait(event)

    async def run(self, app: Starlette) -> None:
        """Listen to the database until cancelled, and again when the connection was lost."""
        while True:
            with contextlib.suppress(psycopg.Error, OSError):
                connection = await psycopg.AsyncConnection.connect(
                    app.state.settings.conninfo(), autocommit=True
                )
                async with connection:
                    await connection.execute(f"LISTEN {ingest.CHANNEL}")
                    async for told in connection.notifies():
                        self.tell(ingest.event(told.payload))
            await asyncio.sleep(0.2)


async def user_of(connection: HTTPConnection) -> User | None:
    """Return who asks: by token, or by the session's cookie."""
    return await tokens.by_token(connection) or await accounts.by_cookie(
        connection.app.state.store, connection
    )


def shown(event: Event) -> Event:
    """Return what of an event is sent to users."""
    return {name: event[name] for name in ("id", "device", "sent_at", "value")}


async def _stream(socket: WebSocket, *, raw: bool) -> None:
    user = await user_of(socket)
    if user is None:
        await socket.close(4401)
        return
    await socket.accept()
    with socket.app.state.hub.listening(user.tenant) as queue:
        reader = asyncio.create_task(_until_closed(socket))
        writer = asyncio.create_task(_write(socket, queue, raw=raw))
        _, left = await asyncio.wait((reader, writer), return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()
        await asyncio.gather(reader, writer, return_exceptions=True)


async def _until_closed(socket: WebSocket) -> None:
    """Read what the client sends, which means nothing here, so that its close is seen."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while True:
            await socket.receive_text()


async def _write(socket: WebSocket, queue: asyncio.Queue[Event], *, raw: bool) -> None:
    switches = socket.app.state.switches
    while True:
        event = await queue.get()
        if raw:
            await socket.send_text(json.dumps(shown(event)))
        elif not switches.on("live_frozen"):
            await socket.send_text(json.dumps(live(event)))


def live(event: Event) -> Event:
    """Return what pages are told: the value, and whether an alert was raised or cleared."""
    return {**shown(event), "raised": event["raised"], "cleared": event["cleared"]}


async def events_socket(socket: WebSocket) -> None:
    """Send every reading of the user's tenant as JSON."""
    await _stream(socket, raw=True)


async def live_socket(socket: WebSocket) -> None:
    """Send pages what changed."""
    await _stream(socket, raw=False)


async def events(request: Request) -> Response:
    """Send every reading of the user's tenant as a server-sent event."""
    user = await user_of(request)
    if user is None:
        raise HTTPException(401, "a token is needed", {"WWW-Authenticate": "Bearer"})
    return StreamingResponse(
        _sent_events(request, user.tenant),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store"},
    )


async def _sent_events(request: Request, tenant: str) -> AsyncIterator[str]:
    with request.app.state.hub.listening(tenant) as queue:
        yield ": here\n\n"
        while True:
            try:
                event = await asyncio.wait_for(queue.get(), 5.0)
            except TimeoutError:
                yield ": still here\n\n"
                continue
            yield f"id: {event['id']}\nevent: reading\ndata: {json.dumps(shown(event))}\n\n"


ROUTES = [
    WebSocketRoute("/ws/events", events_socket),
    WebSocketRoute("/ws/live", live_socket),
    Route("/events", events),
]
