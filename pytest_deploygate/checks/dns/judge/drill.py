"""The failover drill of a name: recent, of the current configuration, and successful."""

from __future__ import annotations

from datetime import datetime, timedelta

from pytest_deploygate.checks.dns.facts import DrillRecord
from pytest_deploygate.checks.dns.section import Dns, DnsFailover, DnsName
from pytest_deploygate.model import Judgement, Reading, Verdict, words_for

_AGAIN = "run the drill with --allow-disruptive=INVENTORY"


def judge_failover(
    found: tuple[DrillRecord | None, datetime, str], expected: DnsFailover | None
) -> Judgement:
    """Pass on a drill of this run or on record that switched within the limit and came back.

    A record of another configuration, from the future, too old, or without its times is inconclusive.
    """
    record, now, digest = found
    if expected is None:
        return Judgement(
            Verdict.INCONCLUSIVE,
            "a failover has never been tested: add `failover: {stop: …, restore: …, record: …}` to the name",
        )
    if record is None:
        return Judgement(
            Verdict.INCONCLUSIVE, f"there is no record of a failover drill in {expected.record}; {_AGAIN}"
        )
    age = now - record.at
    limit = words_for(expected.within)
    within = record.switched_s is not None and record.switched_s <= expected.within.total_seconds()
    readings = (
        Reading("outcome of the drill", record.outcome, limit="good", ok=record.outcome == "good"),
        Reading("name points to the standby after", record.switched_s, "s", f"at most {limit}", ok=within),
        Reading(
            "age of the drill",
            words_for(age),
            limit=f"at most {words_for(expected.max_age)}",
            ok=timedelta(0) <= age <= expected.max_age,
        ),
    )

    def inconclusive(reason: str) -> Judgement:
        return Judgement(Verdict.INCONCLUSIVE, f"{reason}; {_AGAIN}", readings)

    when = f"{record.at:%Y-%m-%d %H:%M} UTC"
    if record.outcome != "good":
        outcome = record.outcome or "no outcome was recorded"
        return Judgement(
            Verdict.FAIL,
            f"the failover drill of {record.name}, {when}, failed: {outcome}; {_AGAIN}",
            readings,
        )
    if record.digest != digest:
        return inconclusive(f"the drill on record tested another configuration of {record.name}")
    if age < timedelta(0):
        return inconclusive(f"the drill on record is dated {when}, which is in the future")
    if age > expected.max_age:
        return inconclusive(
            f"the drill on record is {words_for(age)} old, limit {words_for(expected.max_age)}"
        )
    if record.switched_s is None or record.back_s is None:
        return inconclusive(f"the drill's record {expected.record} lacks its times")
    if not within:
        return Judgement(
            Verdict.FAIL,
            f"in the drill of {when} {record.name} pointed to the standby after {record.switched_s:.1f} s, limit {limit}: "
            f"shorten its TTL or the health check's interval, then {_AGAIN}",
            readings,
        )
    done = "now" if record.fresh else f"on {record.at:%Y-%m-%d}"
    return Judgement(
        Verdict.PASS,
        f"drilled {done}: {record.name} pointed to the standby after {record.switched_s:.1f} s and came back after {record.back_s:.1f} s",
        readings,
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
