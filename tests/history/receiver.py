"""An OTLP/HTTP receiver on loopback, which decodes what it gets, and can answer in other ways."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

PROTOBUF = "application/x-protobuf"
#: Status, headers and body of answers by name.
ANSWERS = {
    "accepts": (200, {"Content-Type": PROTOBUF}, b""),
    "rejects some": (
        200,
        {"Content-Type": PROTOBUF},
        ExportTraceServiceResponse(
            partial_success=ExportTracePartialSuccess(rejected_spans=2, error_message="too old")
        ).SerializeToString(),
    ),
    "refuses": (401, {"Content-Type": PROTOBUF}, Status(message="no token").SerializeToString()),
    "refuses in words": (400, {"Content-Type": "text/plain"}, b"bad \x1b[31m request"),
    "redirects": (302, {"Location": "https://login.example.com/"}, b""),
    "shows a login page": (200, {"Content-Type": "text/html"}, b"<h1>Log in</h1>"),
    "answers nonsense": (200, {"Content-Type": PROTOBUF}, b"\xff\xff\xff"),
}


class Receiver:
    """What came: requests with their headers, and the spans in them."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.answer = "accepts"

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in self.requests
            for of_resource in request.resource_spans
            for of_scope in of_resource.scope_spans
            for span in of_scope.spans
        ]


@contextmanager
def receiving() -> Iterator[tuple[Receiver, str]]:
    """Serve on a free port; yield what comes, and the address."""
    there = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            there.requests.append(ExportTraceServiceRequest.FromString(raw))
            there.headers.append(dict(self.headers))
            there.paths.append(self.path)
            status, headers, body = ANSWERS[there.answer]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield there, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@contextmanager
def silent() -> Iterator[str]:
    """Accept connections and never answer; yield the address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
