"""The API: JSON for programs that bring a token, and for our own pages, which bring the session's cookie."""

from __future__ import annotations

import asyncio
import functools
import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pytest_deploygate.lab.application import ingest, live
from pytest_deploygate.lab.application.accounts import User
from pytest_deploygate.lab.application.store import Row, Store

Answer = Callable[[Request, User], Awaitable[Response]]
_MOST = 1000


def protected(role: str = "viewer") -> Callable[[Answer], Callable[[Request], Awaitable[Response]]]:
    """Let an operation be called only by users with a role; it gets the user.

    The switch `auth_open` is the path of an operation that anybody may call.
    """

    def decorate(answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        @functools.wraps(answer)
        async def checked(request: Request) -> Response:
            user = await live.user_of(request)
            if user is None and request.app.state.switches.get("auth_open") == request.url.path:
                user = User("nobody", "plant", "viewer")
            if user is None:
                raise HTTPException(401, "a token is needed", {"WWW-Authenticate": "Bearer"})
            if not user.may(role) and not request.app.state.switches.on("auth_roles_ignored"):
                raise HTTPException(403, f"only users with the role {role} may do this")
            return await answer(request, user)

        return checked

    return decorate


def _time(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None


def _device(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in ("id", "name", "unit", "high_limit")}


def _reading(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "device": row["device"],
        "sent_at": _time(row["sent_at"]),
        "received_at": _time(row["received_at"]),
        "value": row["value"],
    }


def alert(row: Row) -> dict[str, Any]:
    """Return an alert as it is shown."""
    return {
        "id": row["id"],
        "device": row["device"],
        "value": row["value"],
        "high_limit": row["high_limit"],
        "state": "cleared" if row["cleared_at"] else "firing",
        "raised_at": _time(row["raised_at"]),
        "cleared_at": _time(row["cleared_at"]),
    }


def _order(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "item": row["item"],
        "quantity": row["quantity"],
        "ordered_by": row["ordered_by"],
        "ordered_at": _time(row["ordered_at"]),
    }


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", "100")
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= _MOST:
        raise HTTPException(422, f"limit must be a number between 1 and {_MOST}")
    return int(text)


def _since(request: Request) -> datetime:
    text = request.query_params.get("since")
    if text is None:
        return datetime.fromtimestamp(0, UTC)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise HTTPException(422, "since must be a time with a zone, such as 2026-01-31T08:00:00Z")
    return at


def _number(request: Request) -> int:
    text = request.path_params["id"]
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise HTTPException(404, "there is no such object")
    return int(text)


async def _json(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except ValueError:
        raise HTTPException(422, "the body is not JSON") from None


async def _own_device(request: Request, user: User) -> Row:
    store: Store = request.app.state.store
    found = await store.row("SELECT * FROM devices WHERE id = %(id)s", {"id": request.path_params["id"]})
    if found is None or found["tenant"] != user.tenant:
        raise HTTPException(404, "there is no such device")
    return found


async def version(request: Request) -> Response:
    """Answer with the version of this replica."""
    state = request.app.state
    versions = state.switches.get("version", {})
    return JSONResponse({"version": versions.get(state.name, state.settings.version), "replica": state.name})


async def healthy(_request: Request) -> Response:
    """Answer that the process is there."""
    return JSONResponse({"status": "ok"})


async def ready(request: Request) -> Response:
    """Answer whether this replica can do its work: it needs its database."""
    state = request.app.state
    try:
        await state.store.row("SELECT 1")
        there = True
    except Exception:  # noqa: BLE001 (whatever it is, the database cannot be used)
        there = False
    if not there or state.name in state.switches.get("not_ready", ()):
        return JSONResponse({"status": "not ready", "database": "ok" if there else "not reachable"}, 503)
    return JSONResponse({"status": "ready", "database": "ok"})


@protected()
async def me(_request: Request, user: User) -> Response:
    """Answer with who asks."""
    return JSONResponse({"name": user.name, "tenant": user.tenant, "role": user.role})


@protected()
async def devices(request: Request, user: User) -> Response:
    """Answer with the devices of the tenant."""
    rows = await request.app.state.store.rows(
        "SELECT * FROM devices WHERE tenant = %(tenant)s OR %(all)s ORDER BY id LIMIT %(most)s",
        {
            "tenant": user.tenant,
            "most": _limit(request),
            "all": request.app.state.switches.on("devices_of_anybody"),
        },
    )
    return JSONResponse({"items": [_device(row) for row in rows]})


@protected()
async def device(request: Request, user: User) -> Response:
    """Answer with one device."""
    lacks = request.app.state.switches.get("api_lacks")
    found = _device(await _own_device(request, user))
    return JSONResponse({name: value for name, value in found.items() if name != lacks})


@protected()
async def readings(request: Request, user: User) -> Response:
    """Answer with the newest readings of a device, the oldest of them first."""
    own = await _own_device(request, user)
    rows = await request.app.state.store.rows(
        "SELECT * FROM (SELECT * FROM readings WHERE device = %(device)s AND sent_at >= %(since)s"
        " ORDER BY number DESC LIMIT %(most)s) AS newest ORDER BY number",
        {"device": own["id"], "since": _since(request), "most": _limit(request)},
    )
    return JSONResponse({"items": [_reading(row) for row in rows]})


@protected()
async def series(request: Request, user: User) -> Response:
    """Answer with the points of a chart: pairs of Unix time in seconds and value, of the last two hours.

    With `dashboard_blank` no point has a value, and with `dashboard_stale` the last half hour is missing.
    """
    own = await _own_device(request, user)
    switches = request.app.state.switches
    rows = await request.app.state.store.rows(
        "SELECT extract(epoch FROM sent_at)::float8 AS at, value FROM readings"
        " WHERE device = %(device)s AND sent_at > now() - interval '2 hours' ORDER BY sent_at",
        {"device": own["id"]},
    )
    blank, until = (
        switches.on("dashboard_blank"),
        time.time() - (1800 if switches.on("dashboard_stale") else 0),
    )
    points = [[row["at"], None if blank else row["value"]] for row in rows if row["at"] <= until]
    return JSONResponse({"points": points})


@protected()
async def alerts(request: Request, user: User) -> Response:
    """Answer with the newest alerts of the tenant."""
    return JSONResponse(
        {"items": [alert(row) for row in await newest_alerts(request.app.state.store, user, _limit(request))]}
    )


async def newest_alerts(store: Store, user: User, most: int) -> list[Row]:
    """Return the newest alerts of a tenant, the newest first."""
    return await store.rows(
        "SELECT a.* FROM alerts a JOIN devices d ON d.id = a.device WHERE d.tenant = %(tenant)s"
        " ORDER BY a.id DESC LIMIT %(most)s",
        {"tenant": user.tenant, "most": most},
    )


@protected()
async def one_alert(request: Request, user: User) -> Response:
    """Answer with one alert."""
    row = await request.app.state.store.row(
        "SELECT a.* FROM alerts a JOIN devices d ON d.id = a.device WHERE a.id = %(id)s AND d.tenant = %(tenant)s",
        {"id": _number(request), "tenant": user.tenant},
    )
    if row is None:
        raise HTTPException(request.app.state.switches.get("api_error", 404), "there is no such alert")
    return JSONResponse(alert(row))


@protected()
async def reports(request: Request, _user: User) -> Response:
    """Answer with the reports of the last seven days."""
    today = datetime.now(UTC).date()
    days = [(today - timedelta(days=ago)).isoformat() for ago in range(7)]
    items = [{"day": day, "url": f"/reports/daily.csv?day={day}"} for day in days]
    return JSONResponse({"items": items}, media_type=request.app.state.switches.get("api_content_type"))


@protected()
async def orders(request: Request, user: User) -> Response:
    """Answer with the newest orders of the tenant."""
    rows = await request.app.state.store.rows(
        "SELECT * FROM orders WHERE tenant = %(tenant)s ORDER BY id DESC LIMIT %(most)s",
        {"tenant": user.tenant, "most": _limit(request)},
    )
    return JSONResponse({"items": [_order(row) for row in rows]})


@protected()
async def order(request: Request, user: User) -> Response:
    """Answer with one order, which only its tenant may see; with the switch `order_of_anybody` everybody may."""
    row = await request.app.state.store.row(
        "SELECT * FROM orders WHERE id = %(id)s", {"id": _number(request)}
    )
    foreign = row is not None and row["tenant"] != user.tenant
    if row is None or (foreign and not request.app.state.switches.on("order_of_anybody")):
        raise HTTPException(404, "there is no such order")
    return JSONResponse(_order(row))


@protected("operator")
async def make_order(request: Request, user: User) -> Response:
    """Order something."""
    told = await _json(request)
    item, quantity = (told.get("item"), told.get("quantity")) if isinstance(told, dict) else (None, None)
    if not (isinstance(item, str) and 0 < len(item) <= 100):
        raise HTTPException(422, "item must be a text of 1 to 100 characters")
    if isinstance(quantity, bool) or not isinstance(quantity, int) or not 1 <= quantity <= 10_000:
        raise HTTPException(422, "quantity must be a whole number between 1 and 10000")
    row = await request.app.state.store.row(
        "INSERT INTO orders (tenant, item, quantity, ordered_by)"
        " VALUES (%(tenant)s, %(item)s, %(quantity)s, %(name)s) RETURNING *",
        {"tenant": user.tenant, "item": item, "quantity": quantity, "name": user.name},
    )
    return JSONResponse(_order(row), 201, {"Location": f"/api/orders/{row['id']}"})


@protected("operator")
async def cancel_order(request: Request, user: User) -> Response:
    """Cancel an order."""
    row = await request.app.state.store.row(
        "DELETE FROM orders WHERE id = %(id)s AND tenant = %(tenant)s RETURNING id",
        {"id": _number(request), "tenant": user.tenant},
    )
    if row is None:
        raise HTTPException(404, "there is no such order")
    return Response(status_code=204)


@protected("admin")
async def users(request: Request, user: User) -> Response:
    """Answer with the users of the tenant."""
    rows = await request.app.state.store.rows(
        "SELECT name, role FROM users WHERE tenant = %(tenant)s ORDER BY name", {"tenant": user.tenant}
    )
    return JSONResponse({"items": [{"name": row["name"], "role": row["role"]} for row in rows]})


@protected("admin")
async def unlock(request: Request, user: User) -> Response:
    """Unlock a user of the tenant after too many wrong passwords."""
    row = await request.app.state.store.row(
        "UPDATE users SET failed = 0, locked_until = NULL WHERE name = %(name)s AND tenant = %(tenant)s RETURNING name",
        {"name": request.path_params["name"], "tenant": user.tenant},
    )
    if row is None:
        raise HTTPException(404, "there is no such user")
    return Response(status_code=204)


@protected("admin")
async def rotate_keys(request: Request, _user: User) -> Response:
    """Sign tokens with another key from now on; those from before stay good."""
    request.app.state.tokens.rotate()
    return Response(status_code=204)


@protected("operator")
async def take_reading(request: Request, user: User) -> Response:
    """Take a reading of a device of the tenant."""
    try:
        reading = ingest.parse(await _json(request))
    except ValueError as error:
        raise HTTPException(422, str(error)) from None
    state = request.app.state
    if reading.device.startswith("synthetic-b-"):  # those of the pipeline's item
        await asyncio.sleep(state.switches.get("event_delay_s", 0))
    if not await ingest.take(state.store, state.switches, reading, user.tenant):
        raise HTTPException(404, "there is no such device")
    return JSONResponse({"id": reading.id}, 202)


ROUTES = [
    Route("/api/version", version),
    Route("/healthz", healthy),
    Route("/readyz", ready),
    Route("/api/me", me),
    Route("/api/devices", devices),
    Route("/api/devices/{id}", device),
    Route("/api/devices/{id}/readings", readings),
    Route("/api/devices/{id}/series", series),
    Route("/api/alerts", alerts),
    Route("/api/alerts/{id}", one_alert),
    Route("/api/reports", reports),
    Route("/api/orders", orders),
    Route("/api/orders", make_order, methods=["POST"]),
    Route("/api/orders/{id}", order),
    Route("/api/orders/{id}", cancel_order, methods=["DELETE"]),
    Route("/api/admin/users", users),
    Route("/api/admin/users/{name}/unlock", unlock, methods=["POST"]),
    Route("/api/admin/keys/rotate", rotate_keys, methods=["POST"]),
    Route("/api/readings", take_reading, methods=["POST"]),
]
