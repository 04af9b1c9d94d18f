"""Errors of the API as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    """Return an answer that says what was wrong."""
    document = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return JSONResponse(document, status, headers, media_type="application/problem+json")


async def refused(request: Request, error: Exception) -> Response:
    """Answer for an error that was raised: a problem to programs, a line of text on pages."""
    assert isinstance(error, HTTPException)  # noqa: S101 (it is registered for these alone)
    headers = dict(error.headers or {})
    if request.url.path.startswith(("/api/", "/oauth/", "/graphql", "/events")):
        return problem(error.status_code, error.detail, headers)
    return PlainTextResponse(error.detail, error.status_code, headers)
