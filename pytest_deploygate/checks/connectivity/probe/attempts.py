"""Connects to services as their clients do and says how far each attempt came. It runs here, and as text on hosts.

So it imports nothing but the standard library, and runs with Python from 3.7 on. A plan is JSON: `{"timeout_s", "within_s",
"at_once", "headers", "services": [{"name", "host", "port", "speaks", "path", "tls", "server_name", "ca_file", "verify",
"fills"}]}`. The answer has a line of JSON for each name, and one for each address of it.

An attempt is made twice, and a third time where the two differ; what our own processors delayed is made again. Packets of full size get a connection of their own: a
message is begun that the server waits for the end of, so it has to acknowledge them and nothing else happens. Sources:
tcp(7) for TCP_INFO, RFC 9112, RFC 8446 (5.1), PostgreSQL's message formats, Redis' protocol.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import queue
import socket
import ssl
import struct
import sys
import termios
import threading
import time
from typing import Any, Dict  # noqa: UP035 (Python 3.7)

#: As the plan has it. Python 3.7 evaluates this name's value.
Service = Dict[str, Any]  # noqa: UP006
_MOST_ADDRESSES = 4
#: Enough for jumbo frames on most ways, and less than what servers take for the head of a request (8 kB).
_LONG = 7000
_STEP_S, _USUAL_S = 0.02, 0.01
#: An attempt during which we were late for so long, or for this share of it, is made again: at most so many are made.
_LATE_S, _LATE_SHARE, _MOST_TRIES = 0.1, 0.25, 6
#: Offsets in struct tcp_info of Linux: the state, the size of segments, the path's MTU. A connection that was reset is closed.
_STATE, _MSS, _PMTU = 0, 16, 60
_CLOSED = 7
_NO_ROUTE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
_OWN = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN}
_FORBIDDEN = {errno.EACCES, errno.EPERM}
_SSL_REQUEST = struct.pack(">II", 8, 80877103)


class _Failed(Exception):  # noqa: N818
    def __init__(self, step: str, kind: str, said: str) -> None:
        super().__init__(said)
        self.told = {"failed": step, "kind": kind, "said": said}


def _failed(step: str, error: BaseException, timeout_s: float) -> _Failed:
    """Tell apart what came back."""
    if isinstance(error, (socket.timeout, TimeoutError)) or getattr(error, "errno", None) == errno.ETIMEDOUT:
        return _Failed(step, "silent", f"no answer within {timeout_s:g} s")
    if isinstance(error, ssl.SSLCertVerificationError):
        return _Failed(step, "refused", f"certificate not trusted: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        return _Failed(step, "refused", "%s" % (error.reason or error))
    number = getattr(error, "errno", None)
    said = os.strerror(number) if number and number > 0 else str(error) or type(error).__name__
    if number in _NO_ROUTE:
        return _Failed(step, "no route", said)
    if number in _FORBIDDEN:
        return _Failed(step, "no route", f"{said}: a filter of the place itself forbids it")
    return _Failed(step, "own" if number in _OWN else "refused", said)


def _addresses(service: Service) -> tuple[list[str], dict[str, Any]]:
    """Return the addresses of a service here, and how long that took or why there are none."""
    began = time.monotonic()
    try:
        found = socket.getaddrinfo(service["host"], service["port"], type=socket.SOCK_STREAM)
    except OSError as error:
        name = getattr(error, "errno", None)
        silent = name in (getattr(socket, "EAI_AGAIN", -3), errno.ETIMEDOUT)
        words = error.strerror or error
        said = f"no name server gives an answer ({words})" if silent else f"does not resolve ({words})"
        return [], {"failed": "name", "kind": "silent" if silent else "refused", "said": said}
    except UnicodeError:
        return [], {"failed": "name", "kind": "refused", "said": "is not a name"}
    unique = list(dict.fromkeys(str(each[4][0]) for each in found))
    return unique[:_MOST_ADDRESSES], {"name_s": round(time.monotonic() - began, 4)}


def _connected(address: str, port: int, timeout_s: float) -> socket.socket:
    try:
        return socket.create_connection((address, port), timeout_s)
    except OSError as error:
        raise _failed("TCP", error, timeout_s) from None


def _context(service: Service) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=service["ca_file"] or None)
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        raise _Failed(
            "TLS", "refused", "the place cannot use {}: {}".format(service["ca_file"], said)
        ) from None
    if not service["verify"]:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _asked_for_tls(there: socket.socket) -> None:
    there.sendall(_SSL_REQUEST)
    said = there.recv(1)
    if said == b"N":
        raise _Failed("TLS", "refused", "the server does no TLS")
    if said != b"S":
        raise _Failed("TLS", "refused", "it does not speak PostgreSQL's protocol")


def _question(service: Service, headers: dict[str, str]) -> bytes:
    if service["speaks"] == "http":
        lines = [
            "GET {} HTTP/1.1".format(service["path"]),
            "Host: %s" % (service["server_name"] or service["host"]),
        ]
        lines += ["{}: {}".format(*pair) for pair in headers.items()]
        return ("\r\n".join([*lines, "Connection: close", "", ""])).encode()
    if service["speaks"] == "redis":
        return b"PING\r\n"
    # Within TLS PostgreSQL has answered already; the server of a banner speaks by itself.
    return b"" if service["tls"] or service["speaks"] != "postgres" else _SSL_REQUEST


def _expected(service: Service, answer: bytes, told: dict[str, Any]) -> None:
    """Raise unless an answer begins as its protocol does."""
    if not answer:
        raise _Failed("first byte", "refused", "the connection was closed without an answer")
    form = {"http": (b"HTTP/",), "redis": (b"+", b"-"), "postgres": (b"S", b"N")}.get(service["speaks"], ())
    if form and not answer.startswith(form):
        words = answer[:20].decode("ascii", "replace")
        raise _Failed("first byte", "refused", "it does not speak {}: {!r}".format(service["speaks"], words))
    if service["speaks"] == "http":
        status = answer.split(b" ", 2)[1:2]
        told["status"] = int(status[0][:3]) if status and status[0][:3].isdigit() else None


def attempt(service: Service, address: str, timeout_s: float, headers: dict[str, str]) -> dict[str, Any]:
    """Connect once and go as far as the service's protocol allows."""
    told: dict[str, Any] = {}
    step, there = "TCP", None
    began = time.monotonic()
    try:
        there = _connected(address, service["port"], timeout_s)
        told["connect_s"] = round(time.monotonic() - began, 4)
        if service["tls"]:
            step = "TLS"
            if service["speaks"] == "postgres":
                _asked_for_tls(there)
            there = _context(service).wrap_socket(
                there, server_hostname=service["server_name"] or service["host"]
            )
            told["tls_s"] = round(time.monotonic() - began, 4)
        if service["speaks"] and not (service["tls"] and service["speaks"] == "postgres"):
            step = "first byte"
            there.sendall(_question(service, headers))
            answer = there.recv(64)
            told["first_s"] = round(time.monotonic() - began, 4)
            _expected(service, answer, told)
    except _Failed as failed:
        told.update(failed.told)
    except (OSError, ValueError) as error:
        told.update(_failed(step, error, timeout_s).told)
    finally:
        if there is not None:
            there.close()
    return told


