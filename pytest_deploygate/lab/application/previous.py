"""The old application, which still runs, on the new schema: `python -m pytest_deploygate.lab.application.previous FOLDER PORT`.

It has one page: planned work, which only it writes.
"""

from __future__ import annotations

import html
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qsl

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from pytest_deploygate.lab.application import settings
from pytest_deploygate.lab.application.store import Store
from pytest_deploygate.lab.state import HOST

_OPEN = (
    "SELECT w.id, w.what, d.name FROM planned_work w JOIN devices d ON d.id = w.device"
    " WHERE w.done_at IS NULL ORDER BY w.id"
)
_PLAN = (
    "INSERT INTO planned_work (device, planned_at, what)"
    " VALUES ('press-1', now() + interval '1 day', %(what)s)"
)
_REMOVE = "DELETE FROM planned_work WHERE what = %(what)s"
_PAGE = """<!doctype html>
<html lang="en"><title>Planned work</title><link rel="icon" href="data:,">
<h1>Planned work</h1>
<ul>{rows}</ul>
<form method="post" action="/planned"><label>Work <input name="what"></label><button>Plan</button></form>
<form method="post" action="/removed"><label>Done <input name="what"></label><button>Remove</button></form>
"""


async def planned(request: Request) -> Response:
    """Show what is planned."""
    rows = await request.app.state.store.rows(_OPEN)
    listed = "".join(f"<li>{html.escape(row['what'])}: {html.escape(row['name'])}</li>" for row in rows)
    return HTMLResponse(_PAGE.format(rows=listed))


async def plan(request: Request) -> Response:
    """Plan some work."""
    await request.app.state.store.rows(_PLAN, await _form(request))
    return RedirectResponse("/planned", 303)


async def remove(request: Request) -> Response:
    """Remove planned work by its name."""
    await request.app.state.store.rows(_REMOVE, await _form(request))
    return RedirectResponse("/planned", 303)


async def _form(request: Request) -> dict[str, str]:
    told = dict(parse_qsl((await request.body()).decode(errors="replace")))
    return {"what": told.get("what", "")}


def make(folder: Path) -> Starlette:
    """Return the application."""
    store = Store(settings.load(folder))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await store.open()
        yield
        await store.close()

    routes = [
        Route("/planned", planned),
        Route("/planned", plan, methods=["POST"]),
        Route("/removed", remove, methods=["POST"]),
    ]
    app = Starlette(routes=routes, lifespan=lifespan)
    app.state.store = store
    return app


if __name__ == "__main__":
    uvicorn.run(
        make(Path(sys.argv[1])), host=HOST, port=int(sys.argv[2]), log_level="warning", access_log=False
    )
