"""A real SMTP server for tests (aiosmtpd) that misbehaves as it is told; mails that it takes become files.

Run as a program it serves until it is killed, and prints its port. `VRFY connections` says how many it has.
"""

# ruff: noqa: ARG002  (the signatures are those of aiosmtpd)
from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
import threading
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult

HOST = "127.0.0.1"
PASSWORD = "letters-and-more"


class Server(SMTP):
    """Counts its connections, and may hang or close at a stage."""

    open = 0

    def connection_made(self, transport: Any) -> None:
        if isinstance(self.event_handler, Mailbox) and self.event_handler.hangs == "greeting":
            self._silent = transport
            return
        type(self).open += 1
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if hasattr(self, "_silent"):
            return
        type(self).open -= 1
        super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        if not hasattr(self, "_silent"):
            super().data_received(data)

    async def smtp_STARTTLS(self, arg: str) -> None:  # noqa: N802
        await self._at("STARTTLS")
        await super().smtp_STARTTLS(arg)

    async def smtp_AUTH(self, arg: str) -> None:  # noqa: N802
        await self._at("AUTH")
        await super().smtp_AUTH(arg)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        await self._at("354")
        if isinstance(self.event_handler, Mailbox) and self.event_handler.hangs == "text":
            await self.push("354 go on")
            self.transport.pause_reading()
            await asyncio.sleep(60)
        await super().smtp_DATA(arg)

    async def _at(self, stage: str) -> None:
        if isinstance(self.event_handler, Mailbox):
            await self.event_handler.at(stage, self)

    def eof_received(self) -> bool | None:
        return None if hasattr(self, "_silent") else super().eof_received()


class Mailbox:
    """What is done with each command. `hangs` and `closes` name a stage; `refused` maps an address to its answer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hangs = self.closes = ""
        self.refused: dict[str, str] = {}
        self.greylists = False
        self.after_data = ""
        self.seen: list[str] = []
        self.senders: list[str] = []
        self.said: Counter[str] = Counter()

    async def at(self, stage: str, server: Any) -> None:
        self.said[stage] += 1
        if self.hangs == stage:
            await asyncio.sleep(60)
        if self.closes == stage:
            server.transport.abort()

    async def handle_EHLO(self, server, session, envelope, hostname, responses):  # noqa: N802
        await self.at("EHLO", server)
        session.host_name = hostname
        return responses

    async def handle_MAIL(self, server, session, envelope, address, options):  # noqa: N802
        await self.at("MAIL", server)
        self.senders.append(address or "<>")
        if answer := self.refused.get(address or "<>"):
            return answer
        envelope.mail_from = address or "<>"
        return "250 2.1.0 sender ok"

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
        await self.at("RCPT", server)
        if answer := self.refused.get(address):
            return answer
        if self.greylists and address not in self.seen:
            self.seen.append(address)
            return "450 4.2.0 greylisted, try again later"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 recipient ok"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        if self.closes == "before the mail is taken":
            server.transport.abort()
            return "250 never seen"
        name = uuid.uuid4().hex
        for address in envelope.rcpt_tos:
            box = self.folder / address
            box.mkdir(exist_ok=True)
            (box / name).write_bytes(envelope.original_content)
        await self.at("DATA", server)
        return self.after_data or "250 2.0.0 taken as " + name[:6]

    async def handle_VRFY(self, server, session, envelope, address):  # noqa: N802
        return f"252 {Server.open}"


class MailServer:
    """A server in a thread of its own. `ssl_context`: TLS from the start; the other options are those of aiosmtpd's SMTP."""

    def __init__(self, folder: Path, ssl_context: ssl.SSLContext | None = None, **options: Any) -> None:
        self.mailbox = Mailbox(folder)
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(lambda *_: None)

        def factory() -> Server:
            return Server(self.mailbox, loop=self._loop, hostname="mail.example.com", **options)

        made = self._loop.create_server(factory, HOST, 0, ssl=ssl_context)
        self._server = self._loop.run_until_complete(made)
        self.at = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        async def end() -> None:
            self._server.close()
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def mails(self, address: str) -> list[bytes]:
        return [path.read_bytes() for path in sorted((self.mailbox.folder / address).glob("*"))]


@contextlib.contextmanager
def serving(folder: Path, **options: Any):
    """A server until the block ends."""
    folder.mkdir(exist_ok=True)
    server = MailServer(folder, **options)
    try:
        yield server
    finally:
        server.stop()


def authenticator(server, session, envelope, mechanism, data) -> AuthResult:
    """Let in who has the password."""
    return AuthResult(success=data.password == PASSWORD.encode(), handled=False)


def main() -> None:
    with serving(Path(sys.argv[1])) as server:
        sys.stdout.write(f"{server.at}\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            while threading.main_thread().is_alive():
                time.sleep(60)


if __name__ == "__main__":
    main()
