"""A comparison from its plan to its outcome: read sums, look at what differs, keep the journal.

The thread that calls `compare` alone writes; see `reading` for the threads that read.
"""

from __future__ import annotations

import contextlib
import json
import queue
import time
from collections.abc import Iterator, Sequence
from dataclasses import field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from pytest_deploygate.comparison import differences, hashing, journal, looking, parts, records
from pytest_deploygate.comparison.adapter import Server, Session, Side
from pytest_deploygate.comparison.described import alike
from pytest_deploygate.comparison.differences import Digests
from pytest_deploygate.comparison.journal import CannotResume, Journal
from pytest_deploygate.comparison.looking import EXAMPLES, Found, Looker
from pytest_deploygate.comparison.outcome import Outcome, TableOutcome
from pytest_deploygate.comparison.parts import Plan
from pytest_deploygate.comparison.reading import Read, Readers, Unit
from pytest_deploygate.comparison.spec import Budget, Live, Shard, Table
from pytest_deploygate.files import write_whole
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

__all__ = ["CannotResume", "Watch", "compare"]
RESULT = "result.json"
_POLL_S = 0.2
_SIDES: tuple[Side, Side] = ("source", "target")
_HEADER = len(",".join(differences.FIELDS)) + 1


class Watch(Protocol):
    """Who looks on, from the thread that called `compare`."""

    def planned(self, tables: int, rows: int) -> None:
        """Tell how many tables there are, and about how many rows both sides have together."""

    def read(self, rows: int) -> None:
        """Tell that so many more rows were read, of either side."""

    def finished(self, table: TableOutcome) -> None:
        """Tell the outcome of a table."""


class Nobody:
    """Nobody looks on."""

    def planned(self, tables: int, rows: int) -> None:
        """See `Watch`."""

    def read(self, rows: int) -> None:
        """See `Watch`."""

    def finished(self, table: TableOutcome) -> None:
        """See `Watch`."""


@dataclass(frozen=False)
class _State:
    """How far a table is. `units` is how many there were to be read on each side."""

    plan: Plan
    units: int
    left: dict[str, set[int]]
    sums: dict[str, dict[int, tuple[int, int]]] = field(default_factory=lambda: {"source": {}, "target": {}})
    seconds: dict[str, float] = field(default_factory=lambda: {"source": 0.0, "target": 0.0})
    found: Found = field(default_factory=Found)
    looked: int = 0
    size: int = 0
    outcome: TableOutcome | None = None


