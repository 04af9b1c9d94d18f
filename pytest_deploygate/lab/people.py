"""The people of the platform, over HTTP: created by `POST /api/people`, erased by `POST /api/erasures`.

Both require the token of `secrets/api`. Redis, where the lab has it, keeps each person's profile; logs contain numbers, no
names.
"""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from pytest_deploygate.lab.disturbance import Disturbance
from pytest_deploygate.lab.services import redis as service
from pytest_deploygate.lab.state import HOST, Lab

TOKEN = "api"  # noqa: S105 (the name of its file)
_KEEP_S = 3600
_ADD = "SELECT platform.add_person(%s, %s, %s)"
_ERASE = "SELECT platform.erase_person(%s)"
_IDS = "SELECT id FROM platform.users WHERE lower(email) = lower(%s)"

Ask = Callable[[str, tuple[object, ...]], Awaitable[list[tuple[Any, ...]]]]


class People:
    """Handlers of the requests about people. `disturbance` returns what is wrong with the replica now."""

    def __init__(self, lab: Lab, ask: Ask, disturbance: Callable[[], Disturbance]) -> None:
        self._ask = ask
        self._disturbance = disturbance
        self._token = lab.secret_file(TOKEN).read_text().strip()
        self._cache = _cache(lab)

    async def add(self, request: web.Request) -> web.Response:
        """Create a person from `email`, `name` and `phone`; return the number."""
        told = await self._told(request, "email", "name", "phone")
        number = (await self._ask(_ADD, tuple(told.values())))[0][0]
        if self._cache:
            await self._cache.set(f"profile:{number}", json.dumps(told), ex=_KEEP_S)
        self._log(f"person {number} made", told["email"])
        return web.json_response({"id": number}, status=201)

    async def erase(self, request: web.Request) -> web.Response:
        """Erase the person with this `email` everywhere; return how many rows were removed."""
        told = await self._told(request, "email")
        numbers = [row[0] for row in await self._ask(_IDS, (told["email"],))]
        rows = (await self._ask(_ERASE, (told["email"],)))[0][0]
        if self._cache and numbers and not self._disturbance().forgets_cache:
            await self._cache.delete(*(f"profile:{number}" for number in numbers))
        self._log(f"persons {numbers} erased", told["email"])
        return web.json_response({"rows": rows})

    async def _told(self, request: web.Request, *names: str) -> dict[str, str]:
        """Return the strings with these names from a request's JSON; anything else is refused."""
        sent = request.headers.get("Authorization", "")
        if not secrets.compare_digest(sent.encode(), f"Bearer {self._token}".encode()):
            raise web.HTTPUnauthorized
        try:
            body = await request.json()
            told = {name: body[name] for name in names}
        except (ValueError, KeyError, TypeError):
            raise web.HTTPBadRequest from None
        if not all(isinstance(value, str) and value for value in told.values()):
            raise web.HTTPBadRequest
        return told

    def _log(self, what: str, email: str) -> None:
        who = f": {email}" if self._disturbance().logs_people else ""
        sys.stderr.write(f"{what}{who}\n")


def _cache(lab: Lab) -> Any:
    """Return a client of the lab's Redis; None where it has none. It connects on first use."""
    if service.NAME not in lab.ports:
        return None
    from redis.asyncio import Redis  # noqa: PLC0415 (an extra)

    return Redis(
        host=HOST,
        port=lab.ports[service.NAME],
        password=service.secret(lab).read_text().strip(),
        socket_timeout=3,
        socket_connect_timeout=3,
    )
