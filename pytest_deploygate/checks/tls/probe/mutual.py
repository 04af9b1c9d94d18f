"""Mutual TLS: a client with our certificate is accepted, and without one the first *read* fails.

In TLS 1.3 the client has finished its handshake before the server checks its certificate (RFC 8446 section 4.4.2.4),
so a handshake alone proves nothing; nginx lets both pass and answers 400.
"""

from __future__ import annotations

import ssl

from pytest_deploygate.checks.tls.facts import ClientControl, Entry
from pytest_deploygate.checks.tls.probe.connection import Place, connect
from pytest_deploygate.checks.tls.probe.starttls import NoTls
from pytest_deploygate.checks.tls.section.endpoints import Endpoint


def client_control(where: Place, endpoint: Endpoint) -> ClientControl:
    """Try to connect with and without the certificate."""
    own = endpoint.client_certificate
    if own is None:
        raise TypeError("there is no client certificate to try")
    path = endpoint.web.path if endpoint.web else None
    context = _context()
    try:
        context.load_cert_chain(own.certificate, own.key)
        inside = _try(where, context, path)
    except (ssl.SSLError, OSError) as error:
        inside = Entry("unclear", f"our certificate {own.certificate} cannot be used: {error}")
    return ClientControl(inside, _try(where, _context(), path))


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # trust is judged elsewhere; this only tests access
    return context


def _try(where: Place, context: ssl.SSLContext, path: str | None) -> Entry:
    try:
        plain = connect(where)
    except (OSError, NoTls) as error:
        return Entry("unclear", f"no connection: {error}")
    try:
        with plain, context.wrap_socket(plain, server_hostname=where.host) as connection:
            if path is not None:
                connection.sendall(
                    f"GET {path} HTTP/1.1\r\nHost: {where.host}\r\nConnection: close\r\n\r\n".encode()
                )
            said = connection.recv(1024)
    except TimeoutError:
        # A server that waits for the client to speak first sends nothing: it did not refuse.
        return Entry("unclear" if path is not None else "let-in", "no refusal, and no data in time")
    except ssl.SSLError as error:
        return Entry("refused", str(error.reason or error))
    except ConnectionError as error:
        return Entry("refused", type(error).__name__)
    except OSError as error:
        return Entry("unclear", str(error))
    return (
        _answered(said)
        if path is not None
        else Entry("let-in" if said else "refused", f"{len(said)} bytes read")
    )


def _answered(said: bytes) -> Entry:
    words = said.split(b" ", 2)
    if not said:
        return Entry("refused", "closed without sending data")
    if not said.startswith(b"HTTP/") or len(words) < 2 or not words[1].isdigit():
        return Entry("unclear", f"answered {said[:40]!r}")
    status = int(words[1])
    # nginx returns 400 (its own 495 and 496 on the wire), others 401 or 403.
    return Entry("refused" if status in (400, 401, 403, 421, 495, 496) else "let-in", f"HTTP {status}")
