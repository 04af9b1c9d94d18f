"""An HTTP front that has ModSecurity look at each request before it goes on to an application on a Unix socket.

Run as `python -m pytest_deploygate.lab.modsecurity.front FILE`. FILE is JSON with the fields of `Front`. The application
is in the same process, so nothing is left when it is killed; it is what nginx serves where nginx is the WAF.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import libmodsecurity

from pytest_deploygate.lab.modsecurity.message import MOST_HEAD, RefusedError, Request, answer, read
from pytest_deploygate.lazy import dataclass

#: Connections that are open at the same time; more wait.
_MOST = 256
_IDLE_S = 60.0
#: How a connection ends: by the client, by its silence, or with this process.
_ENDED = (ConnectionError, asyncio.IncompleteReadError, TimeoutError, asyncio.CancelledError)
_PAGES = {
    "/search": (200, "<!doctype html><title>Search</title><p>Nothing was found.</p>\n", "text/html"),
    "/api/echo": (200, '{"received": true}\n', "application/json"),
}
_NO_PAGE = (404, "<!doctype html><title>Not found</title><p>There is no such page.</p>\n", "text/html")


@dataclass(frozen=True)
class Front:
    """Where the front listens, the file of its rules, and the application's socket.

    `page` is a block page that is sent with status 200; without one, a block is a plain 403. `origin` is a further address
    and port of the application, which serves `admits` alone if that is given. `generation` is the number of this
    configuration, which `/generation` says.
    """

    address: str
    port: int
    rules: str
    socket: str
    generation: int = 0
    page: str = ""
    origin: tuple[str, int] | None = None
    admits: str = ""


class Guard:
    """ModSecurity with its rules. Raises ValueError for rules that it does not understand."""

    def __init__(self, front: Front) -> None:
        self._engine = libmodsecurity.ModSecurity()
        self._engine.set_log_callback(lambda _said: None)
        self._rules = libmodsecurity.RulesSet()
        if self._rules.load_from_uri(front.rules) < 0:
            raise ValueError(f"{front.rules}: {self._rules.get_parser_error()}")

    def stops(self, request: Request, client: str) -> bool:
        """Return whether the rules deny a request."""
        with self._engine.transaction(self._rules) as look:

            def denied() -> bool:
                found = look.intervention()
                return found is not None and found.disruptive

            look.process_connection(client, 0, "127.0.0.1", 80)
            look.process_uri(request.target, request.method, request.version.removeprefix("HTTP/"))
            stopped = denied()
            if not stopped:
                for name, value in request.headers:
                    look.add_request_header(name, value)
                look.process_request_headers()
                stopped = denied()
            if not stopped:
                look.append_request_body(request.body)
                look.process_request_body()
                stopped = denied()
            return stopped  # the last phase, in which bans are counted, is run by leaving this block


async def serve(front: Front, guard: Guard) -> None:
    """Serve until the process is told to end."""
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    open_at_once = asyncio.Semaphore(_MOST)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(
            await asyncio.start_unix_server(_application, front.socket, limit=MOST_HEAD)
        )
        if front.origin:
            await stack.enter_async_context(
                await asyncio.start_server(partial(_origin, front.admits), *front.origin, limit=MOST_HEAD)
            )
        handle = partial(_guarded, front, guard, open_at_once)
        await stack.enter_async_context(
            await asyncio.start_server(handle, front.address, front.port, limit=MOST_HEAD)
        )
        await ended.wait()


async def _guarded(
    front: Front,
    guard: Guard,
    open_at_once: asyncio.Semaphore,
    stream: asyncio.StreamReader,
    back: asyncio.StreamWriter,
) -> None:
    client = str(back.get_extra_info("peername")[0])
    block = (200, front.page) if front.page else (403, "<!doctype html><title>Forbidden</title>\n")

    async def said(request: Request) -> bytes:
        if request.target == "/generation":
            return answer(200, str(front.generation))
        if guard.stops(request, client):
            return answer(*block, head=request.method == "HEAD")
        return await _passed_on(front, request)

    async with open_at_once:
        await _each(stream, back, said)


async def _origin(admits: str, stream: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
    """Answer as the application does, but nobody else than `admits` if that is given."""
    if admits and back.get_extra_info("peername")[0] != admits:
        await _each(stream, back, _refused)
    else:
        await _application(stream, back)


async def _refused(request: Request) -> bytes:
    return answer(403, "<!doctype html><title>Forbidden</title>\n", head=request.method == "HEAD")


async def _application(stream: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
    """Answer as a search, and an API that keeps nothing."""

    async def said(request: Request) -> bytes:
        status, page, kind = _PAGES.get(request.target.partition("?")[0], _NO_PAGE)
        return answer(status, page, kind, head=request.method == "HEAD")

    await _each(stream, back, said)


async def _each(
    stream: asyncio.StreamReader, back: asyncio.StreamWriter, said: Callable[[Request], Awaitable[bytes]]
) -> None:
    """Answer each request of a connection until one of both sides ends it."""
    try:
        while (request := await asyncio.wait_for(read(stream), _IDLE_S)) is not None:
            back.write(await said(request))
            await back.drain()
            if not request.keeps:
                break
    except RefusedError as error:
        back.write(answer(error.status, "<!doctype html><title>Bad request</title>\n"))
    except _ENDED:
        pass
    finally:
        with contextlib.suppress(*_ENDED):
            await back.drain()
        back.close()


async def _passed_on(front: Front, request: Request) -> bytes:
    """Return what the application says."""
    stream, back = await asyncio.open_unix_connection(front.socket)
    try:
        lines = [f"{request.method} {request.target} {request.version}", "Connection: close"]
        lines += [
            f"{name}: {value}"
            for name, value in request.headers
            if name.lower() not in ("connection", "content-length", "transfer-encoding")
        ]
        lines.append(f"Content-Length: {len(request.body)}")
        back.write("\r\n".join([*lines, "", ""]).encode() + request.body)
        return await stream.read(-1)
    finally:
        back.close()


def main(file: Path) -> None:
    """Read what is wanted, and serve."""
    front = Front(**json.loads(file.read_text()))
    try:
        guard = Guard(front)
    except ValueError as error:
        sys.exit(str(error))
    Path(front.socket).unlink(missing_ok=True)
    asyncio.run(serve(front, guard))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
