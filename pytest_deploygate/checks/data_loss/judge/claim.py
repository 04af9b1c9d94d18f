"""Judge whether zero loss may be claimed: only with settings that make commits wait, and a fault that was injected.

Anything less says what could still be lost, how much of it at today's rate, and which setting changes that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from pytest_deploygate.checks.data_loss.facts import Claim, Commits, Risk
from pytest_deploygate.checks.replication.facts import FailoverFacts
from pytest_deploygate.checks.replication.judge.failover import figures
from pytest_deploygate.checks.replication.judge.managed import judge_managed
from pytest_deploygate.drills.judging import Counted, counted, rerun, when
from pytest_deploygate.drills.record import Record
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Judgement, Reading, Verdict, words_for, words_for_bytes

if TYPE_CHECKING:
    from pytest_deploygate.checks.replication.section import Failover, Managed

#: Values of synchronous_commit with which a commit that returned is on a second server's disk.
WAITS = ("on", "remote_apply")
_MAX_AGE = timedelta(days=90)


@dataclass(frozen=True)
class Claimed:
    """What the inventory says: whether commits must wait for a replica (None: it does not say), and the failover drills."""

    synchronous: bool | None
    failover: Failover | None
    managed: Managed | None = None


def judge_claim(measurement: Claim, criterion: Claimed) -> Judgement:
    """Pass if commits wait for a replica, in each session, and a recent drill on this configuration lost nothing."""
    found = Collector()
    lost = at_risk(measurement.commits, measurement.risk)
    found.read(*_readings(measurement))
    weak = list(_weak(measurement.commits))
    if criterion.synchronous or not weak:
        found.read(Reading("settings with which commits do not wait", len(weak), limit="0", ok=not weak))
    for sentence in weak:
        say = f"{sentence}; {lost}"
        found.wrong(say) if criterion.synchronous else found.unknown(
            f"zero loss cannot be claimed: {say}; declare it with `replication.synchronous: true`"
        )
    if measurement.commits.problem:
        found.unknown(f"how commits wait is not known: {measurement.commits.problem}")
    if criterion.managed is not None and criterion.failover is None:
        return _by_the_manager(found, measurement, criterion.managed, lost)
    drill = _drill(found, measurement, criterion, lost)
    record = measurement.drill.record if measurement.drill else None
    shown = figures(record) if record else ()
    if drill is None:
        return replace(found.judgement(str), figures=shown)
    facts = drill.record.facts
    judged = found.judgement(
        lambda: (
            f"commits wait for {' or '.join(measurement.commits.partners)}, and the failover drill of {when(drill.record)} lost "
            f"none of {facts.acknowledged:,} acknowledged writes"
        )
    )
    return replace(judged, figures=shown)


def _by_the_manager(found: Collector, measurement: Claim, managed: Managed, lost: str) -> Judgement:
    """Judge by the drills through the cluster's manager: one of them must have been a fault, and each must be good."""
    if measurement.managed:
        drills = judge_managed(measurement.managed, managed)
    else:
        drills = Judgement(
            Verdict.INCONCLUSIVE, f"no fault was injected that we know of: {measurement.problem}"
        )
    found.read(*drills.readings)
    tried = [each.fault for each in managed.faults if not each.unavailable]
    if drills.verdict is Verdict.FAIL:
        found.wrong(drills.reason)
    elif drills.verdict is not Verdict.PASS:
        found.unknown(f"zero loss cannot be claimed: {drills.reason}; {lost}")
    elif not set(tried) - {"switchover"}:
        found.unknown(
            f"zero loss cannot be claimed: a clean switchover is no fault; {lost}; add `{{fault: killed, …}}` to "
            "`replication.managed_failover.faults`, then run its drill"
        )
    judged = found.judgement(
        lambda: (
            f"commits wait for {' or '.join(measurement.commits.partners)}, and nothing was lost in {drills.reason}"
        )
    )
    return replace(judged, figures=drills.figures)


def at_risk(commits: Commits, risk: Risk) -> str:
    """Return what a crash of the primary could have taken while we measured, as a part of a sentence."""
    if risk.behind_s is None or risk.behind_bytes is None:
        return f"how much a crash of {commits.node} would lose now was not measured: {risk.problem or 'no sample'}"
    rate = f"{risk.rows_per_s:,.0f} rows a second and {words_for_bytes(round(risk.wal_bytes_per_s))} of WAL a second"
    if not risk.behind_bytes:
        return (
            f"at today's rate of {rate} the nearest replica was never behind in {risk.samples} samples, which is luck and no "
            f"promise: each tenth of a second that it is behind when {commits.node} crashes loses {risk.rows_per_s / 10:,.0f} rows"
        )
    return (
        f"a crash of {commits.node} could have lost the last {words_for(risk.behind_s)}: about {risk.rows:,} rows, "
        f"{words_for_bytes(risk.behind_bytes)} of WAL that no replica had, at today's rate of {rate}"
    )


