"""Ask a gRPC server for its health, by the protocol of `grpc.health.v1.Health`.

Its two messages have one field each, so they are written and read here instead of by generated code: the request has the
service's name in field 1, the answer its status in field 1.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pytest_deploygate.checks.api.facts import Attempt, Call, Found, Purpose
from pytest_deploygate.checks.api.section import Api, Grpc
from pytest_deploygate.clients.budget import Budget, Spending
from pytest_deploygate.clients.http import oauth, sending
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact, shortened

if TYPE_CHECKING:
    import grpc

_METHOD = "/grpc.health.v1.Health/Check"
_SERVING = 1
_STATES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
_PAUSE_S = 0.5


def asked(api: Api, server: Grpc, budget: Budget) -> Found:
    """Ask for the health of each service, once more where it is not serving."""
    try:
        import grpc  # noqa: PLC0415 (only a gRPC server needs it)
    except ImportError:
        raise CannotTell(
            "gRPC is asked with grpcio, which is not installed here: pip install 'pytest-deploygate[grpc]'"
        ) from None
    timeout_s = api.timeout.total_seconds()
    access = oauth.logged_in(api, timeout_s)
    metadata = [(name.lower(), value) for name, value in sending.headers(access).items()]
    with (
        budget.probe(f"health of {api.name}", unwatched="a health request for each service") as spending,
        _channel(grpc, api, server) as channel,
    ):
        metadata += [
            (name.lower(), value) for name, value in spending.headers.items() if name != "User-Agent"
        ]
        calls = tuple(_call(channel, name, metadata, timeout_s, spending) for name in server.services)
    return Found(server.address, len(calls), len(calls), calls)


def _channel(grpc: Any, api: Api, server: Grpc) -> Any:
    if not server.tls:
        return grpc.insecure_channel(server.address)
    try:
        roots = api.ca_file.read_bytes() if api.ca_file else None
    except OSError as error:
        raise CannotTell(f"{api.ca_file} cannot be read: {error}") from None
    return grpc.secure_channel(server.address, grpc.ssl_channel_credentials(roots))


def _call(
    channel: grpc.Channel, service: str, metadata: list[tuple[str, str]], timeout_s: float, spending: Spending
) -> Call:
    attempts = [_attempt(channel, service, metadata, timeout_s, spending)]
    if attempts[0].status != 200 or attempts[0].differs:
        time.sleep(_PAUSE_S)
        attempts.append(_attempt(channel, service, metadata, timeout_s, spending))
    name = f"service {service}" if service else "the server"
    return Call(name, Purpose.QUERY, tuple(attempts), ("200",))


def _attempt(
    channel: grpc.Channel, service: str, metadata: list[tuple[str, str]], timeout_s: float, spending: Spending
) -> Attempt:
    import grpc  # noqa: PLC0415 (it is there: `asked` has looked)

    name = service.encode()
    message = b"\n" + _length(len(name)) + name if name else b""
    began = time.monotonic()
    with spending.request(len(message)) as sent:
        try:
            answer: bytes = channel.unary_unary(_METHOD)(message, timeout=timeout_s, metadata=metadata)
        except grpc.RpcError as error:
            sent.answered(wrong=True)
            return _failed(error, service, time.monotonic() - began)
        sent.answered(len(answer))
    state = answer[1] if len(answer) >= 2 and answer[0] == 8 else 0
    took_s = round(time.monotonic() - began, 4)
    if state == _SERVING:
        return Attempt(200, "application/grpc", took_s)
    return Attempt(
        200,
        "application/grpc",
        took_s,
        differs=(f"its health is {_STATES.get(state, state)}, expected SERVING",),
    )


def _failed(error: Any, service: str, took_s: float) -> Attempt:
    """Tell an answer of the server from none: NOT_FOUND means that it does not know the service."""
    details = " ".join(str(error.details()).split())
    code, said = error.code().name, shortened(redact(details), 120)
    took_s = round(took_s, 4)
    match code:
        case "NOT_FOUND":
            return Attempt(
                200, took_s=took_s, differs=(f"it does not know the service {service!r} (NOT_FOUND)",)
            )
        case "UNIMPLEMENTED":
            words = "it has no health service (UNIMPLEMENTED): add grpc.health.v1.Health to the server"
            return Attempt(None, took_s=took_s, said=words, ours=True)
        case "UNAUTHENTICATED" | "PERMISSION_DENIED":
            return Attempt(401, took_s=took_s, error=f"{code} {said}")
        case "UNAVAILABLE" if "refused" in details.lower():
            return Attempt(
                None, took_s=took_s, said="no connection (connection refused: nothing listens there)"
            )
        case "UNAVAILABLE" if "CERTIFICATE_VERIFY_FAILED" in details:
            words = "its certificate is not trusted: correct `ca_file`, or the certificate"
            return Attempt(None, took_s=took_s, said=words)
        case "UNAVAILABLE" if "WRONG_VERSION_NUMBER" in details:
            return Attempt(
                None, took_s=took_s, said="it does not speak TLS: correct `grpc.address` or `grpc.tls`"
            )
    return Attempt(None, took_s=took_s, said=f"{code}: {said}", ours=code in ("UNAVAILABLE", "CANCELLED"))


def _length(size: int) -> bytes:
    """Return a size as a varint."""
    found = bytearray()
    while size > 0x7F:
        found.append(size & 0x7F | 0x80)
        size >>= 7
    found.append(size)
    return bytes(found)
