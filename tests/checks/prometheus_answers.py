"""A real HTTP server that answers as Prometheus does, from recorded or documented answers, and with what stands before it."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

#: Status, headers, body.
Raw = tuple[int, Mapping[str, str], str]
Answer = Callable[[dict[str, str]], Any] | Any


@dataclass
class Answers:
    """`paths` by path: what is `data` of the answer, a function of the question that returns it, or a raw answer.

    `queries` by text of the query: the result of a vector. `ahead_s` is by how much the server's clock is ahead.
    """

    paths: dict[str, Answer] = field(default_factory=dict)
    queries: dict[str, list[Any]] = field(default_factory=dict)
    ahead_s: float = 0.0
    url: str = ""
    asked: list[str] = field(default_factory=list)

    def query(self, asked: dict[str, str]) -> Any:
        now = time.time() + self.ahead_s
        if asked["query"] == "time()":
            return {"resultType": "scalar", "result": [now, str(now)]}
        kind = "matrix" if asked["query"].endswith("]") else "vector"
        return {"resultType": kind, "result": self.queries.get(asked["query"], [])}

    def told(self, path: str, asked: dict[str, str]) -> Raw:
        self.asked.append(asked.get("query", path))
        found = self.paths.get(path)
        if found is None and path == "/api/v1/query":
            found = self.query
        if callable(found):
            found = found(asked)
        if found is None:
            return 404, {}, "404 page not found\n"
        if isinstance(found, tuple):
            return found
        return 200, {"Content-Type": "application/json"}, json.dumps({"status": "success", "data": found})


@contextmanager
def answering(answers: Answers) -> Iterator[Answers]:
    """Serve these answers on loopback until the block ends."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            status, headers, body = answers.told(parts.path, asked)
            raw = body.encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(raw))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Say nothing of a client that did not wait: it would be said in the middle of another test."""

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    answers.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield answers
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
