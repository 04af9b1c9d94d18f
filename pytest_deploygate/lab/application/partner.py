"""The server of a partner: it answers its contract to who brings the credential that was agreed on.

Run as `python -m pytest_deploygate.lab.application.partner FOLDER PORT`, with the settings of the platform's folder.
"""

from __future__ import annotations

import hmac
import json
import sys
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from pytest_deploygate.lab.application import settings
from pytest_deploygate.lab.state import HOST

HEADER = "X-Partner-Key"
_PROBLEM, _JSON = "application/problem+json", "application/json"


def serve(folder: Path, port: int) -> None:
    """Serve until the process is ended."""
    own = settings.load(folder)
    switches = own.switches()
    credential = own.secret("partner")

    class Answers(BaseHTTPRequestHandler):
        """One request."""

        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """Answer with the contract, or that the caller may not see it."""
            brought = self.headers.get(HEADER, "")
            fits = hmac.compare_digest(brought.encode(), credential.encode())
            if switches.on("partner_down"):
                self._problem(503)
            elif not fits or switches.on("partner_revoked"):
                self._problem(401)
            elif urlsplit(self.path).path != "/v1/contract":
                self._problem(404)
            else:
                self._send(200, _JSON, _contract(switches.get("partner_days_left", 200)))

        def _problem(self, status: int) -> None:
            title = HTTPStatus(status).phrase
            self._send(status, _PROBLEM, {"type": "about:blank", "title": title, "status": status})

        def _send(self, status: int, media_type: str, document: object) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Write no log."""

    ThreadingHTTPServer((HOST, port), Answers).serve_forever()


def _contract(days_left: float) -> dict[str, str]:
    until = datetime.now(UTC) + timedelta(days=days_left)
    return {
        "contract": "1.3",
        "account": "example-plant",
        "environment": "production",
        "status": "active",
        "credential_valid_until": until.isoformat(timespec="seconds"),
    }


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