def _weak(commits: Commits) -> Iterator[str]:
    """Say with which settings a commit returns before a second server has it, and which setting changes that."""
    if commits.problem and not commits.synchronous_commit:
        return
    if not commits.standby_names:
        yield (
            f"commits on {commits.node} wait for no replica: set synchronous_standby_names, e.g. "
            "'ANY 1 (db2, db3)', and synchronous_commit = on"
        )
        return
    if commits.synchronous_commit not in WAITS:
        yield (
            f"synchronous_commit is {commits.synchronous_commit} on {commits.node}, so commits return before a replica has them "
            "on its disk: set it to on"
        )
    elif commits.session and commits.session not in WAITS:
        yield (
            f"synchronous_commit is {commits.session} in a session of the writers' own, though {commits.synchronous_commit} on "
            "the server: remove it from the role, the database or the pooler's connect_query"
        )
    if not commits.partners and not commits.problem:
        yield (
            f"synchronous_standby_names on {commits.node} is '{commits.standby_names}', and none of them streams: check their "
            "application_name"
        )
    others = [f"{whose}: {value}" for whose, value in commits.others if value not in WAITS]
    if others:
        yield (
            f"commits of some do not wait ({', '.join(others)}): ALTER ROLE … RESET synchronous_commit, or say why those writes "
            "may be lost"
        )


def _drill(
    found: Collector, measurement: Claim, criterion: Claimed, lost: str
) -> Counted[FailoverFacts] | None:
    """Add what the drill on record says; return it if it counts and lost nothing."""
    evidence, failover = measurement.drill, criterion.failover
    unproven = "zero loss cannot be claimed: no fault was injected"
    if failover is None:
        found.unknown(
            f"{unproven}; {lost}; add `failover: {{stop_primary: …, restore: …, record: …}}` under `database.replication`, then "
            "run its drill"
        )
        return None
    if evidence is None:
        found.unknown(f"{unproven} that we know of: {measurement.problem}; {lost}")
        return None
    again = rerun(evidence.environment)
    record = evidence.record
    if record is not None and record.outcome == "not_synchronous":
        found.unknown(
            f"{unproven}: the drill of {when(record)} did not begin: {record.reason}; {lost}; {again}"
        )
        return None
    drill = counted(
        evidence,
        min(failover.max_age, _MAX_AGE),
        "failover drill",
        again,
        readings=_drill_readings,
        failure=_failed,
    )
    if isinstance(drill, Judgement):
        found.read(*drill.readings)
        if drill.verdict is Verdict.FAIL:
            found.wrong(drill.reason)
        else:
            found.unknown(f"zero loss cannot be claimed: {drill.reason}; {lost}")
        return None
    found.read(*drill.readings)
    facts = drill.record.facts
    if not facts.acknowledged:
        found.unknown(
            f"the failover drill of {when(drill.record)} acknowledged no write, so it proves nothing; {again}"
        )
        return None
    if facts.missing:
        found.wrong(f"the failover drill of {when(drill.record)} failed: {_failed(drill.record)}")
        return None
    return drill


def _failed(record: Record[FailoverFacts]) -> str:
    facts = record.facts
    if not facts.missing:
        return ""
    return (
        f"{facts.promoted} lacked {facts.missing:,} of {facts.acknowledged:,} acknowledged writes (first missing id "
        f"{facts.first_missing})"
    )


def _drill_readings(record: Record[FailoverFacts]) -> Iterator[Reading]:
    facts = record.facts
    yield Reading(
        "acknowledged writes in the drill", facts.acknowledged, "rows", "more than 0", facts.acknowledged > 0
    )
    yield Reading("lost in the drill", facts.missing, "rows", "0", facts.missing == 0)


def _readings(measurement: Claim) -> Iterator[Reading]:
    commits, risk = measurement.commits, measurement.risk
    yield Reading("synchronous_standby_names", commits.standby_names or "empty")
    yield Reading("synchronous_commit in a writer's session", commits.session or "not known")
    yield Reading("replicas that commits wait for", ", ".join(commits.partners) or "none")
    yield Reading("rows written per second", risk.rows_per_s)
    yield Reading("WAL not yet on any replica, at most", risk.behind_bytes, "bytes")
    yield Reading("age of what the nearest replica had, at most", risk.behind_s, "s")
