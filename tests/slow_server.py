"""A real HTTP server on loopback with programmable responses: delay, status and body."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter


@dataclass
class Answer:
    after_s: float = 0.0
    status: int = 200
    body: str = "ok"


@dataclass
class Server:
    """`answer` gets the request's number and the seconds since the first; `seen` are request heads and bodies."""

    answer: Callable[[int, float], Answer] = lambda _n, _t: Answer()
    port: int = 0
    seen: list[str] = field(default_factory=list)
    connections: int = 0
    began: float | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                length = next(
                    (int(x[15:]) for x in head.lower().split("\r\n") if x.startswith("content-length:")), 0
                )
                body = (await reader.readexactly(length)).decode()
                self.began = self.began or perf_counter()
                self.seen.append(head + body)
                answer = self.answer(len(self.seen), perf_counter() - self.began)
                if answer.after_s:
                    await asyncio.sleep(answer.after_s)
                text = (
                    f"HTTP/1.1 {answer.status} X\r\nContent-Length: {len(answer.body)}\r\n\r\n{answer.body}"
                )
                writer.write(text.encode())
                await writer.drain()
        # At the end every task is cancelled; one that says so is an error to Python 3.11's streams.
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


@contextmanager
def serving(
    answer: Callable[[int, float], Answer] | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[Server]:
    server = Server(answer or (lambda _n, _t: Answer()))
    ready, over = threading.Event(), threading.Event()

    async def main() -> None:
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls, backlog=1000)
        server.port = listening.sockets[0].getsockname()[1]
        ready.set()
        await asyncio.get_running_loop().run_in_executor(None, over.wait)
        listening.close()
        serving_tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in serving_tasks:
            task.cancel()
        await asyncio.gather(*serving_tasks, return_exceptions=True)
        await asyncio.sleep(0.05)  # transports close on the next turns of the loop

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield server
    finally:
        over.set()
        thread.join(10)
