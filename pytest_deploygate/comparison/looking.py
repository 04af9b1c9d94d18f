"""Looking at a part whose sums differ: which rows, and which of their columns.

Rows are fetched in pieces of a bounded number, keys and checksums first, values only of rows that differ.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field
from typing import TypeVar

from pytest_deploygate.comparison import forms
from pytest_deploygate.comparison.adapter import Keyed, Session, Values
from pytest_deploygate.comparison.candidates import Candidate, Row, by_key, chosen, differing
from pytest_deploygate.comparison.differences import NULL, Difference, Digests, Writer
from pytest_deploygate.comparison.parts import PIECE_ROWS, Part, Plan, bits_for
from pytest_deploygate.comparison.spec import Live, Table
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

T = TypeVar("T")
_MOST_BITS = 24
#: Values of so many rows are held at a time: of each side, each value of a bounded length.
_KEYS_AT_ONCE = 100
#: So many differences of a table are kept as examples.
EXAMPLES = 5

#: By part: rows and sum of checksums.
Sums = Mapping[int, tuple[int, int]]


@dataclass(frozen=True)
class Job:
    """Parts that are looked at together: neighbours in the order of the table, or tails of one pass."""

    part: Part
    numbers: tuple[int, ...]
    rows: int


@dataclass(frozen=False)
class Found:
    """What looking has found so far; numbers are rows."""

    missing: int = 0
    extra: int = 0
    changed: int = 0
    transient: int = 0
    unsettled: int = 0
    written: int = 0
    cut: bool = False
    columns: Counter[str] = field(default_factory=Counter)
    where: Counter[int] = field(default_factory=Counter)
    examples: list[Difference] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """How many rows differ."""
        return self.missing + self.extra + self.changed


def jobs(plan: Plan, source: Sums, target: Sums) -> list[Job]:
    """Return what must be looked at, in the order of the table: parts whose rows or sums differ."""
    differing = [n for n in sorted({*source, *target}) if source.get(n, (0, 0)) != target.get(n, (0, 0))]
    rows = {n: max(source.get(n, (0, 0))[0], target.get(n, (0, 0))[0]) for n in differing}
    if not plan.by_hash:
        return [Job(plan.part(n), (n,), rows[n]) for n in differing]
    found: list[Job] = []
    batch: list[int] = []
    for n in differing:
        if batch and sum(rows[b] for b in batch) + rows[n] > PIECE_ROWS:
            found.append(_together(plan, batch, rows))
            batch = []
        batch.append(n)
    return [*found, _together(plan, batch, rows)] if batch else found


def _together(plan: Plan, batch: Sequence[int], rows: Mapping[int, int]) -> Job:
    part = Part(bits=plan.bits, tails=tuple(batch)) if plan.bits else Part()
    return Job(part, tuple(batch), sum(rows[n] for n in batch))


class Looker:
    """Looks at parts of one table, and writes the differences. `most` limits the lines of all tables together."""

    def __init__(
        self,
        table: Table,
        sessions: tuple[Session, Session],
        writer: Writer,
        digests: Digests,
        *,
        most: int,
        live: Live | None,
        stopped: threading.Event,
    ) -> None:
        self._table, (self._source, self._target) = table, sessions
        self._writer, self._digests = writer, digests
        self._most, self._live, self._stopped = most, live, stopped

    def look(self, job: Job, into: Found) -> None:
        """Look at a job's rows and add what differs to `into`. Raises CannotTell."""
        for piece in self._pieces(job):
            candidates = differing(*self._keys(piece))
            if self._live and candidates:
                candidates = self._settled(piece, candidates, into)
            before = into.rows
            self._take(piece, candidates, into)
            into.where[job.numbers[0]] += into.rows - before

    def _both(self, ask: Callable[[Session], list[T]]) -> tuple[list[T], list[T]]:
        """Ask both sides at the same time; of a live source first, so that the target can have what it had."""
        if self._live:
            return ask(self._source), ask(self._target)
        with ThreadPoolExecutor(1, "comparison looks") as other:
            theirs = other.submit(ask, self._target)
            try:
                return ask(self._source), theirs.result()
            except KeyboardInterrupt:
                self._target.cancel()
                raise

    def _keys(self, piece: Part) -> tuple[list[Keyed], list[Keyed]]:
        return self._both(lambda session: session.keys(self._table, piece))

    def _rows(self, piece: Part, keys: list[str]) -> tuple[list[Values], list[Values]]:
        return self._both(lambda session: session.rows(self._table, piece, keys))

    def _pieces(self, job: Job) -> Iterator[Part]:
        """Divide a job into pieces that differ and have a bounded number of rows."""
        more = bits_for(job.rows // max(len(job.numbers), 1), _MOST_BITS - job.part.bits)
        if not more or len(job.numbers) > 1:
            yield job.part
            return
        own = job.part.bits
        bits = own + more
        tails = tuple(t | (n << own) for t in job.part.tails for n in range(2**more)) if own else ()
        divided = Part(job.part.lower, job.part.upper, bits, tails)
        source, target = (
            {tail: (rows, total) for tail, rows, total in sums}
            for sums in self._both(lambda session: session.sums(self._table, divided))
        )
        for tail in sorted({*source, *target}):
            if source.get(tail) != target.get(tail):
                yield Part(job.part.lower, job.part.upper, bits, (tail,))

    def _settled(self, piece: Part, candidates: list[Candidate], into: Found) -> list[Candidate]:
        """Look again after the delay of the replication, until rows are equal or differ in the same way twice."""
        assert self._live is not None  # noqa: S101 (asked by the caller)
        settled: list[Candidate] = []
        open_ = candidates
        for _ in range(self._live.times):
            if not open_:
                break
            if self._live.caught_up is not None:
                self._live.caught_up(self._live.delay_s * self._live.times, self._stopped)
            elif self._stopped.wait(self._live.delay_s):
                raise CannotTell("the comparison was stopped")
            again = {
                c.key: c
                for c in differing(
                    self._again(self._source, piece, open_), self._again(self._target, piece, open_)
                )
            }
            moving = []
            for one in open_:
                now = again.get(one.key)
                if now is None:
                    into.transient += 1
                elif (now.source, now.target) == (one.source, one.target):
                    settled.append(now)
                else:
                    moving.append(now)
            open_ = moving
        into.unsettled += len(open_)
        return sorted(settled, key=lambda c: c.key)

    def _again(
        self, session: Session, piece: Part, candidates: list[Candidate]
    ) -> Iterator[tuple[str, int, int]]:
        for some in _batches([c.key for c in candidates]):
            for key, number, _ in session.rows(self._table, piece, some):
                yield key, number, 1

    def _take(self, piece: Part, candidates: list[Candidate], into: Found) -> None:
        for some in _batches(candidates):
            lines: list[Difference] = []
            room = self._most - into.written
            if room > 0:
                keys = [c.key for c in some]
                source, target = map(by_key, self._rows(piece, keys))
                for one in some:
                    lines += self._lines(one, source.get(one.key, []), target.get(one.key, []))
            for one in some:
                here, there = (sum(rows for _, rows in side) for side in (one.source, one.target))
                changed = min(here, there)
                into.changed += changed
                into.missing += here - changed
                into.extra += there - changed
            into.cut = into.cut or len(lines) > room or room <= 0
            lines = lines[: max(room, 0)]
            self._writer.write(lines)
            into.written += len(lines)
            into.columns.update(line.column for line in lines if line.column)
            into.examples += lines[: max(EXAMPLES - len(into.examples), 0)]

    def _lines(
        self,
        one: Candidate,
        source: list[Row],
        target: list[Row],
    ) -> Iterator[Difference]:
        """Yield the lines of one key: columns of rows that are on both sides, then rows that are on one side only."""
        here, there = chosen(source, one.source), chosen(target, one.target)
        key = self._key(one.key)
        for mine, theirs in zip(here, there, strict=False):
            for column, a, b in zip(self._table.columns, mine, theirs, strict=True):
                if a != b:
                    said = (self._digests.of(a), self._digests.of(b)) if column.sensitive else (a, b)
                    yield Difference(self._table.name, key, "changed", column.name, *said)
        both = min(len(here), len(there))
        for values, rows in Counter(here[both:]).items():
            yield Difference(self._table.name, key, "missing", "", self._row(values), None, rows)
        for values, rows in Counter(there[both:]).items():
            yield Difference(self._table.name, key, "extra", "", None, self._row(values), rows)

    def _key(self, text: str) -> str:
        if not self._table.key:
            return ""
        if any(column.sensitive for column in self._table.key):
            return self._digests.of(text) or ""
        if self._table.common:
            return ",".join(NULL if value is None else value for value in forms.parted(text))
        return text[1:-1]

    def _row(self, values: Sequence[str | None]) -> str:
        """Return a row as JSON: texts by column, digests where the column is sensitive."""
        said = {
            column.name: self._digests.of(value) if column.sensitive else value
            for column, value in zip(self._table.columns, values, strict=True)
        }
        return json.dumps(said, ensure_ascii=False)


def _batches(found: Sequence[T]) -> Iterator[list[T]]:
    for at in range(0, len(found), _KEYS_AT_ONCE):
        yield list(found[at : at + _KEYS_AT_ONCE])
