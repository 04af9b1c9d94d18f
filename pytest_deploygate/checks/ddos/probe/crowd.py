"""Opens more connections than one source may have, and sees how many of them stand."""

from __future__ import annotations

import contextlib
import socket
import time

from pytest_deploygate.checks.ddos.facts import Crowd
from pytest_deploygate.checks.ddos.probe.burst import pause
from pytest_deploygate.checks.ddos.probe.exchange import Target, connected, status_of
from pytest_deploygate.checks.ddos.probe.slow import beginning, readable
from pytest_deploygate.checks.ddos.section import Slow
from pytest_deploygate.clients import stopping
from pytest_deploygate.clients.budget import Spending
from pytest_deploygate.clients.deadline import end

#: A connection over a limit is turned away sooner than this, and a body is waited for longer.
_STAND_S = 0.8
_REFUSALS = (403, 429, 503)


def crowd(slow: Slow, target: Target, spending: Spending) -> Crowd:
    """Open the connections, each with a request whose body does not come. Raises Ended."""
    wanted = slow.crowd
    if spending.at_once(wanted) < wanted:
        said = f"{wanted} connections are more than the budget allows at a time: raise `blast_radius.items.sec.ddos.concurrency`"
        return Crowd(slow.name, target.address, problem=said)
    stood, turned_away = 0, 0
    with contextlib.ExitStack() as opened:
        opened.callback(spending.give, closes=wanted)
        spending.take(requests=wanted, connections=wanted, opens=wanted)
        lines: list[socket.socket] = []
        for _ in range(wanted):
            spending.check()
            try:
                line = opened.enter_context(connected(target, timeout_s=min(target.timeout_s, _STAND_S)))
                opened.enter_context(stopping.cutting(lambda line=line: end(line)))  # type: ignore[misc]
                line.sendall(beginning("stalled-body", target))
                lines.append(line)
            except (ConnectionError, TimeoutError):
                turned_away += 1
            except (OSError, ValueError) as error:
                said = f"no connection: {' '.join(str(error).split())[:120]}"
                return Crowd(slow.name, target.address, problem=said)
        pause(time.monotonic() + _STAND_S, spending)
        for line in lines:
            try:
                read = line.recv(4096) if readable(line, 0.0) else None
            except OSError:
                read = b""
            if read is None:
                stood += 1
            elif not read or status_of(read) in _REFUSALS:
                turned_away += 1
            else:
                said = f"a request is answered with {status_of(read)} before its body has come: name a `url` that waits for one"
                return Crowd(slow.name, target.address, problem=said)
    return Crowd(slow.name, target.address, stood, turned_away)
