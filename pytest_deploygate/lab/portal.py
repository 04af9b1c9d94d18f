"""A portal with its visitors: the new application, and the old one that nobody should visit any more.

Run as `python -m pytest_deploygate.lab.portal FOLDER`, where FOLDER is the lab's. Both applications answer on `/`, on
`/slow?ms=N` after so long, on `/fail` with 500, and on `/metrics` with their counters in Prometheus' text format. The
visitors come through the load balancer, a few each second, unless there is a file `nobody-visits` in the portal's folder.
While there is a file `old-address`, others come to the old application.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import itertools
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
from aiohttp import web

from pytest_deploygate.clients.budget import HEADER
from pytest_deploygate.lab.services import portal as service
from pytest_deploygate.lab.state import HOST, Lab, load

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
#: Bounds of the histogram in seconds.
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5)
PER_SECOND = 5


class Application:
    """One application with its counters. A code has no series before its first answer, as client libraries have it.

    The gate's own requests are told apart by their header: they are no visitors.
    """

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter({'code="200"': 0})
        self.within = [0] * (len(BOUNDS) + 1)
        self.sum_s = 0.0
        self.started = time.time()

    def served(self) -> web.Application:
        """Return it with its routes."""
        app = web.Application(middlewares=[self._count])
        app.add_routes(
            [
                web.get("/", self._good),
                web.get("/slow", self._slow),
                web.get("/fail", self._bad),
                web.get("/metrics", self._metrics),
            ]
        )
        return app

    @web.middleware
    async def _count(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        if request.path == "/metrics":
            return await handler(request)
        began = time.monotonic()
        answer = await handler(request)
        took = time.monotonic() - began
        ours = ',by="deploygate"' if HEADER in request.headers else ""
        self.answers[f'code="{answer.status}"{ours}'] += 1
        self.within[bisect.bisect_left(BOUNDS, took)] += 1
        self.sum_s += took
        return answer

    async def _good(self, _request: web.Request) -> web.Response:
        return web.Response(text="welcome\n")

    async def _slow(self, request: web.Request) -> web.Response:
        await asyncio.sleep(float(request.query.get("ms", "600")) / 1000)
        return web.Response(text="at last\n")

    async def _bad(self, _request: web.Request) -> web.Response:
        return web.Response(status=500, text="something went wrong\n")

    async def _metrics(self, _request: web.Request) -> web.Response:
        lines = [f"http_requests_total{{{labels}}} {n}" for labels, n in self.answers.items()]
        bounds = [*(f"{bound:g}" for bound in BOUNDS), "+Inf"]
        lines += [
            f'http_request_duration_seconds_bucket{{le="{bound}"}} {n}'
            for bound, n in zip(bounds, itertools.accumulate(self.within), strict=True)
        ]
        lines += [
            f"http_request_duration_seconds_sum {self.sum_s}",
            f"http_request_duration_seconds_count {sum(self.within)}",
            f"process_start_time_seconds {self.started}",
            f"portal_orders_per_minute {service.orders_per_minute(time.time())}",
        ]
        return web.Response(text="\n".join([*lines, ""]))


async def _visit(port: int, may_come: Callable[[], bool]) -> None:
    """Ask for the first page, again and again; what a visitor gets is the server's business."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
        while True:
            if may_come():
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with session.get(f"http://{HOST}:{port}/") as answer:
                        await answer.read()
            await asyncio.sleep(1 / PER_SECOND)


async def _serve(lab: Lab) -> None:
    for name in (service.NEW, service.OLD):
        runner = web.AppRunner(Application().served(), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, HOST, lab.ports[name]).start()
    nobody, old = (service.where(lab) / name for name in (service.NOBODY_VISITS, service.OLD_ADDRESS))
    await asyncio.gather(
        _visit(lab.ports[service.BALANCER], lambda: not nobody.exists()),
        _visit(lab.ports[service.OLD], old.exists),
    )


if __name__ == "__main__":
    asyncio.run(_serve(load(Path(sys.argv[1]), up=False)))
