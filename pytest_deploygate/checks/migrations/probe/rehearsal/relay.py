"""A relay between a migration tool and the scratch server, which stops after each message to look at what it did.

It speaks as much of PostgreSQL's protocol (version 3) as that needs: it finds the ends of messages, and what a client
asks for. The tool's messages and the server's answers pass unchanged. Only one query or sync is under way at a time, so
that questions of our own can be put to the same session between two of the tool's.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import field
from typing import Self

from pytest_deploygate.lazy import dataclass

_SSL, _GSS, _CANCEL = 80877103, 80877104, 80877102
_COPYING = b"dcfX"
_ENDS_TURN = b"QSF"
_PATIENCE_S = 1.0


@dataclass()
class Turn:
    """What the client asked between two moments at which the server was ready, and how the server answered.

    `status` is that of the session afterwards: I (idle), T (in a transaction), E (in a failed one).
    """

    texts: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    sqlstate: str = ""
    message: str = ""
    status: str = "I"


class Session:
    """One connection of the tool, with its server process. `held` is for the observer: locks seen so far."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.pid = 0
        self.held: set[tuple[int, str]] = set()
        self._client, self._server = client, server
        self._from_client, self._from_server = bytearray(), bytearray()
        self._prepared: dict[bytes, str] = {}

    def ask(self, query: str) -> list[str]:
        """Run a query of our own in this session, which must be ready; return the first column of its rows."""
        self._server.sendall(_message(b"Q", query.encode() + b"\0"))
        rows: list[str] = []
        while True:
            for kind, body in _taken(self._from_server):
                if kind == b"D":
                    length = struct.unpack_from("!hi", body)[1]
                    rows.append("" if length < 0 else body[6 : 6 + length].decode())
                elif kind == b"Z":
                    return rows
            got = self._server.recv(65536)
            if not got:
                raise ConnectionError("the scratch server ended")
            self._from_server += got

    def pump(self, ready: Callable[[Session, Turn], None], over: threading.Event) -> None:
        """Pass messages on in both directions until one side closes or `over` is set."""
        turn, busy, started = Turn(), True, False
        while not over.is_set():
            readable, _, _ = select.select([self._client, self._server], [], [], _PATIENCE_S)
            for one in readable:
                got = one.recv(65536)
                if not got:
                    return
                (self._from_client if one is self._client else self._from_server).extend(got)
            for kind, body in _taken(self._from_server):
                if kind == b"K":
                    self.pid = struct.unpack_from("!i", body)[0]
                elif kind == b"C":
                    turn.tags.append(body.rstrip(b"\0").decode())
                elif kind == b"E":
                    turn.sqlstate, turn.message = _error(body)
                elif kind == b"Z":
                    turn.status = body.decode()
                    if started:
                        ready(self, turn)
                    turn, busy, started = Turn(), False, True
                self._client.sendall(_message(kind, body))
            while found := _next(self._from_client, _COPYING if busy else b""):
                kind, body = found
                self._note(turn, kind, body)
                busy = busy or kind in _ENDS_TURN
                self._server.sendall(_message(kind, body))

    def _note(self, turn: Turn, kind: bytes, body: bytes) -> None:
        if kind == b"Q":
            turn.texts.append(body.rstrip(b"\0").decode(errors="replace"))
        elif kind == b"P":
            name, _, rest = body.partition(b"\0")
            self._prepared[name] = rest.partition(b"\0")[0].decode(errors="replace")
        elif kind == b"B":
            name = body.split(b"\0", 2)[1]
            turn.texts.append(self._prepared.get(name, ""))


class Relay:
    """Listens on loopback for clients that know the password, and connects them to the scratch server's socket."""

    def __init__(self, server: str, password: str, ready: Callable[[Session, Turn], None]) -> None:
        self._server, self._password, self._ready = server, password.encode(), ready
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        #: What went wrong in the relay itself: then its observations are not whole.
        self.problems: list[str] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._listener.close()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            with client, socket.socket(socket.AF_UNIX) as server:
                server.connect(self._server)
                if self._started(client, server):
                    Session(client, server).pump(self._ready, self._over)
        except (BrokenPipeError, ConnectionError):
            return  # the tool went away, which ends its session
        except Exception as error:  # noqa: BLE001 (a thread's error would be lost)
            self.problems.append(f"{type(error).__name__}: {error}")

    def _started(self, client: socket.socket, server: socket.socket) -> bool:
        """Let the client begin: refuse encryption, ask for the password, and pass its greeting on."""
        while True:
            head = _exactly(client, 8)
            length, code = struct.unpack("!ii", head)
            if code in (_SSL, _GSS):
                client.sendall(b"N")
                continue
            rest = _exactly(client, length - 8)
            if code == _CANCEL:
                server.sendall(head + rest)
                return False
            break
        client.sendall(_message(b"R", struct.pack("!i", 3)))
        kind = _exactly(client, 1)
        given = _exactly(client, struct.unpack("!i", _exactly(client, 4))[0] - 4).rstrip(b"\0")
        if kind != b"p" or given != self._password:
            fields = b"SFATAL\0VFATAL\0C28P01\0Mthis is a rehearsal's scratch server, and the password is wrong\0\0"
            with contextlib.suppress(OSError):
                client.sendall(_message(b"E", fields))
            return False
        server.sendall(head + rest)
        return True


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def _next(buffer: bytearray, only: bytes) -> tuple[bytes, bytes] | None:
    """Take the first whole message from a buffer, if its kind is one of `only` (empty: any)."""
    if len(buffer) < 5 or (only and buffer[0] not in only):
        return None
    length = struct.unpack_from("!i", buffer, 1)[0] + 1
    if len(buffer) < length:
        return None
    kind, body = bytes(buffer[:1]), bytes(buffer[5:length])
    del buffer[:length]
    return kind, body


def _taken(buffer: bytearray) -> list[tuple[bytes, bytes]]:
    """Take messages up to and including the next at which the server is ready."""
    taken = []
    while found := _next(buffer, b""):
        taken.append(found)
        if found[0] == b"Z":
            break
    return taken


def _error(body: bytes) -> tuple[str, str]:
    fields = {part[:1]: part[1:].decode(errors="replace") for part in body.split(b"\0") if part}
    state = fields.get(b"C", "")
    # What depends on an object is only in the detail, and the hint there is CASCADE. Other details may show rows.
    more = " ".join(fields.get(b"D" if state == "2BP01" else b"H", "").split()).rstrip(".")
    return state, fields.get(b"M", "") + (f": {more}" if more else "")


def _exactly(source: socket.socket, length: int) -> bytes:
    got = b""
    while len(got) < length:
        more = source.recv(length - len(got))
        if not more:
            raise ConnectionError("closed")
        got += more
    return got
