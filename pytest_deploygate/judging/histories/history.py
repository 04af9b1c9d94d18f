"""What each client did, in its own order: when it began, when the answer came, and what the answer was.

The times are seconds since the start, all from one monotonic clock, so entries of different clients can be compared: an
operation that ended before another one began came first. An operation without an answer has none of its own end:
whatever it did may take effect at any later time.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from enum import IntEnum
from typing import TypeAlias

from pytest_deploygate.lazy import dataclass

#: An entry as a plain tuple: client, begin_s, end_s, kind, outcome, value, key. A million of them are read often.
Row: TypeAlias = tuple[int, float, float, int, int, int, int]


class Kind(IntEnum):
    """What a client asked for, and what `value` is."""

    #: A row with an id of its own; `value` is the id.
    WRITE = 0
    #: The greatest id that a reader saw; 0 if there was none.
    READ = 1
    #: The row of `key` counted up by one, read first and then written; `value` is the new count.
    INCREMENT = 2


class Outcome(IntEnum):
    """What became of it."""

    #: COMMIT returned without a warning.
    ACKNOWLEDGED = 0
    #: No answer, or a warning: it may or may not have happened.
    INDETERMINATE = 1
    #: Answered with an error, so rolled back.
    REFUSED = 2


@dataclass(frozen=True)
class Entry:
    """One operation. `client` counts writers from 0; readers follow them."""

    client: int
    begin_s: float
    end_s: float
    kind: Kind
    outcome: Outcome
    value: int
    key: int = 0


class History:
    """Entries in the order in which their answers came, 34 bytes each. One client's entries are in its own order.

    `add` may be called by one thread at a time.
    """

    def __init__(self) -> None:
        self._clients, self._keys = array("I"), array("i")
        self._begins, self._ends = array("d"), array("d")
        self._kinds, self._outcomes, self._values = array("B"), array("B"), array("q")

    def add(
        self,
        client: int,
        begin_s: float,
        end_s: float,
        kind: Kind,
        outcome: Outcome,
        value: int,
        key: int = 0,
    ) -> None:
        """Add what a client did last."""
        self._clients.append(client)
        self._begins.append(begin_s)
        self._ends.append(end_s)
        self._kinds.append(kind)
        self._outcomes.append(outcome)
        self._values.append(value)
        self._keys.append(key)

    def __len__(self) -> int:
        return len(self._clients)

    def __iter__(self) -> Iterator[Entry]:
        for client, begin_s, end_s, kind, outcome, value, key in self.rows():
            yield Entry(client, begin_s, end_s, Kind(kind), Outcome(outcome), value, key)

    def rows(self) -> Iterator[Row]:
        """Return the entries as tuples; what is added meanwhile may be left out."""
        columns = (self._clients, self._begins, self._ends, self._kinds, self._outcomes, self._values)
        return zip(*columns, self._keys, strict=False)

    def of(self, client: int) -> Iterator[Entry]:
        """Return one client's entries."""
        return (entry for entry in self if entry.client == client)
