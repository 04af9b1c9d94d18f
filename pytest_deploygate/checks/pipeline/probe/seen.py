"""What is known of the events while a test runs: what was sent and accepted, and what came out where."""

from __future__ import annotations

import time
from collections import Counter

from pytest_deploygate.checks.pipeline.facts import Break, Doubled, Out, Unaccepted
from pytest_deploygate.checks.pipeline.probe.events import TRIALS


class Told:
    """What the ways in say. Calls may come from other threads; times are those of `time.monotonic`."""

    def __init__(self, events: int, entrances: int) -> None:
        self.sent: list[float | None] = [None] * events
        self.accepted: list[float | None] = [None] * events
        self.refused: dict[int, Unaccepted] = {}
        self.unheard: set[int] = set()
        self._entrances = entrances
        self.trials: Counter[int] = Counter()  # accepted ones by the entrance's number
        self.trials_unheard: dict[int, bool] = {}
        self.trials_refused: dict[int, Unaccepted] = {}  # the last one

    def begun(self, number: int) -> None:
        """Note that an event is being sent now."""
        if number < TRIALS:
            self.sent[number] = time.monotonic()

    def accept(self, number: int, *, unheard: bool = False) -> None:
        """Note that an event was accepted; `unheard`: nobody had subscribed to it."""
        if number >= TRIALS:
            entrance = (number - TRIALS) % self._entrances
            self.trials[entrance] += 1
            self.trials_unheard[entrance] = unheard
        else:
            self.accepted[number] = time.monotonic()
            if unheard:
                self.unheard.add(number)

    def refuse(self, number: int, why: str, *, answered: bool, broken: bool = False) -> None:
        """Note that an event was not accepted, or that it is not known; see `Unaccepted`."""
        refused = Unaccepted(number, why, answered, broken)
        if number >= TRIALS:
            self.trials_refused[(number - TRIALS) % self._entrances] = refused
        else:
            self.refused[number] = refused

    @property
    def unknown(self) -> int:
        """How many events that were sent were neither accepted nor refused yet."""
        return sum(
            sent is not None and accepted is None and number not in self.refused
            for number, (sent, accepted) in enumerate(zip(self.sent, self.accepted, strict=True))
        )


class Seen:
    """What came out at one exit."""

    def __init__(self, events: int, entrances: int) -> None:
        self.by: list[float | None] = [None] * events
        self.after: list[float | None] = [None] * events
        self.order: list[int] = []
        self.trials: set[int] = set()  # numbers of the entrances whose trials came out
        self.breaks: list[tuple[float, str]] = []
        self.problem = ""
        self._times: Counter[int] = Counter()
        self._entrances = entrances

    @property
    def whole(self) -> bool:
        """Whether all events have come out."""
        return len(self.order) == len(self.by)

    def pushed(self, numbers: list[int]) -> None:
        """Note events that came now; each time counts."""
        now = time.monotonic()
        for number in numbers:
            if self._new(number, now, now):
                self._times[number] += 1

    def kept(self, numbers: list[int], after: float) -> None:
        """Note all events of a whole read, which began when the one before had: `after`."""
        now = time.monotonic()
        for number, times in Counter(numbers).items():
            if self._new(number, now, after):
                self._times[number] = max(self._times[number], times)

    def broke(self, why: str) -> None:
        """Note that a connection ended, or that a read failed."""
        self.breaks.append((time.monotonic(), why))

    def _new(self, number: int, now: float, after: float) -> bool:
        if number >= TRIALS:
            self.trials.add((number - TRIALS) % self._entrances)
            return False
        if number >= len(self.by):
            return False
        if self.by[number] is None:
            self.by[number], self.after[number] = now, after
            self.order.append(number)
        return True

    def fact(
        self,
        name: str,
        began: float,
        told: Told,
        entrances: list[str],
        events: int,
    ) -> Out:
        """Return the first so many events as a value. What was read after it was sent cannot have been there before."""

        def since(at: float | None) -> float | None:
            return None if at is None else round(at - began, 6)

        return Out(
            name,
            tuple(
                None if after is None else since(max(after, sent or after))
                for after, sent in zip(self.after[:events], told.sent[:events], strict=True)
            ),
            tuple(map(since, self.by[:events])),
            tuple(self.order),
            tuple(Doubled(number, times) for number, times in sorted(self._times.items()) if times > 1),
            tuple(Break(round(at - began, 3), why) for at, why in self.breaks),
            tuple(entrance for number, entrance in enumerate(entrances) if number in self.trials),
            problem=self.problem,
        )
