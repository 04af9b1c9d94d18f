"""The failover drill of a name: lately, of this very configuration, and it worked."""

from __future__ import annotations

from datetime import datetime

from pytest_deploygate.checks.dns.facts import DrillRecord
from pytest_deploygate.checks.dns.section import Dns, DnsFailover, DnsName
from pytest_deploygate.model import Judgement, Reading, Verdict, words_for

_AGAIN = "run it with --allow-disruptive=INVENTORY"


def judge_failover(
    found: tuple[DrillRecord | None, datetime, str], expected: DnsFailover | None
) -> Judgement:
    """Pass on a drill of this run or on record that switched in time and came back."""
    record, now, digest = found
    if expected is None:
        return Judgement(
            Verdict.INCONCLUSIVE,
            "that failover really happens was not seen: say `failover: {stop: …, restore: …, record: …}` at the name",
        )
    if record is None:
        return Judgement(
            Verdict.INCONCLUSIVE, f"there is no record of a failover drill in {expected.record}; {_AGAIN}"
        )
    age = now - record.at
    readings = (
        Reading(
            "name points to the standby after",
            record.switched_s,
            "s",
            f"at most {words_for(expected.within)}",
            ok=record.switched_s is not None,
        ),
        Reading(
            "age of the drill",
            words_for(age),
            limit=f"at most {words_for(expected.max_age)}",
            ok=age <= expected.max_age,
        ),
    )
    if record.outcome != "good":
        return Judgement(
            Verdict.FAIL,
            f"the failover drill of {record.at:%Y-%m-%d %H:%M} UTC: {record.outcome}",
            readings,
        )
    if record.digest != digest:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"the drill on record was of another configuration of {record.name}; {_AGAIN}",
            readings,
        )
    if age > expected.max_age:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"the drill on record is {words_for(age)} old, limit {words_for(expected.max_age)}; {_AGAIN}",
            readings,
        )
    if record.switched_s is None or record.back_s is None:
        return Judgement(
            Verdict.INCONCLUSIVE, f"the drill's record {expected.record} lacks its times; {_AGAIN}", readings
        )
    when = "now" if record.fresh else f"on {record.at:%Y-%m-%d}"
    return Judgement(
        Verdict.PASS,
        f"drilled {when}: {record.name} pointed to the standby after {record.switched_s:.1f} s and came back after {record.back_s:.1f} s",
        readings,
    )


def judge_without_standby(name: DnsName, expected: Dns) -> Judgement:
    """A name without a standby needs another name that has one: some name must fail over."""
    others = [other.name for other in expected.names if other.standby is not None]
    if others:
        return Judgement(
            Verdict.PASS, f"{name.name} has no standby of its own; {', '.join(others)} fails over"
        )
    return Judgement(
        Verdict.INCONCLUSIVE,
        f"no name has a standby, so there is no failover: say `standby: {{address: …}}` at {name.name}",
    )