def compare(
    tables: Sequence[Table],
    source: Server,
    target: Server,
    folder: Path,
    *,
    budget: Budget | None = None,
    live: Live | None = None,
    shard: Shard | None = None,
    resume: bool = False,
    watch: Watch | None = None,
    unknown: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> Outcome:
    """Compare tables of two servers and write journal, differences and result into a folder.

    `unknown` and `notes` are sentences of whoever chose the tables; they become part of the outcome. With `resume` it goes
    on from the journal in the folder, if there is one.

    Raises CannotTell if a server cannot be used or both have no checksum in common, CannotResume, and OSError. What goes
    wrong with one table is in its outcome.
    """
    began = time.monotonic()
    budget, shard = budget or Budget(), shard or Shard()
    how, identities = _agreed(source, target)
    settings = {"live": live is not None, "most_written": budget.most_written}
    kept = Journal(folder, journal.header(tables, identities, settings, how, shard), resume=resume)
    try:
        comparison = _Comparison(
            tables, (source, target), how, folder, kept, budget, live, shard, watch or Nobody()
        )
        outcomes = comparison.run()
        size = _joined(folder, outcomes, kept)
        outcome = Outcome(
            tables=outcomes,
            unknown=tuple(unknown),
            notes=tuple(notes),
            file=differences.NAME if size else "",
            written=comparison.written,
            cut=any(state.found.cut for state in comparison.states),
            checksum=how,
            seconds=time.monotonic() - began,
            resumed=kept.resumed,
            shard=f"{shard.number}/{shard.of}",
        )
        write_whole(folder / RESULT, json.dumps(records.as_json(outcome, timed=False), indent=1) + "\n")
        return outcome
    finally:
        kept.close()


def _agreed(source: Server, target: Server) -> tuple[str, dict[str, dict[str, str]]]:
    """Return the checksum's function and what identifies both sides. Raises CannotTell."""
    identities = {"source": source.identity(), "target": target.identity()}
    if not alike(source.kind, target.kind):
        for server in (source, target):
            if not hashing.common(server.checksums):
                raise CannotTell(
                    f"{server.name} computes other checksums of known rows than every server must: nothing can be compared"
                )
        return hashing.COMMON, identities
    encodings = {identity["encoding"] for identity in identities.values()}
    how = hashing.agreed(source.checksums, target.checksums, encodings=encodings)
    if not how:
        raise CannotTell(
            f"{source.name} and {target.name} compute different checksums of the same texts, also with md5: "
            "compare on servers that do not"
        )
    return how, identities


class _Comparison:
    """One comparison at work."""

    def __init__(
        self,
        tables: Sequence[Table],
        servers: tuple[Server, Server],
        how: str,
        folder: Path,
        kept: Journal,
        budget: Budget,
        live: Live | None,
        shard: Shard,
        watch: Watch,
    ) -> None:
        self._tables, self._how, self._folder, self._journal = tables, how, folder, kept
        self._servers = dict(zip(_SIDES, servers, strict=True))
        self._budget, self._live, self._shard, self._watch = budget, live, shard, watch
        self._sessions: dict[Side, Session] = {}
        self._numbers = {table.name: n for n, table in enumerate(tables)}
        self._digests = Digests(folder)
        self.states: list[_State] = []

    @property
    def written(self) -> int:
        """How many lines the file of differences has."""
        return sum(state.found.written for state in self.states)

    def run(self) -> tuple[TableOutcome, ...]:
        """Read, look, and return the outcome of each table."""
        stack = contextlib.ExitStack()
        with stack:
            stack.callback(self._close)
            plans = self._plans()
            for n, plan in enumerate(plans):
                units = set(plan.units(n, self._shard))
                self.states.append(_State(plan, len(units), {side: set(units) for side in _SIDES}))
            self._replay()
            readers = Readers(self._tables, plans, self._open, self._budget)
            self._watch.planned(len(self._tables), 2 * sum(table.rows for table in self._tables))
            self._watch.read(
                sum(
                    rows for state in self.states for sums in state.sums.values() for rows, _ in sums.values()
                )
            )
            readers.skipped.update(n for n, state in enumerate(self.states) if state.outcome)
            stack.callback(readers.stop)
            waiting = {side: list(self._units(side)) for side in _SIDES}
            for side in _SIDES:
                readers.start(side, iter(waiting[side]))
            self._finish_whole(readers)
            while any(state.outcome is None for state in self.states):
                try:
                    self._take(readers.results.get(timeout=_POLL_S), readers)
                except queue.Empty:
                    if not readers.running and readers.results.empty():
                        self._give_up("what reads it has ended before it was read")
                self._finish_whole(readers)
        return tuple(state.outcome for state in self.states if state.outcome)

    def _give_up(self, why: str) -> None:
        for n, state in enumerate(self.states):
            if state.outcome is None and any(state.left.values()):
                self._end(n, why)

    def _units(self, side: Side) -> Iterator[Unit]:
        for n, state in enumerate(self.states):
            if state.outcome is None:
                yield from (Unit(n, number) for number in sorted(state.left[side]))

    def _open(self, side: Side) -> Session:
        return self._servers[side].session(self._how)

    def _session(self, side: Side) -> Session:
        if side not in self._sessions:
            self._sessions[side] = self._open(side)
        return self._sessions[side]

    def _close(self) -> None:
        for session in self._sessions.values():
            session.close()

    def _plans(self) -> list[Plan]:
        """Return the plan of each table: from the journal, else made now."""
        there = {line["plan"]: line for line in self._journal.lines if "plan" in line}
        found = []
        for table in self._tables:
            if line := there.get(table.name):
                bounds = tuple(tuple(bound) for bound in line["bounds"])
                found.append(Plan(bounds, line["bits"], line["by_hash"]))
                continue
            plan = self._planned(table)
            self._journal.write(
                {"plan": table.name, "bounds": plan.bounds, "bits": plan.bits, "by_hash": plan.by_hash}
            )
            found.append(plan)
        return found

    def _planned(self, table: Table) -> Plan:
        if not table.ordered or table.scattered:
            return Plan(bits=parts.bits_for(table.rows), by_hash=True)
        ranges = round(table.rows / parts.rows_per_range(table.rows))
        if ranges < 2:
            return Plan()
        try:
            session = self._session("source")
            if table.whole:
                least, most = session.extent(table)
                if least is not None and most is not None and int(most) - int(least) < 2 * table.rows:
                    return Plan(parts.even(int(least), int(most), table.rows))
            return Plan(session.bounds(table, ranges))
        except CannotTell:  # it is told when the table is read
            return Plan()

    def _replay(self) -> None:
        """Take from the journal what was done before."""
        for line in self._journal.lines:
            if "side" in line:
                state = self.states[self._numbers[line["table"]]]
                sums = tuple((part, rows, int(total)) for part, rows, total in line["sums"])
                self._add(state, line["side"], line["unit"], sums, line["s"])
            elif "looked" in line:
                state = self.states[self._numbers[line["looked"]]]
                state.looked, state.size = line["job"] + 1, line["bytes"]
                state.found = records.found_from_json(line["found"])
            elif "done" in line:
                self.states[self._numbers[line["done"]]].outcome = records.table_from_json(line["outcome"])

    def _take(self, found: Read, readers: Readers) -> None:
        state = self.states[found.unit.table]
        if state.outcome is not None:
            return
        if found.problem:
            readers.skipped.add(found.unit.table)
            self._end(found.unit.table, found.problem)
            return
        self._journal.write(
            {
                "side": found.side,
                "table": self._tables[found.unit.table].name,
                "unit": found.unit.number,
                "sums": [[part, rows, str(total)] for part, rows, total in found.sums],
                "s": round(found.seconds, 4),
            }
        )
        self._add(state, found.side, found.unit.number, found.sums, found.seconds)
        self._watch.read(sum(rows for _, rows, _ in found.sums))

    def _add(
        self,
        state: _State,
        side: str,
        unit: int,
        sums: Sequence[tuple[int, int, int]],
        seconds: float,
    ) -> None:
        state.left[side].discard(unit)
        state.seconds[side] += seconds
        state.sums[side].update({part: (rows, total) for part, rows, total in sums})

    def _finish_whole(self, readers: Readers) -> None:
        """Look at tables of which all sums are there, and end them."""
        for n, state in enumerate(self.states):
            if state.outcome is None and not any(state.left.values()):
                problem = self._look(n, state, readers)
                self._end(n, problem)

    def _look(self, number: int, state: _State, readers: Readers) -> str:
        """Look at what differs in a table; return the problem that there was."""
        jobs = looking.jobs(state.plan, state.sums["source"], state.sums["target"])
        if not jobs[state.looked :]:
            return ""
        table = self._tables[number]
        writer = differences.Writer(_file(self._folder, number), state.size)
        # Each table has its own share of the limit: which lines are written does not depend on what was read first.
        most = max(1, self._budget.most_written // len(self._tables))
        if self._live:
            readers.stopped.wait(self._live.delay_s)
        try:
            looker = Looker(
                table,
                (self._session("source"), self._session("target")),
                writer,
                self._digests,
                most=most,
                live=self._live,
                stopped=readers.stopped,
            )
            for at, job in enumerate(jobs):
                if at < state.looked:
                    continue
                looker.look(job, state.found)
                state.looked, state.size = at + 1, writer.size
                self._journal.write(
                    {
                        "looked": table.name,
                        "job": at,
                        "bytes": writer.size,
                        "found": records.found_as_json(state.found),
                    }
                )
        except CannotTell as unknown:
            return str(unknown)
        finally:
            writer.close()
        return ""

    def _end(self, number: int, problem: str) -> None:
        state = self.states[number]
        state.outcome = _outcome(self._tables[number], state, problem)
        if not problem:  # what could not be read is read again when the comparison is resumed
            self._journal.write(
                {"done": state.outcome.source, "outcome": records.table_as_json(state.outcome)}
            )
        self._watch.finished(state.outcome)


def _outcome(table: Table, state: _State, problem: str) -> TableOutcome:
    plan, found = state.plan, state.found
    rows = {side: sum(rows for rows, _ in state.sums[side].values()) for side in _SIDES}
    read = state.units - len(state.left["source"] | state.left["target"])
    return TableOutcome(
        source=table.name,
        target=".".join(table.target),
        how="one pass" if plan.by_hash else "ranges" if plan.bounds else "one range",
        key=", ".join(column.name for column in table.key),
        parts=plan.parts,
        parts_done=plan.parts * read if plan.by_hash else read,
        source_rows=rows["source"],
        target_rows=rows["target"],
        missing=found.missing,
        extra=found.extra,
        changed=found.changed,
        columns=tuple(sorted(found.columns.items())),
        where=records.places(plan, state.sums["source"], found.where),
        examples=tuple(records.example(one) for one in found.examples[:EXAMPLES]),
        transient=found.transient,
        unsettled=found.unsettled,
        seconds=round(max(state.seconds.values()), 3),
        problem=problem,
        notes=table.notes,
    )


def _file(folder: Path, number: int) -> Path:
    into = folder / "differences"
    into.mkdir(exist_ok=True)
    return into / f"{number:05d}.csv"


def _joined(folder: Path, outcomes: Sequence[TableOutcome], kept: Journal) -> int:
    """Write the file of all differences; return the bytes of its lines."""
    whole = folder / differences.NAME
    single = [_file(folder, number) for number in range(len(outcomes))]
    if not kept.finished:
        differences.joined(single, whole)
        # The parts stay where a table must be read again: the file is then joined once more.
        if any(outcome.problem for outcome in outcomes):
            return whole.stat().st_size - _HEADER
        kept.write({"joined": whole.stat().st_size, "at": datetime.now(UTC).isoformat(timespec="seconds")})
    for path in single:
        path.unlink(missing_ok=True)
    return whole.stat().st_size - _HEADER
