"""The application of one replica: its routes, and what its requests share."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from pytest_deploygate.lab.application import api, described, graph, live, pages, problems, tokens
from pytest_deploygate.lab.application.settings import Settings
from pytest_deploygate.lab.application.store import Store


def make(settings: Settings, name: str) -> Starlette:
    """Return the application of a replica. `app.state` has settings, switches, store, tokens and hub."""

    @contextlib.asynccontextmanager
    async def running(app: Starlette) -> AsyncIterator[None]:
        await app.state.store.open()
        listening = asyncio.create_task(app.state.hub.run(app))
        yield
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await app.state.store.close()

    cors = Middleware(
        CORSMiddleware,
        allow_origins=[settings.partner_site],
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["Authorization", "Content-Type"],
    )
    app = Starlette(
        routes=[*pages.ROUTES, *api.ROUTES, *tokens.ROUTES, *live.ROUTES, *described.ROUTES, *graph.ROUTES],
        exception_handlers={HTTPException: problems.refused},
        middleware=[cors],
        lifespan=running,
    )
    switches = settings.switches()
    app.state.settings, app.state.switches, app.state.name = settings, switches, name
    app.state.store, app.state.hub = Store(settings), live.Hub()
    app.state.tokens = tokens.Tokens(settings, switches)
    return app
