"""Catches what Alertmanager sends: webhooks over HTTP, mails over SMTP. It is also the exporter that alerts are about.

Run as `python -m pytest_deploygate.lab.alert_catcher FOLDER`. `POST /hook/NAME` keeps a notification, `GET /caught/NAME` returns
those of that receiver as a JSON list. Mails become files of a Maildir. `/metrics` shows the values of a file.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
import uuid
from collections import defaultdict, deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from pytest_deploygate.lab.state import HOST, Lab, load

CATCHER, SMTP = "alert-catcher", "alert-smtp"
#: What the exporter shows while nothing is wrong: metrics by name.
HEALTHY = {"plant_pressure_bar": 2.1, "plant_coolant_celsius": 41.0}
_MOST = 500


def maildir(lab: Lab) -> Path:
    """Return the folder of the mails."""
    return lab.folder / "jobs" / "alert-mails"


def values(lab: Lab) -> Path:
    """Return the file with the values that the exporter shows; an empty object shows none."""
    return lab.folder / "jobs" / "plant.json"


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.caught: dict[str, deque[object]] = defaultdict(lambda: deque(maxlen=_MOST))
        super().__init__((HOST, lab.ports[CATCHER]), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10
    server: _Http

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.caught[self.path.rpartition("/")[2]].append(json.loads(body))
        self._answer(b"", "text/plain")

    def do_GET(self) -> None:
        if self.path == "/metrics":
            shown = json.loads(values(self.server.lab).read_text())
            text = "".join(f"# TYPE {name} gauge\n{name} {value}\n" for name, value in shown.items())
            self._answer(text.encode(), "text/plain; version=0.0.4")
        else:
            caught = list(self.server.caught[self.path.rpartition("/")[2]])
            self._answer(json.dumps(caught).encode(), "application/json")

    def _answer(self, body: bytes, content_type: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


async def _mail(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, folder: Path) -> None:
    """Take mails as a server does that accepts everything (RFC 5321)."""

    def say(text: str) -> None:
        writer.write(f"{text}\r\n".encode())

    say("220 alert-catcher ready")
    while line := await reader.readline():
        word = line.split()[0].upper() if line.split() else b""
        if word == b"DATA":
            say("354 go on")
            lines = []
            while (line := await reader.readline()) not in (b".\r\n", b""):
                lines.append(line.removeprefix(b"."))
            _deliver(folder, b"".join(lines))
        say("221 bye" if word == b"QUIT" else "250 ok")
        if word == b"QUIT":
            break
    writer.close()


def _deliver(folder: Path, mail: bytes) -> None:
    name = f"{time.time():.6f}.{uuid.uuid4().hex}.{os.getpid()}"
    (folder / "tmp" / name).write_bytes(mail)
    (folder / "tmp" / name).rename(folder / "new" / name)


async def _serve_mail(lab: Lab) -> None:
    folder = maildir(lab)
    server = await asyncio.start_server(lambda r, w: _mail(r, w, folder), HOST, lab.ports[SMTP])
    await server.serve_forever()


def main() -> None:
    """Serve until a signal ends it."""
    lab = load(Path(sys.argv[1]), up=False)
    for place in ("tmp", "new", "cur"):
        (maildir(lab) / place).mkdir(parents=True, exist_ok=True)
    threading.Thread(target=_Http(lab).serve_forever, daemon=True).start()
    asyncio.run(_serve_mail(lab))


if __name__ == "__main__":
    main()
