"""The platform's application: a small JSON API over its database. The lab runs two replicas of it.

Run as `python -m pytest_deploygate.lab.app FOLDER NAME`, where FOLDER is the lab's and NAME that of the replica.
It answers on `/api/machines`, `/api/sensors/{id}/readings` (GET, and POST of one value), `/api/people` and `/api/erasures`
(see `people`), `/healthz` (this process is alive) and `/version`. It connects through PgBouncer, or to the primary where the
lab has none. It answers 503 when the database does not answer or has the tables of another version: version 2 calls a
machine's line `production_line`.

What the faults do to it is in `disturbance.json` in the folder, see `Disturbance`. A change takes effect within a tenth of
a second; without the file nothing is disturbed.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from aiohttp import web

from pytest_deploygate.lab.disturbance import FILE, Disturbance, read
from pytest_deploygate.lab.people import People
from pytest_deploygate.lab.services import pooler
from pytest_deploygate.lab.state import DATABASE, HOST, PRIMARY, Lab, load
from pytest_deploygate.lazy import dataclass

OLD_VERSION, NEW_VERSION = "1.4.2", "2.0.0"
#: Replicas of version 2: started when it is deployed (`deploygate lab deploy`).
NEW_REPLICAS = ("next1", "next2")
#: The header in which the front tells how many requests it got on the client's connection, this one included.
REQUEST_NUMBER = "X-Connection-Requests"
_CONNECTIONS = 6
_PATIENCE_S = 5.0
#: A connection that was idle for longer is tested before use.
_TRUSTED_S = 0.5
_MACHINES = {
    OLD_VERSION: "SELECT id, code, name, line, status FROM platform.machines ORDER BY code",
    NEW_VERSION: "SELECT id, code, name, production_line, status FROM platform.machines ORDER BY code",
}
_READINGS = (
    "SELECT recorded_at, value FROM platform.readings WHERE sensor_id = %s AND recorded_at >= %s"
    " AND recorded_at < %s ORDER BY recorded_at DESC LIMIT 50"
)
_ADD = (
    "INSERT INTO platform.readings (sensor_id, recorded_at, value) VALUES (%s, clock_timestamp(), %s)"
    " RETURNING recorded_at"
)
_LATEST = timedelta(hours=6)

Connection = psycopg.AsyncConnection[tuple[Any, ...]]
Rows = list[tuple[Any, ...]]


class Database:
    """A small pool of connections, opened on first use and reopened after they broke."""

    def __init__(self, lab: Lab) -> None:
        port = lab.ports.get(pooler.NAME, lab.ports[PRIMARY])
        self._where = {"host": HOST, "port": port, "dbname": DATABASE, "user": "platform_app"}
        self._password = lab.password("platform_app")
        self._idle: asyncio.LifoQueue[Connection | None] = asyncio.LifoQueue()
        for _ in range(_CONNECTIONS):
            self._idle.put_nowait(None)
        # The entry of a connection goes with it.
        self._used_at: WeakKeyDictionary[object, float] = WeakKeyDictionary()

    async def ask(self, query: str, parameters: tuple[object, ...] = ()) -> Rows:
        """Return the rows of a query. Raises psycopg.Error or TimeoutError; a broken connection is not kept."""
        async with asyncio.timeout(_PATIENCE_S):
            connection = await self._idle.get()
            whole = False
            try:
                if connection is None or not await self._alive(connection):
                    connection = await self._connect()
                cursor = await connection.execute(query.encode(), parameters)
                rows = await cursor.fetchall()
                whole, self._used_at[connection] = True, time.monotonic()
                return rows
            finally:
                if not whole and connection is not None:
                    await connection.close()
                self._idle.put_nowait(connection if whole else None)

    async def keep_transaction(self, kept: Connection | None, *, wanted: bool) -> Connection | None:
        """Return a session that is idle in a transaction, or none: the one that is `kept`, a new one, or none after closing it."""
        if wanted and (kept is None or kept.closed):
            kept = await self._connect()
            await kept.execute("BEGIN")
            await kept.execute("SELECT count(*) FROM platform.machines")
        elif kept is not None and not wanted:
            await kept.close()
            kept = None
        return kept

    async def _alive(self, connection: Connection) -> bool:
        """Return whether an idle connection is still usable: the pooler may have been restarted."""
        if connection.closed:
            return False
        if time.monotonic() - self._used_at.get(connection, 0.0) < _TRUSTED_S:
            return True
        try:
            await connection.execute("SELECT 1")
        except psycopg.Error:
            await connection.close()
            return False
        return True

    async def _connect(self) -> Connection:
        return await psycopg.AsyncConnection.connect(
            **self._where,  # type: ignore[arg-type]
            password=self._password.reveal(),
            sslmode="disable",
            connect_timeout=3,
            application_name="platform",
            autocommit=True,
            # In PgBouncer's transaction mode the next statement may meet another server connection.
            prepare_threshold=None,
        )


@dataclass()
class Replica:
    """One replica: its handlers, and what disturbs it now."""

    name: str
    file: Path
    database: Database
    disturbance: Disturbance
    seen: Counter[str]

    @property
    def version_number(self) -> str:
        """The version of the application that this replica is."""
        return NEW_VERSION if self.name in NEW_REPLICAS else OLD_VERSION

    async def machines(self, _request: web.Request) -> web.Response:
        """Return all machines."""
        rows = await self.database.ask(_MACHINES[self.version_number])
        names = ("id", "code", "name", "line", "status")
        return web.json_response({"machines": [dict(zip(names, row, strict=True)) for row in rows]})

    async def readings(self, request: web.Request) -> web.Response:
        """Return the newest readings of a sensor, newest first."""
        now = datetime.now(UTC)
        sensor = int(request.match_info["sensor"])
        rows = await self.database.ask(_READINGS, (sensor, now - _LATEST, now))
        found = [{"at": at.isoformat(), "value": value} for at, value in rows]
        return web.json_response({"sensor": sensor, "readings": found})

    async def add_reading(self, request: web.Request) -> web.Response:
        """Store a reading of a sensor, taken now: `{"value": 51.5}`."""
        try:
            value = float((await request.json())["value"])
        except (ValueError, KeyError, TypeError):
            return web.json_response({"error": 'send {"value": number}'}, status=400)
        rows = await self.database.ask(_ADD, (int(request.match_info["sensor"]), value))
        return web.json_response({"at": rows[0][0].isoformat()}, status=201)

    async def health(self, _request: web.Request) -> web.Response:
        """Say that this process is alive, for the load balancer."""
        return web.Response(text="ok\n")

    async def version(self, _request: web.Request) -> web.Response:
        """Return the version, and which replica answered."""
        return web.json_response({"version": self.version_number, "replica": self.name})

    async def follow(self) -> None:
        """Poll for a changed disturbance."""
        kept = None
        while True:
            self.disturbance = read(self.file, self.name)
            with contextlib.suppress(psycopg.Error):
                kept = await self.database.keep_transaction(kept, wanted=self.disturbance.keeps_transaction)
            await asyncio.sleep(0.1)

    async def disturb(self, request: web.Request) -> web.Response | None:
        """Delay a request as the disturbance says; return a response where it must fail."""
        now, path = self.disturbance, request.path
        if now.greets_s and request.headers.get(REQUEST_NUMBER) == "1":
            await asyncio.sleep(now.greets_s)
        if wait := now.stalled_for(time.monotonic()):
            await asyncio.sleep(wait)
        if not path.startswith("/api/"):
            return None
        self.seen[path] += 1
        if wait := now.delay_of(self.seen[path]):
            await asyncio.sleep(wait)
        if now.fails(self.seen[path]):
            return web.json_response({"error": "internal error"}, status=500)
        return None


def application(replica: Replica, people: People) -> web.Application:
    """Return the application of a replica."""

    @web.middleware
    async def around(request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            answer: web.StreamResponse = await replica.disturb(request) or await handler(request)
        except (psycopg.Error, TimeoutError):
            answer = web.json_response({"error": "the database does not answer"}, status=503)
        return answer

    async def following(_app: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(replica.follow())
        yield
        task.cancel()

    app = web.Application(middlewares=[around])
    app.router.add_get("/api/machines", replica.machines)
    app.router.add_get(r"/api/sensors/{sensor:\d{1,6}}/readings", replica.readings)
    app.router.add_post("/api/people", people.add)
    app.router.add_post("/api/erasures", people.erase)
    app.router.add_post(r"/api/sensors/{sensor:\d{1,6}}/readings", replica.add_reading)
    app.router.add_get("/healthz", replica.health)
    app.router.add_get("/version", replica.version)
    app.cleanup_ctx.append(following)
    return app


def main(folder: Path, name: str) -> None:
    """Serve until a signal ends the process."""
    lab = load(folder, up=False)
    replica = Replica(name, folder / FILE, Database(lab), Disturbance(), Counter())
    people = People(lab, replica.database.ask, lambda: replica.disturbance)
    # Default signal handlers: they end the process at once, without waiting for connections.
    web.run_app(
        application(replica, people),
        host=HOST,
        port=lab.ports[name],
        print=None,
        access_log=None,
        handle_signals=False,
        handler_cancellation=True,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
