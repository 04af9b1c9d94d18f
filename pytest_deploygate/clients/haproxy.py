"""One command to HAProxy's runtime API ("Unix Socket commands" in its management guide)."""

from __future__ import annotations

import contextlib
import socket

from pytest_deploygate.clients.deadline import Deadline

_TIMEOUT_S = 5.0


def ask(place: str, command: str) -> str:
    """Return the answer to a command; `place` is a unix socket's path or host:port. Raises OSError."""
    deadline = Deadline(_TIMEOUT_S)
    host, colon, port = place.rpartition(":")
    with contextlib.ExitStack() as stack:
        if colon and port.isdigit():
            connection = stack.enter_context(socket.create_connection((host, int(port)), _TIMEOUT_S))
        else:
            connection = stack.enter_context(socket.socket(socket.AF_UNIX))
            connection.settimeout(_TIMEOUT_S)
            connection.connect(place)
        connection.sendall(command.encode() + b"\n")
        connection.shutdown(socket.SHUT_WR)
        parts = []
        while part := deadline.receive(connection, 65536):
            parts.append(part)
    return b"".join(parts).decode(errors="replace")
