"""Subscribe everywhere, send trials until they come out, send all events when they are due, and watch what comes out."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from pytest_deploygate.checks.pipeline.facts import Client, Measured, Out, Sent, Trial
from pytest_deploygate.checks.pipeline.probe import entrances, exits
from pytest_deploygate.checks.pipeline.probe.entrances import WayIn
from pytest_deploygate.checks.pipeline.probe.events import TRIALS, Events
from pytest_deploygate.checks.pipeline.probe.exits import WayOut
from pytest_deploygate.checks.pipeline.probe.exits.polled import PolledApi, PolledDatabase
from pytest_deploygate.checks.pipeline.probe.seen import Seen, Told
from pytest_deploygate.checks.pipeline.section import Pipeline
from pytest_deploygate.clients.budget import Spending
from pytest_deploygate.clients.own_lag import Lag
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import CannotTell

#: How often a trial is sent until one has come out.
_TRIAL_EVERY_S = 0.5
_POLL_S = 0.05
#: Connections with TLS are closed by the loop, a moment after they were told to.
_CLOSING_S = 0.1
#: The first event is due so long after the last trial came out.
_PAUSE_S = 0.1
#: How often the loop looks how late it is.
_TICK_S = 0.005
#: Events that are sent this long after the last one was due are not sent at the stated rate.
_GRACE_S = 0.25
#: Sending ends if this share of the events of a second was refused, of at least so many.
_TOO_MANY, _LEAST = 0.25, 20


class Course:
    """One test on one event loop."""

    def __init__(
        self,
        pipeline: Pipeline,
        events: Events,
        database: Cluster | None,
        spending: Spending,
        lag: Lag,
        since: datetime,
    ) -> None:
        self._pipeline, self._events, self._database = pipeline, events, database
        self._spending, self._lag, self._since = spending, lag, since
        self._told = Told(pipeline.events, len(pipeline.entrances))
        self._seen = [Seen(pipeline.events, len(pipeline.entrances)) for _ in pipeline.exits]
        self._due: list[float] = []
        self._late: list[float] = []
        self._trials = 0
        self._stopped = ""
        self._ways: list[WayIn] = []
        self._outs: list[WayOut] = []

    async def run(self) -> Measured:
        """Run the whole test. Raises CannotTell if no way in or no way out can be used."""
        pipeline, told = self._pipeline, self._told
        self._ways = [entrances.made(each, told, self._spending, self._events) for each in pipeline.entrances]
        self._outs = self._ways_out()
        watched_s, began, began_at = 0.0, time.monotonic(), datetime.now(UTC)
        try:
            await self._begin()
            if await self._tried():
                with _without_collection(), self._ticking():
                    began, began_at = time.monotonic() + _PAUSE_S, datetime.now(UTC)
                    await self._send(began)
                    watched_s = await self._watch()
        finally:
            await asyncio.gather(*(way.end() for way in self._ways), *(out.end() for out in self._outs))
            await asyncio.sleep(_CLOSING_S)
        return Measured(
            self._sent(began, began_at),
            tuple(self._fact(at, began) for at in range(len(self._outs))),
            self._client(began),
            round(watched_s, 3),
        )

    async def remains(self) -> dict[str, int]:
        """Return how many of the events are still kept, by the exit's name; those that cannot be read are left out."""
        found: dict[str, int] = {}
        for out, way in zip(self._pipeline.exits, self._ways_out(), strict=True):
            if isinstance(way, PolledApi | PolledDatabase):
                try:
                    with contextlib.suppress(CannotTell):
                        await way.begin()
                        found[out.name] = await way.count()
                finally:
                    await way.end()
        await asyncio.sleep(_CLOSING_S)
        return found

    def _ways_out(self) -> list[WayOut]:
        return [
            exits.made(
                out, self._events, seen, self._spending, self._database, self._events.devices, self._since
            )
            for out, seen in zip(self._pipeline.exits, self._seen, strict=True)
        ]

    async def _begin(self) -> None:
        """Connect everywhere."""
        opened = await asyncio.gather(
            *(way.begin() for way in self._ways), *(out.begin() for out in self._outs), return_exceptions=True
        )
        wrong = [each for each in opened if isinstance(each, BaseException)]
        if unexpected := next((each for each in wrong if not isinstance(each, CannotTell)), None):
            raise unexpected
        ways = [str(each) for each in opened[: len(self._ways)] if each is not None]
        for seen, each in zip(self._seen, opened[len(self._ways) :], strict=True):
            seen.problem = "" if each is None else str(each)
        if ways:
            raise CannotTell(f"no event was sent: {'; '.join(ways)}")
        if not self._usable():
            said = "; ".join(seen.problem for seen in self._seen)
            raise CannotTell(f"no event was sent, as none could be seen: {said}")

    async def _tried(self) -> bool:
        """Send trials until one of each entrance has come out everywhere; return whether any came out anywhere."""
        pipeline, began, following = self._pipeline, time.monotonic(), 0.0
        within_s = pipeline.within.total_seconds()
        ways = len(self._ways)
        first = {entrance: device for device, entrance in reversed(self._events.shares)}
        while not all(len(seen.trials) == ways for seen in self._usable()):
            if self._lag.fair_s(began) > within_s:
                break
            if time.monotonic() >= following:
                following = time.monotonic() + _TRIAL_EVERY_S
                for entrance, way in enumerate(self._ways):
                    number = TRIALS + self._trials * ways + entrance
                    self._spending.take(opens=0)
                    way.send(
                        number, first[entrance], self._events.message(number, first[entrance], entrance, 0)
                    )
                self._trials += 1
            await asyncio.sleep(_POLL_S)
        return any(seen.trials for seen in self._seen)

    def _usable(self) -> list[Seen]:
        return [seen for seen in self._seen if not seen.problem]

    async def _send(self, began: float) -> None:
        """Send each event when it is due, whatever became of those before."""
        pipeline, events, told = self._pipeline, self._events, self._told
        self._due = [began + number / pipeline.per_second for number in range(pipeline.events)]
        self._spending.take(requests=pipeline.events, opens=0)
        looked, refused, sent = began, 0, 0
        for number, due in enumerate(self._due):
            # Even when we are late, what has come in is looked at between two events.
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            device, entrance = events.shares[number % len(events.shares)]
            sequence = number // len(events.shares) + 1
            self._ways[entrance].send(number, device, events.message(number, device, entrance, sequence))
            if (now := time.monotonic()) >= looked + 1.0:
                more, of = len(told.refused) - refused, number + 1 - sent
                if more >= max(_LEAST, of * _TOO_MANY):
                    self._stopped = f"{more} of the {of} events of a second were refused"
                    self._spending.ended_itself(self._stopped)
                    self._due = self._due[: number + 1]
                    return
                looked, refused, sent = now, len(told.refused), number + 1

    async def _watch(self) -> float:
        """Watch until all events have come out, or would be lost, and a while longer. Return how long, in seconds."""
        began = time.monotonic()
        within_s = self._pipeline.within.total_seconds()
        waiting = [seen for seen in self._usable() if seen.trials]
        while self._lag.fair_s(began) <= within_s:
            if all(seen.whole for seen in waiting) and not self._told.unknown:
                break
            await asyncio.sleep(_POLL_S)
        await asyncio.sleep(self._pipeline.look_on.total_seconds())
        for out, seen in zip(self._outs, self._seen, strict=True):
            if not seen.problem:
                await out.last()
        return time.monotonic() - began

    @contextlib.contextmanager
    def _ticking(self) -> Iterator[None]:
        """Note how late this loop is: by so much what came in may have been noticed too late."""

        async def tick() -> None:
            while True:
                due = time.monotonic() + _TICK_S
                await asyncio.sleep(_TICK_S)
                self._late.append(max(0.0, time.monotonic() - due))

        task = asyncio.create_task(tick())
        try:
            yield
        finally:
            task.cancel()

    def _sent(self, began: float, began_at: datetime) -> Sent:
        told, count = self._told, len(self._due)
        names = [entrance.name for entrance in self._pipeline.entrances]

        def since(times: Sequence[float | None]) -> tuple[float | None, ...]:
            return tuple(None if at is None else round(at - began, 6) for at in times[:count])

        return Sent(
            began_at.isoformat(timespec="milliseconds"),
            self._events.prefix,
            self._events.devices,
            tuple(names[entrance] for _, entrance in self._events.shares),
            tuple(round(due - began, 6) for due in self._due),
            since(told.sent),
            since(told.accepted),
            tuple(told.refused[number] for number in sorted(told.refused)),
            tuple(sorted(told.unheard)),
            tuple(
                Trial(
                    name,
                    self._trials,
                    told.trials[number],
                    told.trials_refused.get(number),
                    told.trials_unheard.get(number, False),
                )
                for number, name in enumerate(names)
            ),
            self._stopped,
        )

    def _fact(self, at: int, began: float) -> Out:
        count, names = len(self._due), [entrance.name for entrance in self._pipeline.entrances]
        return self._seen[at].fact(self._pipeline.exits[at].name, began, self._told, names, count)

    def _client(self, began: float) -> Client | None:
        lags = sorted(
            sent - due
            for sent, due in zip(self._told.sent[: len(self._due)], self._due, strict=True)
            if sent is not None
        )
        if not lags or not self._late:
            return None
        late, over = sorted(self._late), self._due[-1] + _GRACE_S
        last = max(sent for sent in self._told.sent if sent is not None)
        return Client(
            kept=sum(sent is not None and sent <= over for sent in self._told.sent) / len(self._due),
            rate_per_second=round(len(lags) / max(last - began + 1 / self._pipeline.per_second, 1e-9), 3),
            send_lag_p50_s=_nearest(lags, 0.5),
            send_lag_p99_s=_nearest(lags, 0.99),
            receive_lag_p50_s=_nearest(late, 0.5),
            receive_lag_p99_s=_nearest(late, 0.99),
            lag_max_s=round(max(lags[-1], late[-1]), 6),
        )


def _nearest(ordered: Sequence[float], share: float) -> float:
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 6)


@contextlib.contextmanager
def _without_collection() -> Iterator[None]:
    """Let no garbage collection stop the loop: with a large heap one takes tens of milliseconds."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
