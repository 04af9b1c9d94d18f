"""The open loop: each request is sent when it is due, and its latency counts from then, not from when it could be sent.

No request waits for the answer to an earlier one, so a stall of the server shows in every request that was due
meanwhile (no coordinated omission). libcurl speaks HTTP and TLS.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import itertools
import resource
import sys
import threading
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path
from time import perf_counter

import pycurl

from pytest_deploygate.checks.load.facts import FIRST_BYTE
from pytest_deploygate.checks.load.probe.arrivals import Plan
from pytest_deploygate.checks.load.probe.connections import Connections
from pytest_deploygate.checks.load.probe.purse import Purse
from pytest_deploygate.checks.load.probe.requests import Exchange, exchange, failure
from pytest_deploygate.checks.load.probe.sockets import Sockets
from pytest_deploygate.checks.load.section import Load, LoadTarget
from pytest_deploygate.checks.load.tally import Tally
from pytest_deploygate.clients.budget import Spending
from pytest_deploygate.lazy import dataclass

#: Checks the counts once a second; a non-empty text ends the run.
Look = Callable[[Tally], str]
#: The kill switch considers this many recent requests, or those of the last second if they are more: a few broken
#: connections in a hundredth of a second do not mean a dead server.
_RECENT = 100
_LONGEST_WAIT_S = 0.05
#: How often the load looks whether the service bears it.
_GLANCE_S = 0.25
_GRACE_S = 0.25
_DESCRIPTORS_BESIDE = 64
_MOST_PHASES = 200_000
_SWITCH_S = 0.0002
#: More than scheduling jitter: this client, or its machine, stalled.
_STOOD_S = 0.1
#: A later request that took this share of an earlier one's time was not held up by what held up that one.
_QUICKER = 0.25
_PR_SET_TIMERSLACK = 29
PHASES = ("name resolution", "TCP connect", "TLS handshake", FIRST_BYTE)
OPEN = "open for longer than its limit when the run ended"
UNSENT = "not sent: all connections were busy until its time was up"


@dataclass()
class Course:
    """What happened in a run, apart from the latencies in the tally. Times in seconds."""

    begun: int = 0
    begun_in_time: int = 0
    held: int = 0
    cut: int = 0
    lasted_s: float = 0.0
    cpu_s: float = 0.0
    cpu_wait_s: float | None = None
    stopped: str = ""
    last_begun_s: float = 0.0
    lags: array[float] = field(default_factory=lambda: array("d"))
    phases: tuple[array[float], ...] = field(default_factory=lambda: tuple(array("d") for _ in PHASES))


class Engine:
    """One run against one target. `tally` can be read from another thread during `run`."""

    def __init__(
        self,
        load: Load,
        target: LoadTarget,
        plan: Plan,
        tally: Tally,
        look: Look | None = None,
        spending: Spending | None = None,
    ) -> None:
        self._purse = Purse(spending, max(load.known_limits_s)) if spending is not None else None
        self.load, self.target, self.plan, self.tally, self.look = load, target, plan, tally, look
        self.course = Course()
        self.now_s = 0.0
        self._most = min(load.max_in_flight, _descriptors())
        if spending is not None:
            self._most = spending.at_once(self._most)
        self._idle: list[list[Exchange]] = [[] for _ in load.endpoints]
        self._flying: dict[pycurl.Curl, Exchange] = {}
        self._kept = Connections()
        self._waiting: deque[tuple[float, int]] = deque()
        self._recent: deque[bool] = deque()
        self._recent_wrong, self._window = 0, max(_RECENT, round(load.greatest_rate))
        self._timeouts = [(e.timeout or load.timeout).total_seconds() for e in load.endpoints]
        self._abandon = threading.Event()
        self._last_on_kept = (-1.0, 0.0)  # when the one that was answered last began, and how long it took

    @property
    def in_flight(self) -> int:
        """How many requests are open now."""
        return len(self._flying)

    def abandon(self) -> None:
        """Stop at once, from another thread or a signal handler."""
        self._abandon.set()

    def run(self) -> Course:
        """Send the whole plan, or less if the kill switch or `look` ends it."""
        with _undisturbed():
            self._sockets = Sockets(self._most)
            cpu, waited, self._began = time.process_time(), _waited_s(), perf_counter()
            self._free, self._stood_s = self._began, 0.0
            try:
                self._loop()
            finally:
                self.course.lasted_s = perf_counter() - self._began
                self.course.cpu_s = time.process_time() - cpu
                if waited is not None and (now := _waited_s()) is not None:
                    self.course.cpu_wait_s = now - waited
                if self._purse is not None:
                    self._purse.close()
                self._end()
        return self.course

    def _loop(self) -> None:
        due, count = self.plan.due_s, len(self.plan.due_s)
        following, next_look, patience = 0, 1.0, self.plan.lasts_s + max(self._timeouts) + _GRACE_S
        next_glance = _GLANCE_S
        woke = perf_counter()
        while not self.course.stopped:
            now = self.now_s = perf_counter() - self._began
            while following < count and due[following] <= now:
                self._waiting.append((due[following], self.plan.endpoint[following]))
                following += 1
            self._send()
            over = following == count and not self._flying and not self._waiting
            if (over and now >= self.plan.lasts_s) or now > patience:
                break
            next_s = due[following] - now if following < count and not over else self.plan.lasts_s - now
            asked = perf_counter()
            happened = self._sockets.wait(self._pause_s(next_s, all_begun=following == count))
            # If this client stalled, it is unknown when in that time an answer arrived: the delay then counts as ours.
            stood = asked - woke > _STOOD_S
            self._receive(woke if stood else happened)
            woke = perf_counter()
            if self._purse is not None and (stood or now >= next_glance):
                next_glance = now + _GLANCE_S
                if stood:
                    self._purse.answers.forget(now)
                elif not self.course.stopped:
                    self.course.stopped = self._purse.answers.suffers(now, len(self._flying))
            if now >= next_look and not self.course.stopped:
                next_look = int(now) + 1.0
                if self._purse is not None:
                    self._purse.settle()
                self.course.stopped = self.look(self.tally) if self.look else ""
            if self._abandon.is_set():
                self.course.stopped = self.course.stopped or "stopped manually"

    def _pause_s(self, next_s: float, all_begun: bool) -> float:
        if self._waiting and len(self._flying) < self._most:
            return 0.0  # some of what was just sent is already answered
        if next_s > 0:
            return min(_LONGEST_WAIT_S, next_s)
        return _LONGEST_WAIT_S if all_begun else 0.0

    def _send(self) -> None:
        """Send what is due while connections are free; give up requests that have waited for their whole timeout."""
        sent = False
        while self._waiting:
            due, endpoint = self._waiting[0]
            now = perf_counter()
            since = now - self._began
            if since - due >= self._timeouts[endpoint]:
                self._waiting.popleft()
                self._count(endpoint, due, 0.0, UNSENT)
                continue
            if len(self._flying) >= self._most:
                break
            self._waiting.popleft()
            self._begin(due, endpoint, now)
            sent = True
        if sent:
            left = perf_counter()
            self._sockets.kick()
            # A fast server answers while libcurl is still busy: no event would wake us for an answer already received.
            self._receive(left)

    def _begin(self, due: float, endpoint: int, now: float) -> None:
        course, since = self.course, now - self._began
        if self._purse is not None:
            self._purse.take(len(self._flying) + 1)
        each = self._idle[endpoint].pop() if self._idle[endpoint] else self._new(endpoint)
        each.begin(due, since)
        self._flying[each.curl] = each
        self._sockets.begin(each.curl)
        course.begun += 1
        course.last_begun_s = since
        freed = self._free - self._began
        if freed > due:  # until then all connections were busy: that is due to the server
            course.held += 1
            lag = max(since - freed, self._stood_s)
        else:
            lag = since - due
        # Requests queued behind a stalled client are late by as much until the queue is empty.
        self._stood_s = lag if lag > _STOOD_S else 0.0
        course.lags.append(lag)
        course.begun_in_time += due + lag <= self.plan.lasts_s + _LONGEST_WAIT_S

    def _receive(self, happened: float) -> None:
        ended = self._sockets.ended()
        if not ended:
            return
        if len(self._flying) >= self._most:
            self._free = happened
        now = perf_counter()
        for curl, code, words in ended:
            each = self._flying.pop(curl)
            self._sockets.drop(curl)
            if each.may_begin_again(code):
                self._flying[curl] = each
                self._sockets.begin(curl)
                continue
            wrong = failure(curl, code, words) if code else each.wrong()
            latency = now - self._began - each.due_s
            if not wrong and latency >= self._timeouts[each.number]:
                wrong = "no answer in time"
            self._count(each.number, each.due_s, latency, wrong)
            if not code or code == pycurl.E_OPERATION_TIMEDOUT:
                self._count_connected(each, latency, now - self._began - each.begun_s)
            if not code:
                self._time_phases(curl)
            if self._purse is not None:
                self._purse.count(each, wrong=bool(wrong))
                self._purse.answers.add(
                    now - self._began, now - self._began - each.begun_s, wrong=bool(wrong)
                )
            self._idle[each.number].append(each)

    def _count(self, endpoint: int, due: float, latency: float, wrong: str) -> None:
        self.tally.add(endpoint, due, latency, wrong)
        if len(self._recent) == self._window:
            self._recent_wrong -= self._recent.popleft()
        self._recent.append(bool(wrong))
        self._recent_wrong += bool(wrong)
        if wrong and len(self._recent) >= _RECENT and not self.course.stopped:
            share = self._recent_wrong / len(self._recent)
            if share >= self.load.stop_at_error_ratio:
                self.course.stopped = (
                    f"kill switch: {share:.0%} of the last {len(self._recent)} requests failed, "
                    f"{self.load.stop_at_error_ratio:.0%} are allowed; last seen: {wrong}"
                )

    def _count_connected(self, each: Exchange, latency: float, open_s: float) -> None:
        """Count the request by its connection, and whether a later one on a kept connection was answered meanwhile."""
        opened = bool(each.curl.getinfo(pycurl.NUM_CONNECTS))
        begun_s, took_s = self._last_on_kept
        overtaken = begun_s > each.begun_s and took_s <= open_s * _QUICKER
        self.tally.add_connected(each.number, latency, opened=opened, overtaken=overtaken)
        if not opened:
            self._last_on_kept = each.begun_s, open_s

    def _time_phases(self, curl: pycurl.Curl) -> None:
        name, connect, tls, first = self.course.phases
        if len(first) >= _MOST_PHASES:
            return
        first.append(
            max(0.0, curl.getinfo(pycurl.STARTTRANSFER_TIME) - curl.getinfo(pycurl.PRETRANSFER_TIME))
        )
        if curl.getinfo(pycurl.NUM_CONNECTS):
            resolved, connected = curl.getinfo(pycurl.NAMELOOKUP_TIME), curl.getinfo(pycurl.CONNECT_TIME)
            name.append(resolved)
            connect.append(max(0.0, connected - resolved))
            if secured := curl.getinfo(pycurl.APPCONNECT_TIME):
                tls.append(max(0.0, secured - connected))

    def _new(self, endpoint: int) -> Exchange:
        sent = self._purse.headers if self._purse is not None else {}
        return exchange(self.load, self.target, self.load.endpoints[endpoint], endpoint, self._kept, sent)

    def _end(self) -> None:
        """Abort open requests. After a complete plan they timed out; otherwise their outcome is unknown.

        One that was open for longer than its limits allow is over them, whatever its outcome would have been.
        """
        now = perf_counter() - self._began
        limits = [self.load.limits_of(endpoint) for endpoint in self.load.endpoints]
        longest_s = [
            max(x.p50, x.p99, self.load.limits.p50, self.load.limits.p99).total_seconds() for x in limits
        ]
        for each in self._flying.values():
            self._sockets.drop(each.curl)
            if not self.course.stopped:
                self.tally.add(each.number, each.due_s, 0.0, "no answer in time")
            elif now - each.due_s >= longest_s[each.number]:
                self.tally.add(each.number, each.due_s, 0.0, OPEN)
            else:
                self.course.cut += 1
        for due, endpoint in self._waiting:
            if not self.course.stopped or now - due >= longest_s[endpoint]:
                self.tally.add(endpoint, due, 0.0, UNSENT)
        for each in itertools.chain(self._flying.values(), *self._idle):
            each.curl.close()
        self._sockets.close()


def _descriptors() -> int:
    """Return how many connections this process may open, after raising its limit as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 16_384 if hard == resource.RLIM_INFINITY else min(hard, 16_384)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return max(1, soft - _DESCRIPTORS_BESIDE)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep the garbage collector, other threads and timer slack from delaying the loop: each would show as latency."""
    collecting, interval = gc.isenabled(), sys.getswitchinterval()
    gc.disable()
    sys.setswitchinterval(_SWITCH_S)
    _slack(1)
    try:
        yield
    finally:
        _slack(0)
        sys.setswitchinterval(interval)
        if collecting:
            gc.enable()


def _waited_s() -> float | None:
    """Return how long this thread was runnable without a CPU, in seconds. None if the system does not report it."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return None


def _slack(nanoseconds: int) -> None:
    """Set how late Linux may wake this thread to save power (50 µs by default; 0 restores the default); prctl(2)."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, ctypes.c_ulong(nanoseconds), 0, 0, 0)
