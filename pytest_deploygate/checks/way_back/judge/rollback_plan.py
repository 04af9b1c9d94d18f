"""Judge the runbook: it has no mistakes, every dry run passes, it fits into the time, and was rehearsed recently."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Judgement, Reading, Verdict, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.way_back.section.rollback import Rollback

_NAMED = 5


@dataclass(frozen=True)
class StepSeen:
    """A step: what it would do now, how it is verified, how long it takes and the source of that, what is wrong with it.

    `unreached` says why its dry run could not reach its target from here.
    """

    name: str
    would: str
    verified_by: str
    estimate_s: float
    estimated_from: str
    call: str
    loses_writes: bool
    problems: tuple[str, ...]
    unreached: str = ""


@dataclass(frozen=True)
class PlanSeen:
    """The runbook as inspected at `at`. `problems` concern the whole; `rehearsed_at` None means never.

    `unrehearsed` are steps that no recorded rehearsal ran. `callable_roles` are the roles of the contact list.
    `status_only` are the health checks that an error page with a good status passes.
    """

    steps: tuple[StepSeen, ...]
    estimate_s: float
    problems: tuple[str, ...]
    at: datetime
    rehearsed_at: datetime | None
    unrehearsed: tuple[str, ...]
    callable_roles: tuple[str, ...]
    status_only: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fits:
    """It must fit into `within`, and have been rehearsed at most `rehearsed_within` ago."""

    within: timedelta
    rehearsed_within: timedelta


def fits(section: Rollback) -> Fits:
    """Return what the inventory expects of its runbook."""
    return Fits(section.rollback_within, section.rehearsed_within)


def judge_runbook(found: PlanSeen, expected: Fits) -> Judgement:
    """Pass only when it is sound, fits, and a rehearsal of every step is on record: an estimate alone is a guess."""
    readings = tuple(_readings(found, expected))
    notes = tuple(_notes(found))
    wrong = [*found.problems, *(f"{step.name}: {p}" for step in found.steps for p in step.problems)]
    if wrong:
        more = f" (and {len(wrong) - _NAMED} more)" if len(wrong) > _NAMED else ""
        reason = f"{'; '.join(wrong[:_NAMED])}{more}; `deploygate rollback plan` shows it"
        return Judgement(Verdict.FAIL, reason, readings, notes, confirmed=True)
    unclear = list(_unclear(found, expected))
    if unclear:
        return Judgement(Verdict.INCONCLUSIVE, "; ".join(unclear), readings, notes)
    return Judgement(
        Verdict.PASS,
        f"{len(found.steps)} steps, each with a verification and a passing dry run; {words_for(found.estimate_s)} by "
        f"rehearsals of the {words_for(expected.within)} allowed, the last at {found.rehearsed_at:%Y-%m-%d %H:%M} UTC",
        readings,
        notes,
    )


def _unclear(found: PlanSeen, expected: Fits) -> Iterator[str]:
    for step in found.steps:
        if step.unreached:
            yield f"{step.name} could not be dry-run from here: {step.unreached}; correct its host, or run this where it resolves"
    rehearse = "roll back once on staging with this runbook (`deploygate rollback execute`), which writes rollback.rehearsals"
    if found.rehearsed_at is None:
        yield f"it was never rehearsed, so its {words_for(found.estimate_s)} are a guess: {rehearse}"
        return
    age = found.at - found.rehearsed_at
    if age > expected.rehearsed_within:
        yield f"the last rehearsal is {words_for(age)} old, more than {words_for(expected.rehearsed_within)}: {rehearse}"
    if age < timedelta(0):
        yield f"the last rehearsal is dated {words_for(-age)} in the future: check the clocks"
    if found.unrehearsed:
        some = ", ".join(found.unrehearsed[:_NAMED])
        yield f"no recorded rehearsal ran {some}: {rehearse}"


def _notes(found: PlanSeen) -> Iterator[str]:
    strangers = sorted({s.call for s in found.steps if s.call and s.call not in found.callable_roles})
    if strangers:
        yield f"roles to call that are not in the contact list: {', '.join(strangers)}; add `contacts` with their numbers"
    if found.status_only:
        yield (
            f"only the status of {', '.join(found.status_only)} is looked at, so an error page with a good one counts as healthy: "
            "name text of a good answer with `contains`, or of a bad one with `lacks`"
        )
    losing = next((step.name for step in found.steps if step.loses_writes), "")
    yield (
        f"point of no return: {losing}"
        if losing
        else "no step is marked as the point of no return (`loses_writes`)"
    )


def _readings(found: PlanSeen, expected: Fits) -> Iterator[Reading]:
    most_s = expected.within.total_seconds()
    yield Reading(
        "estimated total",
        round(found.estimate_s, 1),
        "s",
        f"at most {words_for(most_s)}",
        found.estimate_s <= most_s,
    )
    bad = sum(bool(step.problems) for step in found.steps)
    yield Reading("problems of the whole runbook", len(found.problems), limit="0", ok=not found.problems)
    yield Reading("steps with a problem", bad, limit="0", ok=bad == 0)
    yield Reading("steps", len(found.steps))
    yield Reading("steps never rehearsed", len(found.unrehearsed), limit="0", ok=not found.unrehearsed)
    for step in found.steps:
        yield Reading(f"{step.name} ({step.estimated_from})", round(step.estimate_s, 1), "s")
