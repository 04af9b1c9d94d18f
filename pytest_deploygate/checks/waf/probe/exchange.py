"""One connection to a server over which requests are sent as they are."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
from collections.abc import Mapping
from dataclasses import field
from io import BufferedReader

from pytest_deploygate.checks.waf.probe import reading
from pytest_deploygate.checks.waf.probe.message import Message
from pytest_deploygate.clients import stopping
from pytest_deploygate.clients.budget import AGENT, Spending
from pytest_deploygate.clients.deadline import end
from pytest_deploygate.lazy import dataclass

#: More of a body is not looked at.
MOST_BYTES = 65_536
#: Headers that are written apart from those of the inventory.
_OWN_HEADERS = ("host", "user-agent")
#: From this status on, an answer is an error of the service.
_OWN_ERROR = 500


@dataclass(frozen=True)
class Answer:
    """What came back. `problem` says why nothing did; `closed` is true if the server closed instead of answering."""

    status: int | None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    problem: str = ""
    closed: bool = False


@dataclass(frozen=True)
class Place:
    """Where requests go: an address, the name of the host, TLS or not, headers of the inventory, and a local address."""

    address: str
    port: int
    host: str
    tls: ssl.SSLContext | None
    headers: Mapping[str, str]
    timeout_s: float
    source: str = ""


def wire(message: Message, place: Place) -> bytes:
    """Return a request byte by byte."""
    lines = [f"{message.method} {message.target} HTTP/1.1"]
    lines.append(f"Host: {host_header(place)}")
    agent = next((value for header, value in message.headers if header.lower() == "user-agent"), "")
    # Operators tell our requests by the agent: it begins so, whatever an attack puts behind it.
    lines.append(f"User-Agent: {AGENT} {agent}".rstrip())
    if not message.has("Accept"):
        lines.append("Accept: */*")
    given = {name: value for name, value in place.headers.items() if name.lower() not in _OWN_HEADERS}
    lines += [f"{header}: {value}" for header, value in given.items() if not message.has(header)]
    lines += [f"{header}: {value}" for header, value in message.headers if header.lower() != "user-agent"]
    if message.body or message.method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(message.body)}")
    return "\r\n".join([*lines, "", ""]).encode() + message.body


def host_header(place: Place) -> str:
    """Return the host that requests name: that of the inventory's `headers`, else that of the URL."""
    if given := next((value for name, value in place.headers.items() if name.lower() == "host"), ""):
        return given
    name = f"[{place.host}]" if ":" in place.host else place.host
    return name if place.port == (443 if place.tls else 80) else f"{name}:{place.port}"


class Connection:
    """A connection that is opened when it is needed, and kept while the server keeps it."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._socket: socket.socket | None = None
        self._stream: BufferedReader | None = None

    def ask(self, message: Message, spending: Spending) -> Answer:
        """Send a request and read the answer. A kept connection that the server has closed meanwhile is opened again.

        Every request of this probe goes through here, and draws on its budget. Raises Ended.
        """
        kept = self._socket is not None
        answer = self._counted(message, spending)
        return self._counted(message, spending) if kept and answer.closed else answer

    def _counted(self, message: Message, spending: Spending) -> Answer:
        data = wire(message, self.place)
        with (
            spending.request(len(data), connects=self._socket is None) as asked,
            stopping.cutting(lambda: end(self._socket)),
        ):
            answer = self._ask(data, message.method)
            asked.answered(len(answer.body), wrong=answer.status is None or answer.status >= _OWN_ERROR)
        return answer

    def ask_uncounted(self, message: Message) -> Answer:
        """Send a request that the budget counts itself: its control."""
        with stopping.cutting(lambda: end(self._socket)):
            return self._ask(wire(message, self.place), message.method)

    def close(self) -> None:
        """Close it."""
        for each in (self._stream, self._socket):
            if each is not None:
                with contextlib.suppress(OSError):
                    each.close()
        self._socket = self._stream = None

    def _ask(self, data: bytes, method: str) -> Answer:
        try:
            there = self._socket or self._open()
            if self._stream is None:
                self._socket, self._stream = there, there.makefile("rb")
            # A server may answer and close before it has read a whole body: then its answer counts.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                there.sendall(data)
            answer = reading.read(self._stream, method, MOST_BYTES)
            if answer.closes:
                self.close()
            return Answer(answer.status, answer.headers, answer.body)
        except TimeoutError:
            self.close()
            return Answer(None, problem=f"no answer within {self.place.timeout_s:g} s")
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            self.close()
            return Answer(None, problem="the connection was closed without an answer", closed=True)
        except http.client.HTTPException as error:
            self.close()
            return Answer(None, problem=f"its answer is no HTTP that can be read ({type(error).__name__})")
        except OSError as error:
            self.close()
            return Answer(None, problem=_why(error))

    def _open(self) -> socket.socket:
        place = self.place
        here = (place.source, 0) if place.source else None
        there = socket.create_connection((place.address, place.port), place.timeout_s, here)
        try:
            there.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return place.tls.wrap_socket(there, server_hostname=place.host) if place.tls else there
        except BaseException:
            there.close()
            raise


def _why(error: OSError) -> str:
    from pytest_deploygate.clients import reach  # noqa: PLC0415 (for this alone)

    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error}"
    return reach.why_ours(error) or (error.strerror or str(error) or type(error).__name__).lower()
