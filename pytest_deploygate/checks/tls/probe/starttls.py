"""Requesting TLS in a protocol that starts in the clear: PostgreSQL, SMTP, IMAP, LDAP.

Sources: PostgreSQL's protocol (SSLRequest), RFC 3207, RFC 9051 section 6.2.1, RFC 4511 section 4.14.
"""

from __future__ import annotations

import socket
import struct

from pytest_deploygate.checks.tls.section.endpoints import StartTls
from pytest_deploygate.clients.deadline import Deadline

#: An LDAP ExtendedRequest, message 1, for 1.3.6.1.4.1.1466.20037.
_LDAP_REQUEST = bytes.fromhex("301d02010177188016") + b"1.3.6.1.4.1.1466.20037"
_MOST_BYTES = 20_000


class NoTls(Exception):  # noqa: N818 (it is an answer, not an error)
    """The peer speaks its protocol and does not offer TLS; the text has its reply."""


def ask(connection: socket.socket, protocol: StartTls) -> None:
    """Bring a new connection to the point where TLS begins, within the socket's timeout. Raises NoTls, OSError."""
    timeout_s = connection.gettimeout()
    _ASK[protocol](connection, Deadline(timeout_s or 0.0))
    connection.settimeout(timeout_s)


def _nothing(_connection: socket.socket, _deadline: Deadline) -> None:
    """TLS begins at once."""


def _postgresql(connection: socket.socket, deadline: Deadline) -> None:
    connection.sendall(struct.pack("!II", 8, 80877103))
    said = deadline.receive(connection, 1)
    if said != b"S":
        raise NoTls(
            "PostgreSQL answers that it has no TLS (ssl = off)" if said == b"N" else f"it answered {said!r}"
        )


def _smtp(connection: socket.socket, deadline: Deadline) -> None:
    _expect(connection, deadline, b"220")
    connection.sendall(b"EHLO deploygate.invalid\r\n")
    if b"STARTTLS" not in _expect(connection, deadline, b"250").upper():
        raise NoTls("the SMTP server does not list STARTTLS in its answer to EHLO")
    connection.sendall(b"STARTTLS\r\n")
    _expect(connection, deadline, b"220")


def _expect(connection: socket.socket, deadline: Deadline, code: bytes) -> bytes:
    """Read one SMTP reply, which may have several lines."""
    reply = b""
    while len(reply) < _MOST_BYTES:
        part = deadline.receive(connection, 2048)
        reply += part
        lines = reply.split(b"\r\n")
        if not part or (reply.endswith(b"\r\n") and lines[-2][3:4] == b" "):
            break
    if not reply.startswith(code):
        raise NoTls(f"the SMTP server answered {reply[:80].decode(errors='replace').strip()!r}")
    return reply


def _imap(connection: socket.socket, deadline: Deadline) -> None:
    greeting = _until(connection, deadline, b"\r\n")
    if not greeting.startswith(b"* OK"):
        raise NoTls(f"the IMAP server greets with {greeting[:80].decode(errors='replace').strip()!r}")
    connection.sendall(b"d1 STARTTLS\r\n")
    said = _until(connection, deadline, b"\r\n", having=b"d1 ")
    if b"d1 OK" not in said.upper().replace(b"D1", b"d1"):
        raise NoTls(f"the IMAP server answered {said[:80].decode(errors='replace').strip()!r}")


def _until(connection: socket.socket, deadline: Deadline, end: bytes, having: bytes = b"") -> bytes:
    said = b""
    while not (said.endswith(end) and having in said) and len(said) < _MOST_BYTES:
        part = deadline.receive(connection, 2048)
        if not part:
            break
        said += part
    return said


def _ldap(connection: socket.socket, deadline: Deadline) -> None:
    connection.sendall(_LDAP_REQUEST)
    said = deadline.receive(connection, 2048)
    # ExtendedResponse [APPLICATION 24] with an ENUMERATED resultCode of 0 (success).
    at = said.find(b"\x0a\x01")
    if b"\x78" not in said[:10] or at < 0 or said[at + 2] != 0:
        raise NoTls(f"the LDAP server refuses StartTLS: {said[:40].hex() or 'it closed the connection'}")


_ASK = {"none": _nothing, "postgresql": _postgresql, "smtp": _smtp, "imap": _imap, "ldap": _ldap}
