"""Reading the sums of both sides: some threads for each side, each with a connection, unit after unit.

The threads only read; what they found comes out of one queue, in the thread that writes the journal.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from pytest_deploygate.comparison.adapter import Session, Side
from pytest_deploygate.comparison.parts import Plan
from pytest_deploygate.comparison.spec import Budget, Table
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

_LOOKS_AT_LOAD_EVERY_S = 1.0
_WAITS_S = 0.5


@dataclass(frozen=True)
class Unit:
    """What is read with one statement: one range of a table, or with number -1 all its parts in one pass."""

    table: int
    number: int


@dataclass(frozen=True)
class Read:
    """The sums of one unit on one side: (part, rows, sum), with its seconds; or the problem that there was."""

    side: Side
    unit: Unit
    sums: tuple[tuple[int, int, int], ...] = ()
    seconds: float = 0.0
    problem: str = ""


class Readers:
    """The threads of both sides. `skipped` are tables that need not be read any more."""

    def __init__(
        self,
        tables: Sequence[Table],
        plans: Sequence[Plan],
        open_session: Callable[[Side], Session],
        budget: Budget,
    ) -> None:
        self._tables, self._plans, self._open, self._budget = tables, plans, open_session, budget
        self.results: queue.Queue[Read] = queue.Queue()
        self.skipped: set[int] = set()
        self.stopped = threading.Event()
        self._sessions: list[Session] = []
        self._threads: list[threading.Thread] = []

    def start(self, side: Side, units: Iterator[Unit]) -> None:
        """Begin to read the units of one side."""
        guard = threading.Lock()

        def following() -> Unit | None:
            with guard:
                return next(units, None)

        for number in range(self._budget.connections):
            thread = threading.Thread(
                target=self._run, args=(side, following), name=f"comparison {side} {number}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    @property
    def running(self) -> bool:
        """Whether any thread still reads."""
        return any(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """End all threads, and what their servers still do for them."""
        self.stopped.set()
        for session in tuple(self._sessions):
            session.cancel()
        for thread in self._threads:
            thread.join(10.0)

    def _run(self, side: Side, following: Callable[[], Unit | None]) -> None:
        session: Session | None = None
        looked = 0.0
        try:
            while not self.stopped.is_set() and (unit := following()) is not None:
                if unit.table in self.skipped:
                    continue
                try:
                    if session is None:
                        session = self._open(side)
                        self._sessions.append(session)
                    if (
                        self._budget.max_active is not None
                        and time.monotonic() - looked > _LOOKS_AT_LOAD_EVERY_S
                    ):
                        self._wait_for_quiet(session, self._budget.max_active)
                        looked = time.monotonic()
                    found = self._read(session, side, unit)
                except CannotTell as unknown:
                    found = Read(side, unit, problem=str(unknown))
                except Exception as error:  # noqa: BLE001 (a defect of ours ends one table, and is named)
                    found = Read(side, unit, problem=f"{type(error).__name__}: {error}")
                if not self.stopped.is_set():
                    self.results.put(found)
                self._rest(found.seconds)
        finally:
            if session is not None:
                session.close()

    def _read(self, session: Session, side: Side, unit: Unit) -> Read:
        plan = self._plans[unit.table]
        part = plan.whole() if unit.number < 0 else plan.part(unit.number)
        began = time.monotonic()
        sums = session.sums(self._tables[unit.table], part)
        seconds = time.monotonic() - began
        if unit.number >= 0:
            sums = [(unit.number, rows, total) for _, rows, total in sums]
        return Read(side, unit, tuple(s for s in sums if s[1]), seconds)

    def _wait_for_quiet(self, session: Session, most: int) -> None:
        while session.busy() > most:
            if self.stopped.wait(_WAITS_S):
                return

    def _rest(self, seconds: float) -> None:
        share = self._budget.rest
        if share > 0 and seconds > 0:
            self.stopped.wait(seconds * share / (1 - share))
