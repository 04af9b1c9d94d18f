"""Our own delay at 1,000 events/s for 30 s: `python benchmarks/pipeline.py`. The target is under 5 ms at p99.

A small platform in a process of its own takes events by HTTP and pushes them by WebSocket. Figures from a busy machine are
upper bounds: run it on an idle one. `--quick` lasts 5 s.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from typing import Any

from aiohttp import web

from pytest_deploygate.checks.pipeline import judge, probe
from pytest_deploygate.checks.pipeline.section import Pipeline
from pytest_deploygate.clients import budget

_RATE, _SECONDS = 1000, 30
_TARGET_MS = 5.0


def main() -> None:
    """Start the platform, send, and print."""
    seconds = 5 if "--quick" in sys.argv else _SECONDS
    command = [sys.executable, __file__, "serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        port = int(server.stdout.readline()) if server.stdout else 0
        try:
            measure(port, seconds)
        finally:
            server.kill()


def measure(port: int, seconds: int) -> None:
    """Send so many seconds, and print how late we were."""
    section = Pipeline.model_validate(
        {
            "opt_in": "x",
            "devices": [f"synthetic-{n}" for n in range(20)],
            "events": _RATE * seconds,
            "per_second": _RATE,
            "entrances": [{"name": "http", "http": {"url": f"http://127.0.0.1:{port}/readings"}}],
            "exits": [{"name": "live", "websocket": {"url": f"ws://127.0.0.1:{port}/socket"}, "id": "id"}],
        }
    )
    began, cpu = time.monotonic(), time.process_time()
    found = probe.measured(section, "x", None, budget.unrecorded("phase3.pipeline"), allowed=False)
    share = (time.process_time() - cpu) / (time.monotonic() - began)
    judged, client = judge.judge(found, section), found.client
    if client is None:
        sys.exit(judged.reason)
    load = os.getloadavg()[0]
    print(f"{len(found.sent.due_s)} events at {client.rate_per_second:.0f}/s, load of the machine {load:.1f}")
    print(f"  own delay when sending: p50 {_ms(client.send_lag_p50_s)}, p99 {_ms(client.send_lag_p99_s)}")
    print(
        f"  own delay when receiving: p50 {_ms(client.receive_lag_p50_s)}, p99 {_ms(client.receive_lag_p99_s)}"
    )
    print(f"  largest {_ms(client.lag_max_s)}; {share:.0%} of a core; target: p99 under {_TARGET_MS:g} ms")
    for reading in judged.readings:
        print(f"  {reading.name}: {reading.value} {reading.unit}")
    print(f"{judged.verdict}: {judged.reason}")


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.2f} ms"


def serve() -> None:
    """Take events and push them to whoever listens."""
    queues: set[asyncio.Queue[str]] = set()

    async def post(request: web.Request) -> web.Response:
        text = await request.text()
        for queue in queues:
            queue.put_nowait(text)
        return web.Response(status=202)

    async def push(request: web.Request) -> web.WebSocketResponse:
        socket, queue = web.WebSocketResponse(), asyncio.Queue[str]()
        await socket.prepare(request)
        queues.add(queue)
        while True:
            await socket.send_str(await queue.get())

    async def run() -> None:
        app = web.Application()
        app.add_routes([web.post("/readings", post), web.get("/socket", push)])
        runner: Any = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()

    asyncio.run(run())


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["serve"] else main()
