"""The document that describes the API: `openapi.yaml` of this folder, with the address that it is served at."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


@cache
def document() -> dict[str, Any]:
    """Return the document without its `servers`."""
    read: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "openapi.yaml").read_text())
    return read


async def answer(request: Request) -> Response:
    """Answer with the document."""
    return JSONResponse({**document(), "servers": [{"url": request.app.state.settings.url}]})


ROUTES = [Route("/openapi.json", answer)]
