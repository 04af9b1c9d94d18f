"""What is wrong with a history, beside the rows that are there after it. In the habit of Jepsen's checkers, but for one model:

rows that are written once and never removed, the greatest id that a reader sees, and counters that are counted up.

Every claim is safe: whatever else an operation without an answer may have done, what is reported cannot have come from a
cluster that keeps each acknowledged write and answers with the newest state. Linear in time. In memory it holds some bits
for each id, and a window of acknowledgements that reads are compared with.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import field

from pytest_deploygate.judging.histories.history import Kind, Outcome, Row
from pytest_deploygate.judging.histories.ids import Ids
from pytest_deploygate.lazy import dataclass

#: So many ids are named.
SHOWN = 5
#: Acknowledgements kept to compare reads with: half a minute at 5,000 a second.
_WINDOW = 150_000
#: Times kept on disk are rounded to so many seconds.
_ROUNDED_S = 2e-4


@dataclass(frozen=True)
class Some:
    """How many there are, and the first of them."""

    count: int = 0
    first: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return self.count > 0

    def __str__(self) -> str:
        shown = ", ".join(map(str, self.first))
        return f"{shown} and {self.count - len(self.first)} more" if self.count > len(self.first) else shown


@dataclass(frozen=True)
class Presence:
    """One place where the rows were looked for.

    `lost` were acknowledged and are not there, `phantom` are there and were written by nobody, or were refused,
    `applied_twice` are there more than once. `lost_s` is from the first lost acknowledgement to the last acknowledgement of
    all, and `tail` is true if nothing that was acknowledged later than the first lost one is there: then the end was cut off.
    """

    found: int = 0
    lost: Some = Some()
    phantom: Some = Some()
    applied_twice: Some = Some()
    lost_s: float = 0.0
    tail: bool = False


@dataclass(frozen=True)
class Anomalies:
    """What a history says by itself, whatever rows are there in the end.

    `stale_reads` are the greatest ids that readers saw although a greater one had been acknowledged before they asked;
    `longest_stale_s` is how long before. `unborn_reads` are ids that were seen and written by nobody, or refused.
    `acknowledged_twice` are ids; `lost_updates` are keys of counters; `out_of_order` are clients whose own operations
    overlap, whose ids fall, or whose reads go back. `unjudged_reads` took too long to be compared.
    """

    acknowledged: int = 0
    indeterminate: int = 0
    refused: int = 0
    reads: int = 0
    acknowledged_twice: Some = Some()
    stale_reads: Some = Some()
    longest_stale_s: float = 0.0
    unborn_reads: Some = Some()
    lost_updates: Some = Some()
    out_of_order: Some = Some()
    unjudged_reads: int = 0

    @property
    def found(self) -> bool:
        """True if anything is wrong."""
        return any(
            (
                self.acknowledged_twice,
                self.stale_reads,
                self.unborn_reads,
                self.lost_updates,
                self.out_of_order,
            )
        )


@dataclass()
class _Few:
    count: int = 0
    first: list[int] = field(default_factory=list)

    def add(self, value: int) -> None:
        self.count += 1
        if len(self.first) < SHOWN:
            self.first.append(value)

    def some(self) -> Some:
        return Some(self.count, tuple(self.first))


@dataclass()
class _Client:
    ended_s: float = 0.0
    written: int = -1
    read: int = -1


class Checker:
    """Takes the rows of a history one by one, then says what was wrong: `add`, `anomalies`, and `presence` for each place."""

    def __init__(self) -> None:
        self.acknowledged, self.indeterminate, self.refused = Ids(), Ids(), Ids()
        self._twice, self._stale, self._disorder, self._updates = _Few(), _Few(), _Few(), _Few()
        self._seen = Ids()
        self._clients: dict[int, _Client] = {}
        self._counted: dict[int, Ids] = {}
        self._open_counts: dict[int, int] = {}
        # Rising maxima of acknowledged ids, and since when each was one.
        self._ends, self._greatest = array("d"), array("q")
        self.last_s, self._floor_s = 0.0, 0.0  # when the last answer came
        self._reads, self._unjudged, self._longest_s = 0, 0, 0.0

    def add(self, row: Row) -> None:
        """Take the next row, in the order in which the answers came."""
        client, begin_s, end_s, kind, outcome, value, key = row
        self.last_s = max(self.last_s, end_s)
        state = self._clients.get(client)
        if state is None:
            state = self._clients[client] = _Client()
        if begin_s < state.ended_s - _ROUNDED_S:
            self._disorder.add(client)
        state.ended_s = end_s
        if kind == Kind.WRITE:
            self._write(state, client, outcome, value)
        elif kind == Kind.READ:
            self._read(state, client, begin_s, outcome, value)
        else:
            self._increment(outcome, value, key)

    def _write(self, state: _Client, client: int, outcome: int, value: int) -> None:
        if value < state.written:
            self._disorder.add(client)
        state.written = value
        if outcome != Outcome.ACKNOWLEDGED:
            (self.indeterminate if outcome == Outcome.INDETERMINATE else self.refused).add(value)
            return
        if value in self.acknowledged:
            self._twice.add(value)
        self.acknowledged.add(value)
        if not self._greatest or value > self._greatest[-1]:
            self._ends.append(self.last_s)
            self._greatest.append(value)
            if len(self._ends) > _WINDOW:
                half = _WINDOW // 2
                self._floor_s = self._ends[half]
                del self._ends[:half], self._greatest[:half]

    def _read(self, state: _Client, client: int, begin_s: float, outcome: int, value: int) -> None:
        if outcome != Outcome.ACKNOWLEDGED:
            return
        self._reads += 1
        if value:
            self._seen.add(value)
        if value < state.read:
            self._disorder.add(client)
        state.read = value
        if begin_s < self._floor_s:
            self._unjudged += 1
            return
        before = bisect_right(self._ends, begin_s - _ROUNDED_S) - 1
        if before >= 0 and self._greatest[before] > value:
            self._stale.add(value)
            missed = bisect_right(self._greatest, value)
            self._longest_s = max(self._longest_s, begin_s - self._ends[missed])

    def _increment(self, outcome: int, value: int, key: int) -> None:
        counted = self._counted.setdefault(key, Ids())
        if outcome == Outcome.INDETERMINATE:
            self._open_counts[key] = self._open_counts.get(key, 0) + 1
        elif outcome == Outcome.ACKNOWLEDGED:
            if value in counted:  # two of them read the same count: one of them is lost
                self._updates.add(key)
            counted.add(value)

    def anomalies(
        self, *, unanswered: Iterable[int] = (), counters: Mapping[int, int] | None = None
    ) -> Anomalies:
        """Return what is wrong. `unanswered` ids were sent and are not in the history; `counters` are the last counts by key."""
        for value in unanswered:
            if value not in self.acknowledged:
                self.indeterminate.add(value)
        for key, last in (counters or {}).items():
            if last < max(self._counted.get(key, ()), default=0):
                self._updates.add(key)
        unborn = _Few()
        for value in self._seen:
            if value not in self.acknowledged and value not in self.indeterminate:
                unborn.add(value)
        return Anomalies(
            acknowledged=len(self.acknowledged),
            indeterminate=len(self.indeterminate),
            refused=len(self.refused),
            reads=self._reads,
            acknowledged_twice=self._twice.some(),
            stale_reads=self._stale.some(),
            longest_stale_s=self._longest_s,
            unborn_reads=unborn.some(),
            lost_updates=self._updates.some(),
            out_of_order=self._disorder.some(),
            unjudged_reads=self._unjudged,
        )

    def presence(self, found: Iterable[int], history: Iterable[Row] | None = None) -> Presence:
        """Compare the ids that one place has; `history` is read again for how much of the end is lost."""
        there, twice, phantom = Ids(), _Few(), _Few()
        for value in found:
            if value < 0 or (value not in self.acknowledged and value not in self.indeterminate):
                phantom.add(value)
            elif value in there:
                twice.add(value)
            else:
                there.add(value)
        lost = _Few()
        for value in self.acknowledged:
            if value not in there:
                lost.add(value)
        lost_s, tail = self._cut(there, history) if lost.count and history is not None else (0.0, False)
        return Presence(len(there), lost.some(), phantom.some(), twice.some(), lost_s, tail)

    def _cut(self, there: Ids, history: Iterable[Row]) -> tuple[float, bool]:
        """Return from when on writes are lost, in seconds before the last acknowledgement, and whether all later ones are."""
        first_s, last_s, tail = None, 0.0, True
        for _, begin_s, end_s, kind, outcome, value, _ in history:
            if kind != Kind.WRITE or outcome != Outcome.ACKNOWLEDGED:
                continue
            last_s = max(last_s, end_s)
            if value not in there:
                first_s = end_s if first_s is None else first_s
            elif first_s is not None and begin_s > first_s:
                tail = False
        return (0.0, False) if first_s is None else (last_s - first_s, tail)


def checked(history: Iterable[Row]) -> Checker:
    """Return a checker that has taken a whole history."""
    checker = Checker()
    for row in history:
        checker.add(row)
    return checker
