"""An Alertmanager for tests, and a server of documented answers in the place of one, or of Prometheus."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Server:
    """A running Alertmanager without a cluster."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, path: str, document: object = None) -> Any:
        request = urllib.request.Request(
            f"{self.url}{path}",
            None if document is None else json.dumps(document).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or b"null")


@contextmanager
def running(
    folder: Path, route: Mapping[str, object], receivers: Sequence[Mapping[str, object]], **more: object
) -> Iterator[Server]:
    """Start one with these routes and receivers; skip the test where there is none."""
    program = shutil.which("prometheus-alertmanager")
    if program is None:
        pytest.skip("Alertmanager is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "alertmanager.json"
    file.write_text(json.dumps({"route": route, "receivers": receivers, **more}))
    port = free_port()
    argv = [
        program,
        f"--config.file={file}",
        f"--storage.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([*argv, "--cluster.listen-address="], stdout=log, stderr=log)
    server = Server(f"http://127.0.0.1:{port}")
    try:
        until = time.monotonic() + 20
        while True:
            try:
                server.ask("/api/v2/status")
                break
            except (OSError, ValueError):
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < until
                time.sleep(0.05)
        yield server
    finally:
        process.terminate()
        process.wait()


class Answers:
    """A server of documented answers: `(status, body)` by the beginning of the path; `date` is the header Date."""

    def __init__(self) -> None:
        self.given: dict[str, tuple[int, object]] = {}
        self.date: datetime | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                status, body = outer.given.get(path, (404, "no such page"))
                if callable(body):
                    status, body = body(self.path)
                said = body if isinstance(body, str) else json.dumps(body)
                self.send_response_only(status)
                if outer.date or not path.startswith("/api/v2"):
                    at = outer.date or datetime.now(UTC)
                    self.send_header("Date", format_datetime(at, usegmt=True))
                self.send_header("Content-Length", str(len(said.encode())))
                self.end_headers()
                self.wfile.write(said.encode())

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def end(self) -> None:
        self._server.shutdown()
        self._server.server_close()
