"""A small API on loopback for tests: what it answers is a dictionary that tests change, and it keeps what it was asked."""

from __future__ import annotations

import copy
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

TOKEN = "a-good-token-of-the-tests"
#: What an operation answers: status, body and content type; or a function of the number of the request that returns them.
Answer = tuple[int, object] | tuple[int, object, str]
PROBLEM = {"type": "about:blank", "title": "Not Found", "status": 404}


def _problem(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {"application/problem+json": {"schema": schema}}}


def document() -> dict[str, Any]:
    """A document with two devices, orders that can be made and cancelled, and who asks."""
    item = {"$ref": "#/components/schemas/Device"}
    number = {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}, "example": 1}
    order = {"$ref": "#/components/schemas/Order"}

    def good(schema: object, status: str = "200") -> dict[str, Any]:
        return {status: {"description": "good", "content": {"application/json": {"schema": schema}}}}

    return {
        "openapi": "3.1.0",
        "info": {"title": "Test", "version": "1"},
        "security": [{"token": []}],
        "paths": {
            "/health": {
                "get": {
                    "operationId": "health",
                    "security": [],
                    "responses": good({"type": "object", "required": ["ok"]}),
                }
            },
            "/me": {
                "get": {"operationId": "me", "responses": good({"type": "object", "required": ["tenant"]})}
            },
            "/devices": {
                "get": {
                    "operationId": "devices",
                    "responses": good({"type": "array", "items": item}) | {"401": _problem("no token")},
                }
            },
            "/devices/{id}": {
                "parameters": [number],
                "get": {"operationId": "device", "responses": good(item) | {"404": _problem("none")}},
            },
            "/orders": {
                "get": {"operationId": "orders", "responses": good({"type": "array", "items": order})},
                "post": {"operationId": "order", "responses": good(order, "201")},
            },
            "/orders/{id}": {
                "parameters": [number],
                "delete": {"operationId": "cancel", "responses": {"204": {"description": "gone"}}},
            },
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Device": {
                    "type": "object",
                    "required": ["id", "unit"],
                    "properties": {"id": {"type": "integer"}, "unit": {"type": ["string", "null"]}},
                },
                "Order": {
                    "type": "object",
                    "required": ["id", "item"],
                    "properties": {"id": {"type": "integer"}, "item": {"type": "string"}},
                },
                "Problem": {"type": "object", "required": ["title", "status"]},
            },
        },
    }


@dataclass
class Server:
    """A running server. `answers` is by method and path, and takes precedence over what it usually does."""

    url: str
    document: dict[str, Any] = field(default_factory=document)
    answers: dict[str, Answer | Callable[[int], Answer]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    orders: dict[int, str] = field(default_factory=dict)
    stays: bool = False
    tenant: str = "synthetic-a"
    lines: list[str] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    headers: list[tuple[str | None, str | None]] = field(default_factory=list)

    def count(self, request: str) -> int:
        """How often something was asked, such as `GET /devices`."""
        return self.asked.count(request)

    def answer(self, method: str, path: str, *, known: bool, body: Any) -> Answer:
        """Return the answer to a request."""
        request = f"{method} {path}"
        self.asked.append(request)
        if given := self.answers.get(request):
            return given(self.count(request)) if callable(given) else given
        open_ones = {"GET /openapi.json": self.document, "GET /health": {"ok": True}, "GET /": {}}
        if request in open_ones:
            return 200, copy.deepcopy(open_ones[request])
        if not known:
            return 401, {"title": "Unauthorized", "status": 401}, "application/problem+json"
        if request == "POST /orders":
            self.bodies.append(body)
            number = len(self.bodies) + 100
            self.orders[number] = body["item"]
            return 201, {"id": number, "item": body["item"]}
        if method == "DELETE":
            if not self.stays:
                self.orders.pop(int(path.rpartition("/")[2]), None)
            return 204, None
        usual = {
            "GET /me": {"tenant": self.tenant},
            "GET /devices": [{"id": 1, "unit": "bar"}, {"id": 2, "unit": None}],
            "GET /devices/1": {"id": 1, "unit": "bar"},
            "GET /orders": [{"id": number, "item": item} for number, item in self.orders.items()],
        }
        if request in usual:
            return 200, usual[request]
        return 404, PROBLEM, "application/problem+json"


@contextmanager
def running() -> Iterator[Server]:
    """Run the server in a thread."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
            path = self.path.partition("?")[0]
            server.lines.append(self.path)
            server.tokens.append(self.headers.get("Authorization"))
            server.headers.append((self.headers.get("X-Site"), self.headers.get("Cookie")))
            status, content, *kind = server.answer(self.command, path, known=known, body=body)
            text = (
                content
                if isinstance(content, bytes)
                else b""
                if content is None
                else json.dumps(content).encode()
            )
            self.send_response(status)
            if text:
                self.send_header("Content-Type", kind[0] if kind else "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = do_HEAD = _do  # noqa: N815 (their names)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http_server:
        server = Server(f"http://127.0.0.1:{http_server.server_port}")
        threading.Thread(target=http_server.serve_forever, daemon=True).start()
        yield server
        http_server.shutdown()
