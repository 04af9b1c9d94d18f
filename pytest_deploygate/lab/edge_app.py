"""The application behind the lab's edge: `/` and `/health`, and a maintenance page that needs the database (a fault).

Run as `python -m pytest_deploygate.lab.edge_app FOLDER`.
"""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from pytest_deploygate.lab import sql
from pytest_deploygate.lab.state import HOST, Lab, load


def serve(lab: Lab) -> None:
    """Serve until the process is ended."""

    class Answers(BaseHTTPRequestHandler):
        """One request."""

        def do_GET(self) -> None:
            """Answer with a page."""
            if self.path == "/maintenance":
                self._maintenance()
            elif self.path in ("/", "/health"):
                self._send(200, "ok\n")
            else:
                self._send(404, "there is no such page\n")

        def _maintenance(self) -> None:
            try:
                with sql.connect(lab, "db1", role="platform_app") as connection:
                    row = connection.execute(
                        "SELECT count(*), clock_timestamp() FROM platform.machines"
                    ).fetchone()
            except sql.Unreachable:
                self._send(500, "the database does not answer\n")
                return
            count, now = row or (0, "")
            self._send(
                503, f"<h1>Maintenance</h1><p>{count} machines wait since {now}</p>", ("Retry-After", "1800")
            )

        def _send(self, status: int, text: str, *headers: tuple[str, str]) -> None:
            body = text.encode()
            self.send_response(status)
            for name, value in (
                ("Content-Type", "text/html; charset=utf-8"),
                ("Content-Length", str(len(body))),
                *headers,
            ):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Write no log."""

    ThreadingHTTPServer((HOST, lab.ports["edge-app"]), Answers).serve_forever()


if __name__ == "__main__":
    serve(load(Path(sys.argv[1]), up=False))
