"""When each phase was planned and measured, and the timeline of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from markupsafe import Markup

from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Phase, Verdict, words_for
from pytest_deploygate.report import grouping, words
from pytest_deploygate.report.plots import timeline
from pytest_deploygate.report.record import Record

#: Events of a rollback have their own table: so many marks would hide the others.
_STEPS = frozenset({"rollback", "loss", "circumstances", "gone back", "after"})


@dataclass(frozen=True)
class PhaseTimes:
    """The times of a phase in words. `late` says how far measured times lie outside the plan, or nothing."""

    phase: Phase
    planned: str
    measured: str
    late: str
    runs: int
    decided: str
    verdicts: str


def phases(record: Record) -> tuple[PhaseTimes, ...]:
    """Return the phases that were planned, measured or are in scope, in the order of the checklist."""
    windows = {phase: (start, end) for phase, start, end in record.windows}
    found = []
    for group in grouping.by_phase(record):
        window = windows.get(group.phase.id)
        spans = [(m.start, m.end) for m in record.measured if m.phase == group.phase.id]
        if not (window or spans or group.inside):
            continue
        found.append(
            PhaseTimes(
                phase=group.phase,
                planned=words.between(*window) if window else group.phase.window,
                measured=words.between(min(s for s, _ in spans), max(e for _, e in spans)) if spans else "",
                late=_late(window, spans),
                runs=len(spans),
                decided=_decided(record, group.phase.id),
                verdicts=words.tally_words(r.verdict for r in group.inside),
            )
        )
    return tuple(found)


def picture(record: Record) -> Markup:
    """Draw the change on a time axis; empty for one run or one phase: that would be a speck beside the plan."""
    if len(record.runs) < 2 or len({m.phase for m in record.measured}) < 2:
        return Markup()
    windows = {phase: (start, end) for phase, start, end in record.windows}
    rows = []
    for group in grouping.by_phase(record):
        spans = tuple((m.start, m.end) for m in record.measured if m.phase == group.phase.id)
        rows.append(timeline.Row(group.phase.id, windows.get(group.phase.id), spans))
    return timeline.draw(rows, list(_marks(record)))


def happened(record: Record) -> tuple[tuple[datetime, str, str], ...]:
    """Return decisions and incidents as (time, what, text), oldest first."""
    found = [
        (run.decided, run.outcome.value, f"for {run.scope or 'the whole checklist'}")
        for run in record.runs
        if run.decided and run.outcome
    ]
    found += [(event.at, event.kind, event.text) for event in record.events]
    return tuple(sorted(found))


def _marks(record: Record) -> Iterator[timeline.Mark]:
    for run in record.runs:
        if run.decided and run.outcome:
            yield timeline.Mark(run.decided, run.outcome.value, run.outcome.value.lower())
    for event in record.events:
        if event.kind not in _STEPS:
            yield timeline.Mark(event.at, event.kind, "incident")
    if record.gone_back is not None:
        yield timeline.Mark(record.gone_back.began, "rollback", "rollback")
        if record.gone_back.ended:
            yield timeline.Mark(record.gone_back.ended, "rolled back", "rollback")


def _decided(record: Record, phase: str) -> str:
    """Return the latest decision of a run whose scope is exactly this phase; others are in the list of events."""
    known = [run for run in record.runs if run.scope == phase and run.outcome]
    return known[-1].outcome.value if known and known[-1].outcome else ""


def _late(window: tuple[datetime, datetime] | None, spans: list[tuple[datetime, datetime]]) -> str:
    if not window or not spans:
        return ""
    first, last = min(s for s, _ in spans), max(e for _, e in spans)
    said = [f"{words_for(window[0] - first)} before its window"] if first < window[0] else []
    said += [f"{words_for(last - window[1])} after its window ended"] if last > window[1] else []
    return " and ".join(said) or "within its window"


def counts(record: Record) -> tuple[tuple[str, tuple[tuple[Verdict, int], ...]], ...]:
    """Return the counts of verdicts by severity, for the severities in scope."""
    inside = grouping.in_scope(record)
    found = (
        (s.value, words.tally(r.verdict for r in inside if r.item.severity is s)) for s in words.SEVERITIES
    )
    return tuple((severity, tally) for severity, tally in found if tally)
