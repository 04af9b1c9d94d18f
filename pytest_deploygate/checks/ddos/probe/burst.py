"""Sends a plan of requests from one source over several connections, each request at its time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field

from pytest_deploygate.checks.ddos.facts import Attempt
from pytest_deploygate.checks.ddos.probe import frames, streams
from pytest_deploygate.checks.ddos.probe.exchange import Line, Outcome, Target
from pytest_deploygate.clients import stopping
from pytest_deploygate.clients.budget import Spending
from pytest_deploygate.clients.deadline import end
from pytest_deploygate.lazy import dataclass

#: What is sent later than this after the end of its plan is left out: the plan took longer than it may.
_GRACE_S = 3.0
#: A stop ends everything within a second, so nothing sleeps longer than this.
_STEP_S = 0.1
#: From this status on, an answer is an error of the service, unless it is a refusal of the limit.
_ERROR = 500


@dataclass(frozen=True)
class Planned:
    """One request: when, in seconds after the plan begins, and what is different about it."""

    at_s: float
    phase: str
    varied: bool = False
    path: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class Source:
    """One source of a burst."""

    def __init__(self, target: Target, connections: int, began: float, spending: Spending) -> None:
        """Times of attempts are counted from `began`, a time of `time.monotonic`."""
        # One is left for the second source.
        most = max(1, spending.at_once(connections + 1) - 1)
        self._lines = [Line(target) for _ in range(most)]
        self._spending = spending
        self._began = began
        self._lock = threading.Lock()
        self.attempts: list[Attempt] = []
        self.told: tuple[str, ...] = ()
        self.unsent = 0

    @property
    def addresses(self) -> tuple[str, str]:
        """Our own address and that of the server, once there was a connection."""
        return next(((line.own, line.peer) for line in self._lines if line.own), ("", ""))

    def one(self, phase: str, path: str = "") -> Attempt:
        """Send one request now."""
        return self._ask(self._lines[0], Planned(0.0, phase, path=path))

    def send(self, plan: Iterable[Planned]) -> list[Attempt]:
        """Send a plan; return what each of its requests met."""
        due = sorted(plan, key=lambda each: each.at_s)
        if not due:
            return []
        waiting = iter(due)
        found: list[Attempt] = []

        def work(line: Line) -> None:
            while True:
                with self._lock:
                    planned = next(waiting, None)
                if planned is None:
                    return
                now = time.monotonic()
                if now > began + due[-1].at_s + _GRACE_S:
                    self.unsent += 1
                    continue
                pause(began + planned.at_s, self._spending)
                found.append(self._ask(line, planned))

        with ThreadPoolExecutor(len(self._lines), "burst") as pool:
            # Connections first: while they are opened one after the other, the limit would refill.
            self._spending.take(requests=0, connections=len(self._lines), opens=0)
            list(pool.map(Line.open, self._lines))
            began = time.monotonic()
            list(pool.map(work, self._lines))
        return sorted(found, key=lambda attempt: attempt.sent_s)

    def streams(self, number: int) -> None:
        """Send a request so many times at once, over one HTTP/2 connection."""
        found = streams.send(self._lines[0].target, number, self._spending) if streams.can() else []
        self.attempts += [attempted(outcome, "http2", self._began, varied=True) for outcome in found]

    def from_others(self, addresses: list[str], number: int, every_s: float) -> None:
        """Send requests from other addresses of ours in turn."""
        lines = [Line(self._lines[0].target._replace(source=address)) for address in addresses]
        due = time.monotonic()
        try:
            for n in range(number):
                pause(due + n * every_s, self._spending)
                self._ask(lines[n % len(lines)], Planned(0.0, "network", varied=True))
        finally:
            for line in lines:
                line.close()

    def _ask(self, line: Line, planned: Planned) -> Attempt:
        outcome = ask(line, self._spending, planned.path, planned.headers)
        attempt = attempted(outcome, planned.phase, self._began, varied=planned.varied)
        self.attempts.append(attempt)
        if line.told and (not self.told or not attempt.served):
            self.told = tuple(line.told)
        return attempt

    def close(self) -> None:
        """Close all connections."""
        for line in self._lines:
            line.close()


def ask(line: Line, spending: Spending, path: str = "", headers: Mapping[str, str] | None = None) -> Outcome:
    """Send one request from here: all of them go through this, and draw on the budget. Raises Ended."""
    target, more = line.target, dict(headers or {})
    words = {**target.headers, **more}
    size = len(target.body) + len(path or target.path) + sum(len(n) + len(v) + 4 for n, v in words.items())
    with (
        spending.request(size, connects=line.socket is None) as asked,
        stopping.cutting(lambda: end(line.socket)),
    ):
        outcome = line.ask(path, more)
        status, good = outcome[2], outcome[3]
        # Refusals are what is provoked here; 503 may be one.
        asked.answered(line.received, wrong=not good and (not status or status > _ERROR + 3))
    return outcome


def speaks_http2(target: Target, spending: Spending) -> bool:
    """Tell whether a server speaks HTTP/2; one that cannot be asked does not. Raises Ended."""
    with spending.request(connects=True) as asked:
        try:
            return frames.speaks(target)
        except (OSError, ValueError):  # what is wrong shows in HTTP/1.1
            return False
        finally:
            asked.answered(wrong=False)


def pause(until: float, spending: Spending) -> None:
    """Sleep until a time of `time.monotonic`. Raises Ended."""
    while (left_s := until - time.monotonic()) > 0:
        time.sleep(min(left_s, _STEP_S))
        spending.check()


def attempted(outcome: Outcome, phase: str, began: float, *, varied: bool = False) -> Attempt:
    """Return an outcome with times since `began`."""
    sent, answered, status, good, problem, wait = outcome
    return Attempt(
        phase, round(sent - began, 4), round(answered - began, 4), status, good, varied, problem, wait
    )
