"""Judge the failover drill: that of this run, or a recent record from the same cluster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_deploygate.checks.replication.facts import FailoverFacts
from pytest_deploygate.drills.judging import counted, rerun, when
from pytest_deploygate.drills.record import Evidence, Record
from pytest_deploygate.drills.timeline import takeover
from pytest_deploygate.judging.own_lag import excused
from pytest_deploygate.model import Figure, Judgement, Reading, Verdict, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.replication.section import Failover


def judge_failover(measurement: Evidence[FailoverFacts], criterion: Failover | None) -> Judgement:
    """Pass if a drill on this configuration, at most `max_age` ago, lost nothing and was fast enough."""
    how = rerun(measurement.environment)
    if criterion is None:
        return Judgement(
            Verdict.INCONCLUSIVE,
            "a failover has never been tested: add `failover: {stop_primary: …, restore: …, record: …}` under "
            f"`database.replication`, then {how}",
        )
    record = measurement.record
    if record and record.outcome == "not_synchronous":
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"the drill of {when(record)} did not begin: {record.reason}; set synchronous_standby_names and "
            f"synchronous_commit = on, then {how}",
        )
    drill = counted(
        measurement, criterion.max_age, "failover drill", how,
        readings=lambda record: _readings(record.facts, criterion), failure=_lost,
    )  # fmt: skip
    if isinstance(drill, Judgement):
        return replace(drill, figures=figures(record)) if record else drill
    facts, on = drill.record.facts, when(drill.record)
    if bad := _bad(facts, criterion):
        found = Judgement(
            Verdict.FAIL, f"failover drill of {on}: {bad}", drill.readings, figures=figures(drill.record)
        )
        return excused(found, facts.lag, facts.writable_after_s, criterion.within.total_seconds())
    return Judgement(
        Verdict.PASS,
        f"failover drill of {on}: {facts.promoted} had all {facts.acknowledged} acknowledged writes and accepted "
        f"writes after {words_for(facts.writable_after_s or 0.0)}",
        drill.readings,
        figures=figures(drill.record),
    )


def figures(record: Record[FailoverFacts]) -> tuple[Figure, ...]:
    """Return the drill as a picture, if its record holds what was written when."""
    facts = record.facts
    back = facts.writable_after_s
    writable = [(-facts.lead_s, 0.0, (facts.primary,))] if facts.primary else []
    if back is not None and facts.promoted:
        writable.append((back, back + 1.0, (facts.promoted,)))
    # A node that takes writes is read from the same moment on.
    return takeover(
        f"failover drill of {when(record)}",
        facts.acknowledged_per_100ms, facts.lead_s, writable, back, back,
    )  # fmt: skip


def _lost(record: Record[FailoverFacts]) -> str:
    facts = record.facts
    if not facts.missing:
        return ""
    return (
        f"{facts.promoted} lacked {facts.missing} of {facts.acknowledged} acknowledged writes (first missing id "
        f"{facts.first_missing}): check synchronous_standby_names against the replica that was promoted"
    )


def _bad(facts: FailoverFacts, criterion: Failover) -> str:
    """Return what is wrong with the facts of a drill that ended well; empty if nothing is."""
    if not facts.acknowledged or facts.writable_after_s is None:
        return "its record proves nothing: no acknowledged write, or no time until writable"
    if facts.writable_after_s > criterion.within.total_seconds():
        return (
            f"{facts.promoted} accepted writes only after {words_for(facts.writable_after_s)}, limit "
            f"{words_for(criterion.within)}"
        )
    if facts.phantom:
        return f"{facts.promoted} had {facts.phantom} rows that were never written"
    return ""


def _readings(facts: FailoverFacts, criterion: Failover) -> Iterator[Reading]:
    within = criterion.within.total_seconds()
    yield Reading("promoted", facts.promoted or "none")
    yield Reading("acknowledged writes", facts.acknowledged, "rows", "more than 0", facts.acknowledged > 0)
    yield Reading("missing after failover", facts.missing, "rows", "0", facts.missing == 0)
    yield Reading("measured RPO: time of which writes were lost", facts.rpo_s, "s")
    yield Reading("indeterminate writes", facts.indeterminate, "rows")
    yield Reading("phantom writes", facts.phantom, "rows", "0", facts.phantom == 0)
    yield Reading(
        "writable after", facts.writable_after_s, "s", f"at most {words_for(within)}",
        facts.writable_after_s is not None and facts.writable_after_s <= within,
    )  # fmt: skip
    yield Reading("roles restored after", facts.restored_after_s, "s")