def _begun(service: Service) -> bytes:
    """Return the beginning of a message whose end does not come."""
    if service["tls"] and service["speaks"] != "postgres":
        # A record of TLS with a client's greeting that is longer than what follows.
        head = b"\x16\x03\x01\x3f\xff\x01\x00\x3f\xfb\x03\x03"
    elif service["speaks"] == "http":
        head = ("GET / HTTP/1.1\r\nHost: {}\r\nX-Full-Size: ".format(service["host"])).encode()
    elif service["speaks"] == "postgres":
        head = struct.pack(">II", 9000, 196608)
    else:
        head = b"*2\r\n$4\r\nPING\r\n$9000\r\n"
    return head + (_LONG - len(head)) * b"x"


def _tcp_info(there: socket.socket) -> tuple[int, int]:
    """Return the size of segments and the path's MTU. Raises ConnectionResetError."""
    told = there.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    if told[_STATE] == _CLOSED:
        raise ConnectionResetError(errno.ECONNRESET, "the other side reset it")
    return struct.unpack_from("=I", told, _MSS)[0], struct.unpack_from("=I", told, _PMTU)[0]


def _left(there: socket.socket) -> int:
    """Return how many bytes are not acknowledged, also those that a filter of the place did not let out (SIOCOUTQ)."""
    return int(struct.unpack("i", fcntl.ioctl(there, termios.TIOCOUTQ, 4 * b"\0"))[0])


