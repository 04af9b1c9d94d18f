"""The watch itself: requests every target at its interval until the end, and appends each answer to the record."""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from pytest_deploygate.checks.uptime.probe.record import Sample, Writer
from pytest_deploygate.checks.uptime.section import WatchTarget
from pytest_deploygate.lazy import dataclass

if TYPE_CHECKING:
    from pytest_deploygate.checks.uptime.probe.ask import Answer

#: The system's clock counts as moved when it and a monotonic clock drift apart by more than this, in seconds.
_MOVED_S = 1.0


def steady() -> float:
    """Return the seconds of a monotonic clock; if available, one that continues while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@dataclass(frozen=True)
class Clock:
    """The system's time in seconds since 1970, and a monotonic clock."""

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = steady


@dataclass(frozen=True)
class Plan:
    """What a watch does: request `targets` every `every_s` seconds until `until` (seconds since 1970)."""

    targets: Sequence[WatchTarget]
    every_s: float
    until: float


Ask = Callable[[WatchTarget], Awaitable["Answer"]]
Tell = Callable[[Sample], None]


class Watcher:
    """One run of a watch. Times are those of the system's clock at its start, continued by the monotonic clock."""

    def __init__(self, plan: Plan, writer: Writer, ask: Ask, tell: Tell, clock: Clock) -> None:
        self.plan = plan
        self.writer = writer
        self.ask = ask
        self.tell = tell
        self.clock = clock
        self.stopped = asyncio.Event()
        self._wall = clock.wall()
        self._steady = clock.steady()
        self._moved = 0.0

    def now(self) -> float:
        """Return the time by which samples are dated, in seconds since 1970."""
        return self._wall + self.clock.steady() - self._steady

    async def run(self) -> bool:
        """Watch until the end or until `stopped` is set; return whether the end was reached."""
        self._append(
            {
                "run": 1,
                "at": round(self._wall, 3),
                "until": self.plan.until,
                "every_s": self.plan.every_s,
                "pid": os.getpid(),
            },
            sync=True,
        )
        async with asyncio.TaskGroup() as group:
            for target in self.plan.targets:
                group.create_task(self._follow(target))
        complete = not self.stopped.is_set()
        self._append({"end": "complete" if complete else "stopped", "at": round(self.now(), 3)}, sync=True)
        return complete

    async def _follow(self, target: WatchTarget) -> None:
        """Request one target on a grid of intervals; a missed request is not repeated: it stays a gap."""
        every_s, number = self.plan.every_s, 0
        while not self.stopped.is_set() and self._wall + (number - 1) * every_s < self.plan.until:
            await self._sleep_until(self._steady + number * every_s)
            if self.stopped.is_set():
                return
            at = self.now()
            self._notice_clock(at)
            answer = await self._answer(target)
            if answer is None:
                return
            self._keep(Sample(round(at, 3), target.name, answer.up, answer.took_ms, answer.why))
            passed = (self.clock.steady() - self._steady) / every_s
            number = max(number + 1, math.ceil(passed - 0.5))

    async def _answer(self, target: WatchTarget) -> Answer | None:
        """Ask a target; None if the watch was stopped first: that question is a gap."""
        asked = asyncio.ensure_future(self.ask(target))
        stopped = asyncio.ensure_future(self.stopped.wait())
        try:
            await asyncio.wait((asked, stopped), return_when=asyncio.FIRST_COMPLETED)
            return asked.result() if asked.done() else None
        finally:
            stopped.cancel()
            asked.cancel()

    async def _sleep_until(self, moment: float) -> None:
        wait = moment - self.clock.steady()
        if wait > 0:
            try:
                async with asyncio.timeout(wait):
                    await self.stopped.wait()
            except TimeoutError:
                return

    def _notice_clock(self, at: float) -> None:
        moved = self.clock.wall() - at
        if abs(moved - self._moved) > _MOVED_S:
            self._append({"clock": round(moved - self._moved, 3), "at": round(at, 3)})
            self._moved = moved

    def _keep(self, sample: Sample) -> None:
        entry: dict[str, Any] = {"at": sample.at, "n": sample.target, "up": sample.up, "ms": sample.took_ms}
        self._append(entry | ({"why": sample.why} if sample.why else {}))
        self.tell(sample)

    def _append(self, entry: dict[str, Any], *, sync: bool = False) -> None:
        self.writer.append(entry, sync=sync)
