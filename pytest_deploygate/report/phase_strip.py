"""All phases of the checklist in a row at the top of the page: how each stands, and when."""

from __future__ import annotations

from collections.abc import Container, Iterator
from datetime import UTC, datetime

from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Outcome, Phase, Verdict, words_for
from pytest_deploygate.report import grouping, words
from pytest_deploygate.report.ending import Look
from pytest_deploygate.report.record import Record, Run

_LOOKS = {Outcome.GO: Look.GO, Outcome.HOLD: Look.HOLD, Outcome.ROLLBACK: Look.ROLLBACK}


@dataclass(frozen=True)
class Box:
    """One phase. `said` is its verdicts or its last decision, `time` when it was measured, decided or is planned.

    `here` is true if this decision covers it.
    """

    phase: Phase
    look: Look
    said: str
    time: str
    here: bool


def boxes(record: Record) -> tuple[Box, ...]:
    """Return a box for each phase, in the order of the checklist."""
    return tuple(_boxes(record))


def _boxes(record: Record) -> Iterator[Box]:
    against, deciding = grouping.held(record), _deciding(record)
    windows = {phase: (start, end) for phase, start, end in record.windows}
    for group in grouping.by_phase(record):
        name = group.phase.id
        spans = [(m.start, m.end) for m in record.measured if m.phase == name]
        planned = _span(*windows[name]) if name in windows else group.phase.window
        if group.inside:
            time = _took(*spans[-1]) if spans else planned and f"planned {planned}"
            look, said = _standing(group.inside, against, deciding)
            yield Box(group.phase, look, said, time, here=True)
        elif last := _last(record, name):
            decided, outcome = last
            yield Box(group.phase, _LOOKS[outcome], f"{outcome.value} before", _moment(decided), here=False)
        else:
            yield Box(
                group.phase,
                Look.NONE,
                "not decided" if spans else "not run",
                planned and f"planned {planned}",
                here=False,
            )


def _standing(
    inside: tuple[ItemResult, ...], against: Container[str], deciding: Container[str]
) -> tuple[Look, str]:
    """Return how the items of a phase stand: what holds comes first, and only if nothing does the rest."""
    holding = [r for r in inside if not r.verdict.good and not grouping.weight(r, against)[0]]
    holding = [r for r in holding if r.verdict is not Verdict.WAIVED]
    if holding:
        look = Look.ROLLBACK if any(r.item.id in deciding for r in holding) else Look.HOLD
        return look, words.tally_words(r.verdict for r in holding)
    waived = sum(1 for r in inside if r.verdict is Verdict.WAIVED)
    said = words.tally_words(r.verdict for r in inside)
    return (Look.WAIVED if waived else Look.GO), said


def _deciding(record: Record) -> frozenset[str]:
    """Return the items for which a rollback was decided."""
    if record.decision is None or record.decision.outcome is not Outcome.ROLLBACK:
        return frozenset()
    rules = grouping.deciding(record.decision.rules, Outcome.ROLLBACK)
    return frozenset(item for rule in rules for item in rule.items)


def _last(record: Record, phase: str) -> tuple[datetime, Outcome] | None:
    """Return the latest decision of a run for exactly this phase."""

    def decided(run: Run) -> bool:
        return run.scope == phase and run.outcome is not None and run.decided is not None

    found = [run for run in record.runs if decided(run)]
    return (found[-1].decided, found[-1].outcome) if found else None  # type: ignore[return-value]


def _took(start: datetime, end: datetime) -> str:
    took = end - start
    return f"{_moment(start)}, {words_for(took) if took.total_seconds() >= 1 else 'under 1 s'}"


def _span(start: datetime, end: datetime) -> str:
    return f"{_moment(start)}–{end.astimezone(UTC):%H:%M}"


def _moment(when: datetime) -> str:
    return f"{when.astimezone(UTC):%d %b %H:%M}"