def full_size(service: Service, address: str, timeout_s: float) -> dict[str, Any]:
    """Send packets as long as they may be, and wait until they are acknowledged."""
    if not hasattr(socket, "TCP_INFO"):
        return {"said": "this system does not tell the state of a connection"}
    try:
        there = _connected(address, service["port"], timeout_s)
    except _Failed as failed:
        return {"said": f"no connection: {failed}"}
    with there:
        try:
            segment, path = _tcp_info(there)
            if not service["fills"]:
                return {"path_mtu": path, "said": "nothing long can be sent in its protocol"}
            there.sendall(_begun(service))
            until = time.monotonic() + timeout_s
            while True:
                left = _left(there)
                mss, path = _tcp_info(there)
                segment = mss or segment
                if not left or time.monotonic() > until:
                    break
                time.sleep(_STEP_S)
            return {"path_mtu": path, "segment": min(segment, _LONG), "acknowledged": not left}
        except OSError as error:
            return {"said": "the connection ended: %s" % (error.strerror or error)}


class Late:
    """How long a thread of this process was kept from running, in all."""

    def __init__(self) -> None:
        self.total_s = 0.0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            before = time.monotonic()
            time.sleep(_STEP_S)
            over_s = time.monotonic() - before - _STEP_S
            if over_s > _USUAL_S:
                self.total_s += over_s


def cell(service: Service, address: str, plan: dict[str, Any], late: Late) -> dict[str, Any]:
    """Try a service at one address until two attempts agree, or three were made. Those that we delayed do not count."""
    timeout_s, headers = plan["timeout_s"], plan["headers"]
    made: list[tuple[float, dict[str, Any]]] = []
    clear: list[dict[str, Any]] = []
    while len(made) < _MOST_TRIES and not _settled(clear):
        before_s, began = late.total_s, time.monotonic()
        one = attempt(service, address, timeout_s, headers)
        late_s = late.total_s - before_s
        made.append((late_s, one))
        if late_s < max(_LATE_S, _LATE_SHARE * (time.monotonic() - began)):
            clear.append(one)
    told: dict[str, Any] = {"service": service["name"], "address": address, "tries": clear, "late_s": 0.0}
    told["made"] = len(made) + 1
    if not _settled(clear):
        told.update(tries=[one for _, one in made], late_s=round(max(late_s for late_s, _ in made), 3))
    if any("failed" not in each for each in told["tries"]):
        told["full_size"] = full_size(service, address, timeout_s)
    return told


def _settled(tries: list[dict[str, Any]]) -> bool:
    return len(tries) > 2 or (len(tries) == 2 and ("failed" in tries[0]) == ("failed" in tries[1]))


def make(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """Try all services of a plan side by side; what is not done in time is left out."""
    late = Late()
    told: list[dict[str, Any]] = []
    jobs: queue.Queue[tuple[Service, str | None, dict[str, Any]]] = queue.Queue()
    done: queue.Queue[dict[str, Any]] = queue.Queue()
    for service in plan["services"]:
        jobs.put((service, None, {}))

    def work() -> None:
        while True:
            service, address, named = jobs.get()
            try:
                if address is None:
                    found, named = _addresses(service)
                    for each in found:
                        jobs.put((service, each, named))
                    done.put({"of": service["name"], "addresses": found})
                    if not found:
                        done.put({"service": service["name"], "address": "", "tries": [named, named]})
                else:
                    seen = cell(service, address, plan, late)
                    for each in seen["tries"]:
                        each.update(named)
                    done.put(seen)
            except Exception as error:  # noqa: BLE001 (a thread that ends would leave the others' answers unsaid)
                said = {"failed": "TCP", "kind": "own", "said": f"{type(error).__name__}: {error}"}
                done.put({"service": service["name"], "address": address or "", "tries": [said, said]})

    for _ in range(min(plan["at_once"], 4 * len(plan["services"]))):
        threading.Thread(target=work, daemon=True).start()
    until = time.monotonic() + plan["within_s"]
    left, names = 0, len(plan["services"])
    while (left or names) and time.monotonic() < until:
        try:
            said = done.get(timeout=max(0.01, until - time.monotonic()))
        except queue.Empty:
            break
        if "of" in said:
            names -= 1
            left += max(1, len(said["addresses"]))
            told.append(said)
        else:
            left -= 1
            told.append(said)
    return told


def main(plan: str) -> None:
    """Make the attempts of a plan and print the answer."""
    for line in make(json.loads(plan)):
        print(json.dumps(line))  # noqa: T201 (its output is its answer)
    sys.stdout.flush()
    # Threads that still wait for a name server would keep the process.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
