"""HTTP and WebSockets with the settings of an inventory, on the loop of a test."""

from __future__ import annotations

import asyncio

import aiohttp

from pytest_deploygate.clients import reach
from pytest_deploygate.clients.budget import Spending
from pytest_deploygate.clients.http import sending
from pytest_deploygate.clients.tls.client_context import client_context
from pytest_deploygate.fields.http import HttpAccess
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact, shortened

#: How long connecting may take, where the inventory says nothing.
CONNECT_S = 10.0
#: A WebSocket that the other side does not close is cut after this.
_CLOSE_S = 0.3
_LONGEST_MESSAGE = 16 << 20


def session(access: HttpAccess, spending: Spending, connections: int) -> aiohttp.ClientSession:
    """Return a session that sends the headers of the inventory and ours. Raises CannotTell if trust cannot be read."""
    try:
        trust = client_context(access.ca_file)
    except OSError as error:
        raise CannotTell(f"the certificates to trust cannot be read: {error}") from None
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections, ssl=trust, ttl_dns_cache=60),
        headers=sending.headers(access) | dict(spending.headers),
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=True,
    )


async def websocket(
    with_session: aiohttp.ClientSession, access: HttpAccess, url: str
) -> aiohttp.ClientWebSocketResponse:
    """Open a WebSocket. Raises aiohttp.ClientError, OSError, TimeoutError."""
    limit_s = access.timeout.total_seconds() if access.timeout else CONNECT_S
    return await asyncio.wait_for(
        with_session.ws_connect(
            url,
            timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_S),
            heartbeat=None,
            max_msg_size=_LONGEST_MESSAGE,
        ),
        limit_s,
    )


def why(error: BaseException) -> str:
    """Return why there was no answer, for people, without secrets."""
    if ours := reach.why_ours(error):
        return ours
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return f"the upgrade to a WebSocket was answered with {error.status}"
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return f"its certificate is not trusted: {shortened(redact(str(error)), 160)}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the connection was closed without an answer"
    if reach.refused(error):
        return "connection refused: nothing listens there"
    return shortened(redact(f"{type(error).__name__}: {error}"), 160)
