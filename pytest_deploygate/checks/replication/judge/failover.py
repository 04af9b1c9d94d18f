"""Judge the failover drill: the one of this run, or the record of one that is recent and of the same cluster."""

from __future__ import annotations

from datetime import timedelta

from pytest_deploygate.checks.replication.facts import DrillEvidence, DrillRecord
from pytest_deploygate.checks.replication.section import Failover
from pytest_deploygate.model import Judgement, Reading, Verdict, words_for

_CLOCKS = timedelta(minutes=5)


def judge_failover(measurement: DrillEvidence, criterion: Failover | None) -> Judgement:
    """Pass when a drill with this configuration, at most `max_age` ago, lost nothing and was quick enough."""
    how = f"run the drill with `--allow-disruptive={measurement.environment or '<name of the inventory>'}`"
    if criterion is None:
        return Judgement(
            Verdict.INCONCLUSIVE,
            "no failover was ever tried here: add `failover: {stop_primary: …, restore: …, record: …}` under "
            f"`database.replication`, then {how}",
        )
    record = measurement.record
    if record is None:
        return Judgement(Verdict.INCONCLUSIVE, f"no failover drill is known: {measurement.problem}; {how}")
    readings = _readings(measurement, record, criterion)
    age = measurement.now - record.date

    def unknown(reason: str) -> Judgement:
        return Judgement(Verdict.INCONCLUSIVE, reason, readings)

    when = record.date.strftime("%Y-%m-%d %H:%M UTC")
    if not measurement.ran_now:
        if age < -_CLOCKS:
            return unknown(f"the drill's record is dated {when}, in the future: a clock is wrong; {how}")
        if age > criterion.max_age:
            return unknown(
                f"the last failover drill was on {when}, {words_for(age)} ago; it counts for "
                f"{words_for(criterion.max_age)}: {how}"
            )
        if record.digest != measurement.digest:
            return unknown(
                f"the last failover drill ({when}) was on another configuration ({_changes(record, measurement)}): {how}"
            )
    if record.outcome == "not_synchronous":
        return unknown(
            f"the drill of {when} did not begin: {record.reason}; set synchronous_standby_names and synchronous_commit "
            f"= on, then {how}"
        )
    bad = _bad(record, criterion)
    if bad:
        return Judgement(Verdict.FAIL, f"failover drill of {when}: {bad}", readings)
    return Judgement(
        Verdict.PASS,
        f"failover drill of {when}: {record.promoted} had all {record.acknowledged} acknowledged writes and took "
        f"writes after {words_for(record.writable_after_s or 0.0)}",
        readings,
    )


def _bad(record: DrillRecord, criterion: Failover) -> str:
    """Say what a drill showed to be wrong, or nothing. A record that contradicts itself is not good."""
    if record.missing:
        return (
            f"{record.promoted} lacked {record.missing} of {record.acknowledged} acknowledged writes (first missing id "
            f"{record.first_missing}): check synchronous_standby_names against the replica that was promoted"
        )
    if record.outcome != "good":
        return record.reason or f"it ended as {record.outcome or 'nothing'}"
    if not record.acknowledged or record.writable_after_s is None:
        return "its record proves nothing: no acknowledged write, or no time until writable"
    if record.writable_after_s > criterion.within.total_seconds():
        return (
            f"{record.promoted} took writes only after {words_for(record.writable_after_s)}, limit "
            f"{words_for(criterion.within)}"
        )
    if record.phantom:
        return f"{record.promoted} had {record.phantom} rows that nobody wrote"
    return ""


def _changes(record: DrillRecord, measurement: DrillEvidence) -> str:
    """Name what differs between the record's configuration and today's."""
    then, now = record.configuration, measurement.configuration
    names = [name for name in sorted(then.keys() | now.keys()) if then.get(name) != now.get(name)]
    return (
        "; ".join(f"{n} was {then.get(n, 'not there')!r}, is {now.get(n, 'not there')!r}" for n in names)
        or "its digest does not fit its facts"
    )


def _readings(measurement: DrillEvidence, record: DrillRecord, criterion: Failover) -> tuple[Reading, ...]:
    age_s = (measurement.now - record.date).total_seconds()
    within = criterion.within.total_seconds()
    return (
        Reading("drill on", record.date.isoformat(), limit=f"at most {words_for(criterion.max_age)} ago",
                ok=age_s <= criterion.max_age.total_seconds()),
        Reading("configuration", record.digest[:12], limit=measurement.digest[:12], ok=record.digest == measurement.digest),
        Reading("promoted", record.promoted or "none"),
        Reading("acknowledged writes", record.acknowledged, "rows", "more than 0", record.acknowledged > 0),
        Reading("missing after failover", record.missing, "rows", "0", record.missing == 0),
        Reading("indeterminate writes", record.indeterminate, "rows"),
        Reading("phantom writes", record.phantom, "rows", "0", record.phantom == 0),
        Reading("writable after", record.writable_after_s, "s", f"at most {words_for(within)}",
                None if record.writable_after_s is None else record.writable_after_s <= within),
        Reading("roles restored after", record.restored_after_s, "s"),
    )  # fmt: skip
