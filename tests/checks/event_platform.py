"""A small platform for events: taken by HTTP and WebSocket, kept in memory, pushed by WebSocket and server-sent events.

What it does wrong is said by its attributes. Runs in a thread of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator

from aiohttp import WSMsgType, web


class EventPlatform:
    """Attributes that name events have the numbers with which ids end; they are applied when an event is taken."""

    def __init__(self) -> None:
        self.lost: set[int] = set()  # accepted and forgotten
        self.unshown: set[int] = set()  # stored, not pushed
        self.unstored: set[int] = set()  # pushed, not stored
        self.doubled: set[int] = set()
        self.late: dict[int, float] = {}  # accepted at once, passed on after so many seconds
        self.refused: set[int] = set()  # answered with 503
        self.silent: set[int] = set()  # never answered, and forgotten
        self.delay_s = 0.0
        self.status = 202  # of every event
        self.quiet = False  # nothing is pushed
        self.cuts_at: int | None = None  # the event at which all sockets are closed by the server
        self.counts = 0  # events in the number of a page
        self.shows_devices = False
        self.stored: list[dict[str, object]] = []
        self.agents: set[str] = set()
        self.cleaned = 0
        self._queues: set[asyncio.Queue[dict[str, object] | None]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""
        self.loop = asyncio.new_event_loop()

    @property
    def socket(self) -> str:
        return self.url.replace("http", "ws", 1)

    def taken(self, body: bytes) -> None:
        """Take an event that another thread has from a broker."""
        asyncio.run_coroutine_threadsafe(self._take(json.loads(body)), self.loop)

    async def _take(self, event: dict[str, object]) -> None:
        number = int(str(event["id"])[-12:], 16)
        if number in self.lost:
            return
        wait_s = self.late.get(number, self.delay_s)
        if wait_s:
            task = asyncio.create_task(self._later(event, number, wait_s))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._pass_on(event, number)

    async def _later(self, event: dict[str, object], number: int, wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        self._pass_on(event, number)

    def _pass_on(self, event: dict[str, object], number: int) -> None:
        for _ in range(2 if number in self.doubled else 1):
            if number not in self.unstored:
                self.stored.append(event)
                self.counts += 1
            if number == self.cuts_at:
                for queue in self._queues:
                    queue.put_nowait(None)
            elif number not in self.unshown and not self.quiet:
                for queue in self._queues:
                    queue.put_nowait(event)

    async def _post(self, request: web.Request) -> web.Response:
        self.agents.add(request.headers.get("User-Agent", ""))
        event = await request.json()
        number = int(event["id"][-12:], 16)
        if number in self.silent:
            await asyncio.sleep(30)
        if number in self.refused:
            return web.Response(status=503, text="overloaded")
        if self.status < 300:
            await self._take(event)
        return web.Response(status=self.status)

    async def _ingest(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                event = json.loads(message.data)
                await self._take(event)
                await socket.send_json({"accepted": event["id"]})
        return socket

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        with self._listening() as queue:
            while (event := await queue.get()) is not None:
                await socket.send_json({"type": "reading", "reading": event})
        await socket.close(code=1011)
        return socket

    async def _events(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        with self._listening() as queue:
            while (event := await queue.get()) is not None:
                await answer.write(b": x\n" + f"id: {event['id']}\ndata: {json.dumps(event)}\n\n".encode())
        return answer

    async def _read(self, request: web.Request) -> web.Response:
        device = request.query.get("device")
        return web.json_response({"items": [e for e in self.stored if device in (None, e["device"])]})

    async def _clean(self, request: web.Request) -> web.Response:
        self.cleaned += 1
        self.stored = [e for e in self.stored if e["device"] != request.query["device"]]
        return web.Response(status=204)

    async def _page(self, _: web.Request) -> web.Response:
        shown = "synthetic-1" if self.shows_devices else "press-1"
        return web.Response(
            text=f"<p>{self.counts:,} readings today</p><p>{shown}</p>", content_type="text/html"
        )

    @contextlib.contextmanager
    def _listening(self) -> Iterator[asyncio.Queue[dict[str, object] | None]]:
        queue: asyncio.Queue[dict[str, object] | None] = asyncio.Queue()
        self._queues.add(queue)
        try:
            yield queue
        finally:
            self._queues.discard(queue)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/readings", self._post),
            web.get("/readings", self._read),
            web.delete("/readings", self._clean),
            web.get("/ingest", self._ingest),
            web.get("/socket", self._socket),
            web.get("/events", self._events),
            web.get("/page", self._page),
        ]


@contextlib.contextmanager
def served() -> Iterator[EventPlatform]:
    """Serve one on a free port."""
    platform, ready = EventPlatform(), threading.Event()
    loop = platform.loop
    over = asyncio.Event()

    async def main() -> None:
        app = web.Application()
        app.add_routes(platform.routes())
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        platform.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        ready.set()
        await over.wait()
        await runner.cleanup()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()), daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield platform
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
