"""What came to a receiver: each way to see it counts our alerts, from the beginning of the test until now."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from imaplib import IMAP4, IMAP4_SSL
from pathlib import Path
from typing import Any, Protocol

import requests

from pytest_deploygate.checks.alerts.probe import messages
from pytest_deploygate.checks.alerts.probe.messages import Counted
from pytest_deploygate.checks.alerts.section import Imap, Webhook
from pytest_deploygate.clients.http import sending
from pytest_deploygate.model import CannotTell

#: Of a webhook's notification, a mailbox or a folder, more is not read.
_LARGEST, _MOST_MAILS = 10_000_000, 500
#: Clocks of the machines that write mails to a folder, and ours, may differ by this much.
_BEFORE_S = 60.0
_TIMEOUT_S = 10.0


class Catcher(Protocol):
    """One way to see what came to a receiver."""

    def begin(self) -> None:
        """Begin to look. Raises CannotTell."""
        ...

    def poll(self, numbers: Collection[str]) -> Counted:
        """Return how often alerts with these numbers have come by now. Raises CannotTell."""
        ...

    def end(self) -> None:
        """End it."""
        ...


class Kept:
    """A server that keeps what a webhook got, and gives it back."""

    def __init__(self, webhook: Webhook, label: str) -> None:
        self._webhook, self._label = webhook, label

    def begin(self) -> None:
        """Ask once: what cannot be asked is said before anything is sent."""
        self.poll(())

    def poll(self, numbers: Collection[str]) -> Counted:
        """Read all that it has."""
        timeout = self._webhook.timeout
        try:
            answer = sending.get(
                self._webhook,
                self._webhook.url,
                timeout.total_seconds() if timeout else _TIMEOUT_S,
                afresh=True,
            )
        except (requests.RequestException, OSError) as error:
            raise CannotTell(f"{self._webhook.url} does not answer: {sending.why(error)}") from None
        if answer.status_code != 200:
            raise CannotTell(f"{self._webhook.url} answered with HTTP {answer.status_code}")
        try:
            return messages.in_webhooks(answer.json(), self._label, numbers)
        except ValueError:
            raise CannotTell(
                f"{self._webhook.url} answered with no JSON: check the URL, and whether it requires a login"
            ) from None

    def end(self) -> None:
        """Nothing is held."""


class Listener:
    """A webhook of our own: it listens while we look."""

    def __init__(self, address: str, label: str) -> None:
        self._address, self._label = address, label
        self._bodies: list[bytes] = []
        self._server: ThreadingHTTPServer | None = None

    def begin(self) -> None:
        """Listen."""
        bodies = self._bodies

        class Handler(BaseHTTPRequestHandler):
            timeout = _TIMEOUT_S

            def do_POST(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                if 0 < size <= _LARGEST:
                    bodies.append(self.rfile.read(size))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        host, _, port = self._address.rpartition(":")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        server = type("Server", (ThreadingHTTPServer,), {"address_family": family, "daemon_threads": True})
        try:
            self._server = server((host.strip("[]"), int(port)), Handler)
        except OSError as error:
            raise CannotTell(
                f"the gate cannot listen on {self._address}: {error.strerror or error}"
            ) from None
        threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="alerts-listener", daemon=True
        ).start()

    def poll(self, numbers: Collection[str]) -> Counted:
        """Read what came."""
        found: Counted = Counter()
        for body in list(self._bodies):
            with contextlib.suppress(ValueError):
                found += messages.in_webhooks(json.loads(body), self._label, numbers)
        return found

    def end(self) -> None:
        """Listen no longer."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


class Maildir:
    """A folder of mails."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._began = 0.0
        self._mails: dict[str, bytes] = {}

    def begin(self) -> None:
        """Note the time; older mails are not read."""
        self._began = time.time() - _BEFORE_S
        self.poll(())

    def poll(self, numbers: Collection[str]) -> Counted:
        """Read the mails that are new."""
        try:
            for place in ("new", "cur"):
                self._read(self._folder / place)
        except OSError as error:
            raise CannotTell(f"the mails in {self._folder} cannot be read: {error.strerror}") from None
        found: Counted = Counter()
        for content in self._mails.values():
            found += messages.in_mail(content, numbers)
        return found

    def _read(self, place: Path) -> None:
        for file in place.iterdir():
            # A mail that is read moves, and gets flags behind a colon.
            name = file.name.partition(":")[0]
            with contextlib.suppress(FileNotFoundError):
                if name not in self._mails and file.stat().st_mtime >= self._began:
                    self._mails[name] = file.read_bytes()[:_LARGEST]

    def end(self) -> None:
        """Nothing is held."""


class Mailbox:
    """A mailbox on a server: mails that came after the beginning, by their number there (RFC 9051)."""

    def __init__(self, section: Imap) -> None:
        self._section = section
        self._server: IMAP4_SSL | None = None
        self._after = 0
        self._mails: dict[int, bytes] = {}

    def begin(self) -> None:
        """Log in, and note the last mail."""
        wanted = self._section
        with self._failing():
            trusted = ssl.create_default_context(cafile=str(wanted.ca_file) if wanted.ca_file else None)
            self._server = IMAP4_SSL(wanted.host, wanted.port, ssl_context=trusted, timeout=_TIMEOUT_S)
            self._server.login(wanted.user, wanted.password.reveal())
            self._after = max(self._numbers(self._server, "ALL"), default=0)

    def poll(self, numbers: Collection[str]) -> Counted:
        """Read the mails that are new."""
        found: Counted = Counter()
        if self._server is None:
            return found
        with self._failing():
            for number in self._numbers(self._server, f"UID {self._after + 1}:*")[:_MOST_MAILS]:
                if number > self._after and number not in self._mails:
                    self._mails[number] = _mail(self._server, number)
        for content in self._mails.values():
            found += messages.in_mail(content, numbers)
        return found

    def end(self) -> None:
        """Log out."""
        if self._server is not None:
            with contextlib.suppress(OSError, IMAP4.error):
                self._server.logout()

    def _numbers(self, server: IMAP4_SSL, which: str) -> list[int]:
        # The folder is selected each time: some servers show new mails only then.
        how, said = server.select(f'"{self._section.folder}"', readonly=True)
        if how != "OK":
            raise IMAP4.error(f"it has no folder {self._section.folder} ({said[0]!r})")
        _, found = server.uid("SEARCH", which)
        return [int(number) for number in (found[0] or b"").split()]

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, IMAP4.error) as error:
            raise CannotTell(
                f"the mailbox on {self._section.host} cannot be read: {_imap_said(error)}"
            ) from None


def _mail(server: IMAP4_SSL, number: int) -> bytes:
    _, parts = server.uid("FETCH", str(number), "(BODY.PEEK[])")
    return next((part[1] for part in parts if isinstance(part, tuple)), b"")[:_LARGEST]


def _imap_said(error: Exception) -> str:
    text = error.args[0] if error.args else ""
    return text.decode(errors="replace") if isinstance(text, bytes) else str(error) or type(error).__name__
