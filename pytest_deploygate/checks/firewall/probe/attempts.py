"""Makes many attempts at once and says what each met. It runs here, and as text on hosts with a Python from 3.7 on.

So it imports nothing but the standard library. A plan has a line for each address: `PROTOCOL ADDRESS PORTS`, with ports
as `22,8000-8100` and a protocol of tcp, dns, ntp, snmp, quic or udp. The answer has lines of the same form with a letter
before it, in any order. What gives no answer is tried once more, after all others.
"""

from __future__ import annotations

import contextlib
import errno
import resource
import selectors
import socket
import sys
import time
from collections import deque
from typing import Iterable, Iterator, NamedTuple, Tuple  # noqa: UP035 (Python 3.7)

OPEN, REFUSED, SILENT, UNREACHABLE, NOT_SENT, OWN_LIMIT, OWN_LAG, UNTRIED = "orsunmlx"
#: Questions that a server of the protocol answers whoever asks. Sources: RFC 1035 (the root's name servers), RFC 5905
#: (mode 3), RFC 3414 (discovery of the engine) and RFC 3416 (version 2c, with the community that devices are delivered
#: with), RFC 9000 (a version that no server has). An unknown protocol gets an empty packet: only ICMP answers that.
ASKED = {
    "dns": ("4447 0100 0001 0000 0000 0000 00 0002 0001",),
    "ntp": ("23" + 47 * "00",),
    "snmp": (
        "303a 020103 300f 02024447 020300ffe3 040104 020103 0410 300e 0400 020100 020100 0400 0400 0400"
        "3012 0400 0400 a00c 02024447 020100 020100 3000",
        "3026 020101 04067075626c6963 a119 020444474447 020100 020100 300b 3009 06052b06010201 0500",
    ),
    "quic": ("c0 1a2a3a4a 08 4447444744474447 08 4447444744474447" + 1177 * "00",),
    "udp": ("",),
}
_LIMITS = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN, errno.EADDRINUSE}
_UNDER_WAY = {errno.EINPROGRESS, errno.EWOULDBLOCK}
#: Other parts of this process need descriptors, too.
_KEPT_FREE = 64
#: The network may give no answer, but a pause of ours of this share of the timeout could be the cause as well.
_LATE = 0.5
#: A call that took this much longer than asked for says that we were late.
_USUAL_S = 0.02
_LONGEST_WAIT_S = 0.2

#: What is tried once more, and what is our own doing: it may be better the third time.
_AGAIN, _OURS = (SILENT, OWN_LAG, OWN_LIMIT), (OWN_LAG, OWN_LIMIT)

#: Protocol, address, port.
Key = Tuple[str, str, int]  # noqa: UP006 (Python 3.7)


class _Waiting(NamedTuple):
    key: Key
    socket: socket.socket
    until: float
    late_s: float


def numbers(ports: str) -> Iterator[int]:
    """Yield the ports of `22,8000-8100`."""
    for part in ports.split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def spelled(ports: Iterable[int]) -> str:
    """Return ports in the form that `numbers` reads."""
    runs: list[list[int]] = []
    for port in sorted(set(ports)):
        if runs and runs[-1][1] == port - 1:
            runs[-1][1] = port
        else:
            runs.append([port, port])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def attempts(plan: Iterable[str]) -> list[Key]:
    """Return the attempts of a plan, port by port, so that one address is not flooded."""
    lines = [line.split() for line in plan if line.strip()]
    ports = [(protocol, address, list(numbers(text))) for protocol, address, text in lines]
    longest = max((len(each[2]) for each in ports), default=0)
    return [
        (protocol, address, numbered[n])
        for n in range(longest)
        for protocol, address, numbered in ports
        if n < len(numbered)
    ]


def make(wanted: Iterable[Key], timeout_s: float, at_once: int, until: float) -> dict[Key, str]:
    """Make all attempts, each once more if it got no answer; `until` is a time of `time.monotonic`."""
    found = _round(wanted, timeout_s, at_once, until)
    for letters in (_AGAIN, _OURS, _OURS):
        again = [key for key, letter in found.items() if letter in letters]
        # What gave no answer once, and cannot be tried again in time, is not known well enough.
        found.update(_round(again, timeout_s, at_once, until) if again else {})
    return found


