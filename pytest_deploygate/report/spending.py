"""What the gate's own probes sent, as rows of a table: the latest run first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from pytest_deploygate.decision.spent import ledger
from pytest_deploygate.journal import Entry, Segment
from pytest_deploygate.judging.spending import KIND, Spent, overspent, went_on
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import words_for, words_for_bytes
from pytest_deploygate.report.record import Record

#: Rows that are shown; `verdicts.json` has all.
MOST = 60
_HOW = {
    "done": "done",
    "itself": "by its own bound",
    "spent": "budget used up",
    "time": "time used up",
    "stopped": "stopped",
    "harm": "the service suffered",
    "error": "with an error",
    "": "its process died",
}


@dataclass(frozen=True)
class Row:
    """One probe in one run, in words. `bad` says what the gate should not have done; empty if it kept to its budget."""

    probe: str
    item: str
    started: datetime
    requests: str
    connections: str
    traffic: str
    time: str
    watched: str
    ended: str
    bad: str


def of_journal(entries: Sequence[Entry], runs: Sequence[Segment]) -> Iterator[tuple[datetime, Spent]]:
    """Yield what each probe spent with the start of its run, the latest run first."""
    lines: dict[str, Any] = {str(e.body.get("run")): e.body for e in entries if e.kind == KIND}
    for run in reversed(runs):
        if run.run in lines:
            yield from ((run.started, entry) for entry in ledger(lines[run.run])[0])


def rows(record: Record) -> tuple[Row, ...]:
    """Return the rows of the table."""
    return tuple(_row(started, entry) for started, entry in record.spent[:MOST])


def _row(started: datetime, entry: Spent) -> Row:
    limits = entry.limits
    bad = [*overspent(entry), *went_on(entry), *(f"it left {what}" for what in entry.left)]
    ended = ", ".join(_HOW.get(how, how) for how in entry.ended)
    if entry.stop_s is not None:
        ended = f"{ended}, {entry.stop_s:.2f} s after the stop"
    return Row(
        probe=entry.probe,
        item=entry.item,
        started=started,
        requests=f"{_number(entry.requests)} of {_number(limits.requests)}"
        + (f", {entry.wrong} wrong" if entry.wrong else ""),
        connections=f"{_number(entry.connections)} new" + (f", {entry.peak} at a time" if entry.peak else ""),
        traffic=_traffic(entry),
        time=f"{words_for(round(entry.seconds, 2))} of {words_for(limits.seconds)}",
        watched=_watched(entry),
        ended=ended,
        bad="; ".join(bad),
    )


def _number(number: int) -> str:
    return f"{number:,}".replace(",", "\u202f")


def _traffic(entry: Spent) -> str:
    if not entry.sent_bytes and not entry.received_bytes:
        return "bytes not counted"
    return f"{words_for_bytes(entry.sent_bytes)} out, {words_for_bytes(entry.received_bytes)} in"


def _watched(entry: Spent) -> str:
    if entry.before is None:
        return f"not watched: {entry.unwatched}" if entry.unwatched else "not watched"
    before = entry.before
    return f"{before.median_s * 1000:.3g} ms and {before.errors:.0%} errors before it"
