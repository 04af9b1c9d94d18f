"""A component of the lab's stack: it says its version and whether it is healthy, and how many items it made.

Run as `python -m pytest_deploygate.lab.component FOLDER PORT`. The version is read from a file when it starts.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from pytest_deploygate.lab.state import HOST


def serve(folder: Path, port: int) -> None:
    """Serve until the process is ended."""
    version = (folder / "version").read_text().strip()

    class Answers(BaseHTTPRequestHandler):
        """One request."""

        def do_GET(self) -> None:
            """Answer with the version, or with the state of health."""
            if self.path == "/version":
                self._send(200, json.dumps({"name": "orders", "build": {"version": version}}))
            elif self.path == "/healthz":
                sick = (folder / "sick").exists()
                self._send(503 if sick else 200, "no queue\n" if sick else "ok\n")
            else:
                self._send(404, "there is no such page\n")

        def _send(self, status: int, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json" if text.startswith("{") else "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Write no log."""

    ThreadingHTTPServer((HOST, port), Answers).serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
