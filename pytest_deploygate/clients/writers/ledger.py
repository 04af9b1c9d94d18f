"""What became of each id, kept while the writers run."""

from __future__ import annotations

import threading
from array import array
from dataclasses import field

from pytest_deploygate.judging.histories.history import History, Kind, Outcome
from pytest_deploygate.judging.histories.ids import Ids
from pytest_deploygate.lazy import dataclass

#: Length of a bucket of `acknowledged_per_100ms`, in seconds.
BUCKET_S = 0.1


@dataclass()
class Ledger:
    """Three buckets of ids, the history behind them, and how many answers came in each tenth of a second.

    `acknowledged_per_100ms[n]` counts the writes whose COMMIT returned from n to n+1 tenths of a second after the start,
    `read_per_100ms` the reads that were answered. Times are seconds since the start.
    """

    acknowledged: Ids = field(default_factory=Ids)
    indeterminate: Ids = field(default_factory=Ids)
    refused: Ids = field(default_factory=Ids)
    history: History = field(default_factory=History)
    acknowledged_per_100ms: array[int] = field(default_factory=lambda: array("I"))
    read_per_100ms: array[int] = field(default_factory=lambda: array("I"))
    slowest_commit_s: float = 0.0
    reconnected: int = 0
    hung: bool = False
    problem: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(
        self,
        client: int,
        begin_s: float,
        end_s: float,
        kind: Kind,
        outcome: Outcome,
        value: int,
        problem: str = "",
    ) -> None:
        """Record one answer, or that there was none."""
        with self.lock:
            self.history.add(client, begin_s, end_s, kind, outcome, value)
            if kind is Kind.WRITE:
                self._bucket(outcome).add(value)
                self.slowest_commit_s = max(self.slowest_commit_s, end_s - begin_s)
            if outcome is Outcome.ACKNOWLEDGED and kind is not Kind.INCREMENT:
                counts = self.read_per_100ms if kind is Kind.READ else self.acknowledged_per_100ms
                count(counts, end_s)
            self.problem = self.problem or problem

    def first_after(self, at_s: float, kind: Kind = Kind.WRITE) -> float | None:
        """Return when the first write (or read) that was begun after `at_s` was answered well; None if none was."""
        ends = (
            entry.end_s
            for entry in self.history
            if entry.kind is kind and entry.outcome is Outcome.ACKNOWLEDGED and entry.begin_s >= at_s
        )
        return min(ends, default=None)

    def _bucket(self, outcome: Outcome) -> Ids:
        if outcome is Outcome.ACKNOWLEDGED:
            return self.acknowledged
        return self.indeterminate if outcome is Outcome.INDETERMINATE else self.refused


def count(counts: array[int], at_s: float) -> None:
    """Count one answer in its tenth of a second."""
    bucket = max(0, int(at_s / BUCKET_S))
    if bucket >= len(counts):
        counts.extend([0] * (bucket + 1 - len(counts)))
    counts[bucket] += 1
