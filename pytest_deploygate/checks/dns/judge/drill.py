"""The failover drill of a name: recent, of the current configuration, and successful."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pytest_deploygate.checks.dns.facts import FailoverFacts
from pytest_deploygate.drills.judging import counted, rerun, when
from pytest_deploygate.drills.record import Evidence
from pytest_deploygate.judging.own_lag import excused
from pytest_deploygate.model import Judgement, Reading, Verdict, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.dns.section import Dns, DnsFailover, DnsName


def judge_failover(found: Evidence[FailoverFacts], expected: DnsFailover | None) -> Judgement:
    """Pass on a drill of this run or on record that switched within the limit and back.

    A record of another environment or configuration, from the future, too old, or without times is inconclusive.
    """
    again = rerun(found.environment)
    if expected is None:
        return Judgement(
            Verdict.INCONCLUSIVE,
            "a failover has never been tested: add `failover: {stop: …, restore: …, record: …}` to the name",
        )
    what = f"failover drill of {found.record.facts.name}" if found.record else "failover drill"
    drill = counted(
        found, expected.max_age, what, again, readings=lambda record: _readings(record.facts, expected)
    )
    if isinstance(drill, Judgement):
        return drill
    facts = drill.record.facts
    if facts.switched_s is None or facts.back_s is None:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"the drill's record {expected.record} contains no times; {again}",
            drill.readings,
        )
    if facts.switched_s > expected.within.total_seconds():
        late = Judgement(
            Verdict.FAIL,
            f"in the drill of {when(drill.record)} {facts.name} pointed to the standby after {facts.switched_s:.1f} s, "
            f"limit {words_for(expected.within)}: shorten its TTL or the health check's interval, then {again}",
            drill.readings,
        )
        return excused(late, facts.lag, facts.switched_s, expected.within.total_seconds())
    done = "now" if found.ran_now else f"on {drill.record.date:%Y-%m-%d}"
    return Judgement(
        Verdict.PASS,
        f"drilled {done}: {facts.name} pointed to the standby after {facts.switched_s:.1f} s and came back after "
        f"{facts.back_s:.1f} s",
        drill.readings,
    )


def judge_without_standby(name: DnsName, expected: Dns) -> Judgement:
    """Pass when another name has a standby: at least one name must fail over."""
    others = [other.name for other in expected.names if other.standby is not None]
    if others:
        return Judgement(
            Verdict.PASS, f"{name.name} has no standby of its own; {', '.join(others)} fails over"
        )
    return Judgement(
        Verdict.INCONCLUSIVE,
        f"no name has a standby, so there is no failover: add `standby: {{address: …}}` to {name.name}",
    )


def _readings(facts: FailoverFacts, expected: DnsFailover) -> Iterator[Reading]:
    yield Reading(
        "time until the name points to the standby",
        facts.switched_s,
        "s",
        f"at most {words_for(expected.within)}",
        ok=facts.switched_s is not None and facts.switched_s <= expected.within.total_seconds(),
    )
