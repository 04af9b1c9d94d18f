"""Connecting to a TLS port: every address of a name, connections with a timeout, one hello with a retry."""

from __future__ import annotations

import select
import socket
import threading
from dataclasses import field

from OpenSSL import SSL

from pytest_deploygate.checks.tls.probe import starttls
from pytest_deploygate.checks.tls.probe.hello import Answer, Offer, for_version, say_hello
from pytest_deploygate.checks.tls.section.endpoints import Endpoint, StartTls
from pytest_deploygate.clients import reach
from pytest_deploygate.clients.deadline import Deadline
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import NotReached

#: After this many unanswered connections in a row the rest are skipped: a firewall that drops costs a timeout each.
_PATIENCE = 3


@dataclass()
class Place:
    """One address and port. `lost` counts consecutive unanswered connections; `why` is the last error.

    `connections` counts hellos, `cut` those that ended without an answer and got one when they were repeated.
    """

    host: str
    address: str
    port: int
    starttls: StartTls
    timeout_s: float
    lost: int = 0
    why: str = ""
    connections: int = 0
    cut: int = 0
    guard: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def label(self) -> str:
        """Its name in findings."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


def addresses(endpoint: Endpoint) -> tuple[str, ...]:
    """Return all addresses of an endpoint. Raises NotReached when its name does not resolve."""
    if endpoint.addresses:
        return tuple(endpoint.addresses)
    try:
        return reach.addresses(endpoint.host, endpoint.port)
    except (OSError, UnicodeError) as error:
        raise NotReached(
            f"{endpoint.host} does not resolve here ({error}); fix the name, or list its `addresses`"
        ) from None


def place(endpoint: Endpoint, address: str, timeout_s: float) -> Place:
    """Return the place of one address of an endpoint."""
    return Place(endpoint.host, address, endpoint.port, endpoint.starttls, timeout_s)


def first_contact(where: Place) -> str:
    """Send the hello of an ordinary client; return why nothing else need be tried, or an empty text if it answered.

    An address that takes connections and never answers costs one timeout for all tests of a run.
    """
    try:
        with reach.attempt(where.label):
            _ordinary_hello(where)
    except starttls.NoTls:
        return ""  # it answers, only not with TLS: the probe says what
    except reach.Silent as silent:
        return str(silent)
    except TimeoutError:
        return f"timeout: no answer in {where.timeout_s:g} s"
    except OSError as error:
        return f"unreachable: {_words(error, where.timeout_s)}"
    return ""


def _ordinary_hello(where: Place) -> None:
    """Raise TimeoutError if nothing comes back, another OSError or NoTls if there is no TLS to talk to."""
    with connect(where) as connection:
        answer = say_hello(connection, where.host, Offer("TLSv1.2", for_version("TLSv1.2")))
    if answer.outcome == "timeout":
        raise TimeoutError(answer.detail)


def connect(where: Place) -> socket.socket:
    """Open a connection that is ready for TLS. Raises OSError, starttls.NoTls."""
    if where.lost >= _PATIENCE:
        raise TimeoutError(where.why)
    try:
        connection = socket.create_connection((where.address, where.port), timeout=where.timeout_s)
    except OSError as error:
        where.lost += 1
        where.why = _words(error, where.timeout_s)
        raise
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        starttls.ask(connection, where.starttls)
    except BaseException:
        connection.close()
        raise
    return connection


def hello(where: Place, offer: Offer, *, whole: bool = False) -> Answer:
    """Send one hello on a new connection; anything but accepted or refused is retried once."""
    answer = _hello(where, offer, whole=whole)
    where.connections += 1
    if answer.outcome not in ("accepted", "refused"):
        first, answer = answer, _hello(where, offer, whole=whole)
        where.connections += 1
        where.cut += first.outcome in ("closed", "unreachable", "timeout") and answer.outcome == "accepted"
    if answer.outcome in ("timeout", "unreachable"):
        where.lost += 1
        where.why = answer.detail
    else:
        where.lost = 0
    return answer


def _hello(where: Place, offer: Offer, *, whole: bool) -> Answer:
    try:
        with connect(where) as connection:
            return say_hello(connection, where.host, offer, whole=whole)
    except starttls.NoTls as error:
        return Answer("no-tls", str(error))
    except OSError as error:
        return Answer("unreachable", _words(error, where.timeout_s))


def _words(error: OSError, timeout_s: float) -> str:
    if isinstance(error, TimeoutError):
        return (
            str(error)
            if error.errno is None and str(error) != "timed out"
            else f"no answer in {timeout_s:g} s"
        )
    return str(error.strerror or error)


def handshake(connection: SSL.Connection, plain: socket.socket, deadline: Deadline) -> None:
    """Do pyOpenSSL's handshake, which does not wait by itself on a socket with a timeout. Raises OSError, SSL.Error."""
    while True:
        try:
            connection.do_handshake()
        except SSL.WantReadError:
            wanted = select.POLLIN
        except SSL.WantWriteError:
            wanted = select.POLLOUT
        else:
            return
        ready = select.poll()
        ready.register(plain, wanted)
        ready.poll(deadline.left_s() * 1000)
