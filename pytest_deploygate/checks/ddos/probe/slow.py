"""Holds connections as slow clients do, and sees after which time the server closes each."""

from __future__ import annotations

import select
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor

from pytest_deploygate.checks.ddos.facts import Held
from pytest_deploygate.checks.ddos.probe import frames, unread
from pytest_deploygate.checks.ddos.probe.burst import ask, attempted, pause, speaks_http2
from pytest_deploygate.checks.ddos.probe.exchange import Line, Target, connected, status_of
from pytest_deploygate.checks.ddos.probe.trial import met
from pytest_deploygate.checks.ddos.section import Slow
from pytest_deploygate.clients import own_lag, stopping
from pytest_deploygate.clients.budget import Spending
from pytest_deploygate.clients.deadline import end
from pytest_deploygate.lazy import dataclass

HTTP1 = "HTTP/1.1"
#: A body that never comes to its end at a byte a second.
_BODY = 1 << 20
_READ = 1 << 16


@dataclass()
class _Seen:
    """What one connection met: the seconds after which it was closed (None: not), and the status of an answer on it."""

    cut_s: float | None = None
    status: int = 0
    problem: str = ""


def hold(slow: Slow, target: Target, spending: Spending) -> list[Held]:
    """Hold connections of all kinds on one address at the same time, as many as the budget lets be open. Raises Ended."""
    ways = [(HTTP1, kind) for kind in slow.kinds]
    if slow.http2 and speaks_http2(target, spending):
        ways += [(frames.PROTOCOL, kind) for kind in slow.kinds if kind != "reader"]
    # One is left for the ordinary request.
    most = spending.at_once(len(ways) * slow.connections + 1) - 1
    each = max(1, min(slow.connections, most // len(ways)))
    with own_lag.watching() as lag, ThreadPoolExecutor(most + 1) as pool:
        began = time.monotonic()
        control = pool.submit(_control, target, min(map(slow.within_s, slow.kinds)) / 2, spending)
        running = {
            way: [pool.submit(_one, *way, slow, target, spending) for _ in range(each)] for way in ways
        }
        found = {way: [each.result() for each in those] for way, those in running.items()}
        said, seen = control.result(), lag.since(began)
    return [
        Held(
            slow.name,
            kind,
            target.address,
            protocol,
            cut_s=tuple(round(each.cut_s, 2) for each in those if each.cut_s is not None),
            open=sum(each.cut_s is None and not each.problem for each in those),
            waited_s=slow.patience_s(kind),
            statuses=tuple(sorted({each.status for each in those if each.status})),
            control=said,
            problem=next((each.problem for each in those if each.problem), ""),
            lag=seen,
        )
        for (protocol, kind), those in found.items()
    ]


def _control(target: Target, after_s: float, spending: Spending) -> str:
    """Send an ordinary request in the middle of it; return what is wrong with its answer."""
    pause(time.monotonic() + min(after_s, 5.0), spending)
    line = Line(target)
    attempt = attempted(ask(line, spending), "control", 0.0)
    line.close()
    return "" if attempt.served else met(attempt)


def _one(protocol: str, kind: str, slow: Slow, target: Target, spending: Spending) -> _Seen:
    seen = _Seen()
    with spending.request(len(target.path), connects=True) as asked:
        if protocol == HTTP1:
            _held(kind, slow, target, spending, seen)
        else:
            _held_in_frames(kind, slow, target, spending, seen)
        asked.answered(wrong=False)
    return seen


def _held(kind: str, slow: Slow, target: Target, spending: Spending, seen: _Seen) -> None:
    try:
        there = _opened(kind, target)
    except (OSError, ValueError) as error:
        seen.problem = f"no connection: {' '.join(str(error).split())[:120]}"
        return
    with there, stopping.cutting(lambda: end(there)):
        began = time.monotonic()
        try:
            there.sendall(
                beginning(kind, target._replace(path=slow.large or "") if kind == "reader" else target)
            )
            if kind == "kept":
                began = _answered(there, target.timeout_s, seen)
        except OSError as error:
            spending.check()
            seen.problem = f"the request could not be sent: {' '.join(str(error).split())[:120]}"
            return
        if kind == "reader":
            within_s = slow.within_s(kind)
            seen.cut_s, seen.status, seen.problem = unread.wait(there, began, within_s, slow.large or "")
        else:
            _wait(kind, there, began, slow, seen)
    spending.check()  # then it was we who cut it


def _held_in_frames(kind: str, slow: Slow, target: Target, spending: Spending, seen: _Seen) -> None:
    """Hold a connection over HTTP/2. A body is cut when its stream ends, too: nothing waits for it any more."""
    try:
        there = connected(target, "h2")
    except (OSError, ValueError) as error:
        seen.problem = f"no connection: {' '.join(str(error).split())[:120]}"
        return
    with there, stopping.cutting(lambda: end(there)):
        reader, number = frames.Reader(), 0
        began = time.monotonic()
        ends, drip_s = began + slow.patience_s(kind), slow.drip.total_seconds()
        due = began + drip_s
        try:
            there.sendall(frames.opening(kind, target))
            while (now := time.monotonic()) < ends:
                if readable(there, min(due, ends) - now):
                    read = there.recv(_READ)
                    if answer := reader.take(read):
                        there.sendall(answer)
                    if kind == "kept" and reader.stream_ended:  # from now on it is idle
                        reader.stream_ended, began = False, time.monotonic()
                        ends = began + slow.patience_s(kind)
                    if not read or (reader.stream_ended and kind in ("body", "stalled-body")):
                        seen.cut_s = time.monotonic() - began
                        break
                if time.monotonic() >= due:
                    number, due = number + 1, time.monotonic() + drip_s
                    there.sendall(frames.drip(kind, number))
        except ssl.SSLWantReadError:
            pass
        except OSError:  # reset
            seen.cut_s = time.monotonic() - began
    spending.check()  # then it was we who cut it


def _opened(kind: str, target: Target) -> socket.socket:
    """Open a connection; the silent one does not even begin TLS, and the reader has hardly room for an answer."""
    there = connected(target._replace(scheme="http") if kind == "silent" else target)
    if kind == "reader":
        there.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, unread.ROOM)
    return there


def beginning(kind: str, target: Target) -> bytes:
    """Return what a slow client of a kind sends at once."""
    if kind == "silent":
        return b""
    headers = {"Host": target.host, **target.headers}
    sends_body = kind in ("body", "stalled-body")
    method = "POST" if sends_body else target.method
    if sends_body:
        headers |= {"Content-Length": str(_BODY), "Content-Type": "application/x-www-form-urlencoded"}
    elif target.body:
        headers |= {"Content-Length": str(len(target.body.encode()))}
    lines = [f"{method} {target.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    text = "\r\n".join(lines) + "\r\n"
    if kind == "headers":
        return text.encode()
    return f"{text}\r\n{target.body if kind == 'kept' else ''}".encode()


def _drip(kind: str, number: int) -> bytes:
    """Return what is sent next, so that the connection looks alive."""
    if kind == "headers":
        return f"X-Deploygate-{number}: slow\r\n".encode()
    return b"a" if kind == "body" else b""


def _answered(there: socket.socket, timeout_s: float, seen: _Seen) -> float:
    """Read a whole answer, and return when it was there. Raises OSError."""
    ends, quiet_s = time.monotonic() + timeout_s, 0.2
    last = 0.0
    while time.monotonic() < ends:
        if not readable(there, quiet_s if last else 0.05):
            if last:
                return last
            continue
        read = there.recv(_READ)
        if not read:
            return last or time.monotonic()
        seen.status = seen.status or status_of(read)
        last = time.monotonic()
    if not last:
        raise TimeoutError("no answer")
    return last


def _wait(kind: str, there: socket.socket, began: float, slow: Slow, seen: _Seen) -> None:
    """Hold the connection until it is closed or our patience is over."""
    ends, drip_s = began + slow.patience_s(kind), slow.drip.total_seconds()
    number, due = 0, began + drip_s
    while (now := time.monotonic()) < ends:
        try:
            if readable(there, min(due, ends) - now):
                read = there.recv(_READ)
                if not read:
                    seen.cut_s = time.monotonic() - began
                    return
                seen.status = seen.status or status_of(read)
                continue
            if time.monotonic() >= due and (more := _drip(kind, number)):
                there.sendall(more)
        except (TimeoutError, ssl.SSLWantReadError):
            continue
        except OSError:  # reset, or closed without TLS saying so
            seen.cut_s = time.monotonic() - began
            return
        if time.monotonic() >= due:
            number, due = number + 1, time.monotonic() + drip_s


def readable(there: socket.socket, wait_s: float) -> bool:
    """Wait until there is something to read, or the connection was closed; return whether that is so."""
    if isinstance(there, ssl.SSLSocket) and there.pending():
        return True
    return bool(select.select([there], [], [], max(0.0, wait_s))[0])