def _round(wanted: Iterable[Key], timeout_s: float, at_once: int, until: float) -> dict[Key, str]:
    left, found = deque(wanted), {}
    waiting: deque[_Waiting] = deque()
    open_now: dict[int, _Waiting] = {}
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    most = at_once if files == resource.RLIM_INFINITY else min(at_once, max(8, files // 2 - _KEPT_FREE))
    late_s = 0.0
    with selectors.DefaultSelector() as selector:

        def over(each: _Waiting, letter: str) -> None:
            found[each.key] = letter
            del open_now[each.socket.fileno()]
            selector.unregister(each.socket)
            each.socket.close()

        while left or open_now:
            now = time.monotonic()
            while left and len(open_now) < most:
                key = left.popleft()
                letter, there = _begin(key) if now < until else (UNTRIED, None)
                if letter == OWN_LIMIT and open_now:
                    left.appendleft(key)
                    break
                if there is None:
                    found[key] = letter
                    continue
                each = _Waiting(key, there, time.monotonic() + timeout_s, late_s)
                selector.register(there, selectors.EVENT_READ if key[0] != "tcp" else selectors.EVENT_WRITE)
                open_now[there.fileno()] = each
                waiting.append(each)
            while waiting and waiting[0].key in found:
                waiting.popleft()
            if not waiting:
                continue
            asked = time.monotonic()
            # Not for long at a time: another thread may want us to end.
            wait = min(_LONGEST_WAIT_S, max(0.0, waiting[0].until - asked))
            events = selector.select(wait)
            came = time.monotonic()
            # What kept us from asking, and what we slept too long.
            late_s += sum(s for s in (asked - now, came - asked - wait) if s > _USUAL_S)
            for ready, _ in events:
                each = open_now[ready.fd]
                letter = _met(each)
                if letter:
                    over(each, letter)
            # An answer that had come by then was seen above.
            while waiting and (waiting[0].until <= asked or waiting[0].key in found):
                each = waiting.popleft()
                if each.key not in found:
                    over(each, OWN_LAG if late_s - each.late_s >= _LATE * timeout_s else SILENT)
    return found


def _begin(key: Key) -> tuple[str, socket.socket | None]:
    """Send the first packet. Returns what was met at once, or the socket on which an answer may come."""
    protocol, address, port = key
    try:
        there = socket.socket(
            socket.AF_INET6 if ":" in address else socket.AF_INET,
            socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM,
        )
    except OSError as error:
        return (OWN_LIMIT if error.errno in _LIMITS else NOT_SENT), None
    there.setblocking(False)
    try:
        there.connect((address, port))
        if protocol != "tcp":
            for question in ASKED[protocol]:
                there.send(bytes.fromhex(question))
            return "", there
        letter = _connected(there)
    except OSError as error:
        if error.errno in _UNDER_WAY:
            return "", there
        letter = _from_kernel(error.errno, address)
    there.close()
    return letter, None


def _from_kernel(error: int | None, address: str) -> str:
    """Return what an error means that came from our own kernel."""
    if error == errno.ECONNREFUSED:
        return REFUSED
    # IPv4 has addresses wherever there is a network, so then it is the ports that ran out.
    no_port = error == errno.EADDRNOTAVAIL and ":" not in address
    return OWN_LIMIT if error in _LIMITS or no_port else NOT_SENT


def _met(each: _Waiting) -> str:
    """Return what came back; empty if a UDP socket has nothing to read after all."""
    error = each.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if not error and each.key[0] != "tcp":
        try:
            each.socket.recv(2048)
        except OSError as said:
            error = said.errno or 0
            if error in (errno.EAGAIN, errno.EINTR):
                return ""
    if not error:
        return OPEN if each.key[0] != "tcp" else _connected(each.socket)
    if error in (errno.ECONNREFUSED, errno.ECONNRESET):
        return REFUSED
    return SILENT if error == errno.ETIMEDOUT else UNREACHABLE


def _connected(there: socket.socket) -> str:
    """Return that a connection is open, unless it is one with itself, which can happen on our own addresses."""
    try:
        return OPEN if there.getsockname() != there.getpeername() else REFUSED
    except OSError:  # closed again meanwhile
        return OPEN


def told(found: dict[Key, str]) -> Iterator[str]:
    """Yield the lines of the answer."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    for (protocol, address, port), letter in found.items():
        groups.setdefault((letter, protocol, address), []).append(port)
    for (letter, protocol, address), ports in groups.items():
        yield f"{letter} {protocol} {address} {spelled(ports)}"


def main(timeout_s: str, at_once: str, within_s: str, plan: str) -> None:
    """Make the attempts of a plan whose lines are separated by `;`, and print the answer."""
    until = time.monotonic() + float(within_s)
    # This process is our own: each attempt is an open file, and hosts allow 1,024 of them unless asked for more.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    found = make(attempts(plan.split(";")), float(timeout_s), int(at_once), until)
    print("\n".join(told(found)))  # noqa: T201 (its output is its answer)


if __name__ == "__main__":
    main(*sys.argv[1:])
