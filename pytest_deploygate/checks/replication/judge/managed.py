"""Judge the failover drills through a manager: each fault was tried lately on this configuration, and nothing was lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_deploygate.checks.replication.facts import ManagedFacts
from pytest_deploygate.drills.judging import counted, rerun, when
from pytest_deploygate.drills.record import Evidence, Record
from pytest_deploygate.drills.timeline import takeover
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.judging.histories.strange import strange, strange_readings
from pytest_deploygate.judging.own_lag import excused
from pytest_deploygate.model import Figure, Judgement, Reading, Verdict, words_for, words_for_count

if TYPE_CHECKING:
    from pytest_deploygate.checks.replication.section import Managed

#: A node that was not looked at for longer may have taken writes unseen.
_UNSEEN_S = 5.0
#: Faults that keep us from looking, too. A frozen node takes no writes; one behind a cut acknowledges none, as commits wait.
_UNSEEABLE = ("frozen", "network_cut")


def judge_managed(measurement: Mapping[str, Evidence[ManagedFacts]], criterion: Managed) -> Judgement:
    """Pass if every fault of the inventory has a good drill. `measurement` maps faults to the evidence of each.

    A fault that cannot be tried is a note; if none could be, the judgement is inconclusive.
    """
    said, good = Collector(), []
    for fault in criterion.faults:
        if fault.unavailable:
            said.note(f"it was not tried: {fault.unavailable}", where=fault.fault)
            continue
        found = measurement.get(fault.fault)
        if found is None:
            said.unknown("it was not asked for", where=fault.fault)
            continue
        one = _one(found, criterion, fault.fault)
        said.read(*(_of(fault.fault, reading) for reading in one.readings))
        if one.verdict is Verdict.PASS:
            good.append(one.reason)
        else:
            (said.wrong if one.verdict is Verdict.FAIL else said.unknown)(one.reason, where=fault.fault)
    judged = said.judgement(
        lambda: f"{words_for_count(len(good), 'failover drill', 'failover drills')}: {'; '.join(good)}"
    )
    shown = [figure for fault, found in measurement.items() for figure in _figures(fault, found.record)]
    return replace(judged, figures=(*judged.figures, *shown))


def _figures(fault: str, record: Record[ManagedFacts] | None) -> tuple[Figure, ...]:
    if record is None:
        return ()
    facts = record.facts
    return takeover(
        f"failover drill ({fault.replace('_', ' ')}) of {when(record)}",
        facts.acknowledged_per_100ms,
        facts.lead_s,
        [(each.from_s, each.to_s, each.nodes) for each in facts.writable],
        facts.first_write_s,
        facts.first_read_s,
    )


def _of(fault: str, reading: Reading) -> Reading:
    return Reading(f"{fault}: {reading.name}", reading.value, reading.unit, reading.limit, reading.ok)


def _one(found: Evidence[ManagedFacts], criterion: Managed, fault: str) -> Judgement:
    again = rerun(found.environment)
    drill = counted(
        found,
        criterion.max_age,
        "failover drill",
        again,
        readings=lambda record: _readings(record.facts, criterion),
        failure=_failure,
    )
    if isinstance(drill, Judgement):
        return drill
    facts, on = drill.record.facts, when(drill.record)
    if bad := "; ".join(_bad(facts, criterion)):
        judged = Judgement(Verdict.FAIL, f"drill of {on}: {bad}", drill.readings)
        slow = facts.first_write_s is not None and facts.first_write_s > criterion.within.total_seconds()
        only_slow = slow and len(list(_bad(facts, criterion))) == 1
        return (
            excused(judged, facts.lag, facts.first_write_s, criterion.within.total_seconds())
            if only_slow
            else judged
        )
    if why := _unproven(facts, criterion):
        return Judgement(Verdict.INCONCLUSIVE, f"drill of {on}: {why}; {again}", drill.readings)
    return Judgement(Verdict.PASS, _sentence(facts, fault), drill.readings)


def _failure(record: Record[ManagedFacts]) -> str:
    facts = record.facts
    if not facts.missing:
        return ""
    setting = (
        "commits waited for no replica: set synchronous_mode (Patroni), or synchronous_standby_names"
        if not facts.synchronous
        else "check synchronous_standby_names against the node that was promoted"
    )
    return (
        f"{facts.after or 'the new leader'} lacks {facts.missing} of {facts.acknowledged} acknowledged writes (first missing id "
        f"{facts.first_missing}); {setting}"
    )


def _bad(facts: ManagedFacts, criterion: Managed) -> Iterator[str]:
    """Yield what is wrong with the facts of a drill that ended well."""
    within_s, both_s = criterion.within.total_seconds(), criterion.split_brain.total_seconds()
    two_s = _two_s(facts)
    if two_s > both_s:
        first = facts.two_writable[0]
        yield (
            f"{' and '.join(first.nodes)} took writes at the same time for {words_for(two_s)}, limit {words_for(both_s)}, from "
            f"{words_for(max(0.0, first.from_s))} after the fault: fence the old leader (Patroni: a watchdog)"
        )
    if facts.first_write_s is not None and facts.first_write_s > within_s:
        yield f"clients could write only after {words_for(facts.first_write_s)}, limit {words_for(within_s)}"
    if facts.phantom:
        yield f"{facts.after} had {facts.phantom} rows that were never written"
    if facts.anomalies is not None:
        yield from strange(facts.anomalies, "the drill")
    for node, missing in facts.missing_by_node.items():
        if missing > 0:
            yield f"{node} lacks {missing} acknowledged writes after the drill: rebuild it from the leader"
    rejoin_s = criterion.rejoin_within.total_seconds()
    if facts.rejoined_s is not None and facts.rejoined_s > rejoin_s:
        yield f"{facts.before} streamed again only after {words_for(facts.rejoined_s)}, limit {words_for(rejoin_s)}"
    for entry in facts.entries:
        if entry.after_s is None:
            yield f"{entry.name} never led clients to {facts.after}: does it follow the leader?"
        elif entry.after_s > within_s:
            yield f"{entry.name} led clients to {facts.after} only after {words_for(entry.after_s)}, limit {words_for(within_s)}"


def _unproven(facts: ManagedFacts, criterion: Managed) -> str:
    """Return why a drill that lost nothing proves nothing; empty if it does."""
    if not facts.acknowledged or facts.first_write_s is None:
        return "its record proves nothing: no acknowledged write, or no time until clients wrote again"
    if not facts.samples:
        return "its record proves nothing: nobody looked for two nodes that take writes"
    if silent := [node for node, missing in facts.missing_by_node.items() if missing < 0]:
        return f"whether {', '.join(silent)} has all acknowledged writes is unknown: it could not be asked"
    if facts.first_read_s is None:
        return "no client could be seen to read again"
    if facts.fault not in _UNSEEABLE and facts.longest_unseen_s > max(
        _UNSEEN_S, criterion.within.total_seconds()
    ):
        return f"a node was not looked at for {words_for(facts.longest_unseen_s)}, so it may have taken writes unseen"
    if not facts.synchronous and facts.fault != "switchover":
        return (
            f"all {facts.acknowledged} acknowledged writes are there, by luck: commits wait for no replica; set synchronous_mode "
            "(Patroni), or synchronous_standby_names"
        )
    return ""


def _two_s(facts: ManagedFacts) -> float:
    return round(sum(each.to_s - each.from_s for each in facts.two_writable), 3)


def _sentence(facts: ManagedFacts, fault: str) -> str:
    by = f" ({facts.manager}'s commands are by documentation only)" if facts.by_documentation else ""
    moved = f"{facts.after} leads" if facts.after != facts.before else f"{facts.after} went on"
    return (
        f"{fault}: {moved}, all {facts.acknowledged} acknowledged writes are there, clients wrote after "
        f"{words_for(facts.first_write_s or 0.0)}{by}"
    )


def _readings(facts: ManagedFacts, criterion: Managed) -> Iterator[Reading]:
    within_s, both_s = criterion.within.total_seconds(), criterion.split_brain.total_seconds()
    limit = f"at most {words_for(within_s)}"
    yield Reading("led before, after", f"{facts.before}, {facts.after or 'none'}")
    yield Reading("acknowledged writes", facts.acknowledged, "rows", "more than 0", facts.acknowledged > 0)
    yield Reading("missing", facts.missing, "rows", "0", facts.missing == 0)
    yield Reading("indeterminate writes", facts.indeterminate, "rows")
    yield Reading("phantom writes", facts.phantom, "rows", "0", facts.phantom == 0)
    wrote = facts.first_write_s is not None and facts.first_write_s <= within_s
    yield Reading("clients wrote after", facts.first_write_s, "s", limit, wrote)
    yield Reading("clients read after", facts.first_read_s, "s")
    two_s = _two_s(facts)
    yield Reading("two nodes took writes", two_s, "s", f"at most {words_for(both_s)}", two_s <= both_s)
    yield Reading("samples of who takes writes", facts.samples)
    if facts.anomalies is not None:
        yield Reading("reads", facts.anomalies.reads)
        yield from strange_readings(facts.anomalies)
    yield Reading("cluster whole after", facts.rejoined_s, "s")
    yield Reading("leader restored after", facts.restored_s, "s")
