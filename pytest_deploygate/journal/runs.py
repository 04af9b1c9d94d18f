"""The runs that a journal tells of: each is a segment of its lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from pytest_deploygate.journal.lines import CONDENSED, Entry, readable
from pytest_deploygate.journal.plain import decision_from_json
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Decision, Finding
from pytest_deploygate.moments import time_of


@dataclass(frozen=True)
class TestRecord:
    """The findings of one test in one run."""

    __test__ = False  # not a pytest test class

    run: str
    test: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Segment:
    """One run of a change: how it began, what it found, how it ended (`ended` is None for a killed run).

    `seq` is the number of its first line, `latest` the time of its last. Of a run that a checkpoint condensed, `begin` and
    `decision` are in short, and `tests` are those that still count.
    """

    run: str
    seq: int
    started: datetime
    begin: Mapping[str, Any]
    tests: tuple[TestRecord, ...]
    ended: datetime | None
    decision: Decision | None
    latest: datetime


@readable()
def segments(entries: Sequence[Entry]) -> list[Segment]:
    """Return the runs of a journal in the order they began. Raises JournalError."""
    lines: dict[str, list[Entry]] = {}
    short: dict[str, Mapping[str, Any]] = {}
    for entry in entries:
        if entry.kind == CONDENSED:
            short = {one["run"]: one for one in entry.body["runs"]}
        elif (run := entry.body.get("run")) is not None:
            lines.setdefault(run, []).append(entry)
    begun = {entry.body["run"]: entry for entry in entries if entry.kind == "run"}
    found = [_segment(begin, lines[run]) for run, begin in begun.items()]
    found += [in_short(one, lines.get(run, ())) for run, one in short.items() if run not in begun]
    return sorted(found, key=lambda segment: segment.seq)


def _segment(begin: Entry, mine: Sequence[Entry]) -> Segment:
    run = begin.body["run"]
    return Segment(
        run=run,
        seq=begin.seq,
        started=begin.at,
        begin=begin.body,
        tests=tuple(_tests(run, mine)),
        ended=next((entry.at for entry in mine if entry.kind == "end"), None),
        decision=_last(mine, "decision", lambda body: decision_from_json(body["decision"])),
        latest=max(entry.at for entry in mine),
    )


def in_short(plain: Mapping[str, Any], mine: Sequence[Entry]) -> Segment:
    """Read a run that a checkpoint has in short; `mine` are those of its lines that still count."""
    return Segment(
        run=plain["run"],
        seq=plain["seq"],
        started=time_of(plain["started"]),
        begin=plain["begin"],
        tests=tuple(_tests(plain["run"], mine)),
        ended=time_of(plain["ended"]) if plain["ended"] else None,
        decision=decision_from_json(plain["decision"]) if plain["decision"] else None,
        latest=time_of(plain["latest"]),
    )


def condensed(entries: Sequence[Entry]) -> Entry | None:
    """Return the entry that stands for the lines which `read` did not parse; None if it parsed all."""
    return next((entry for entry in entries if entry.kind == CONDENSED), None)


def _tests(run: str, entries: Sequence[Entry]) -> Iterator[TestRecord]:
    for entry in entries:
        if entry.kind == "test":
            yield TestRecord(run, entry.body["test"], entry.findings)


def _last(
    entries: Sequence[Entry], kind: str, read_body: Callable[[Mapping[str, Any]], Decision]
) -> Decision | None:
    found = [entry for entry in entries if entry.kind == kind]
    return read_body(found[-1].body) if found else None
