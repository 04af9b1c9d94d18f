"""Judge streaming replication: the cluster as a whole (`judge_cluster`) and each replica (`judge_replica`)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_deploygate.checks.replication.facts import PrimaryFacts, ReplicaFacts, Server, Slot, Standby
from pytest_deploygate.checks.replication.judge.replica import (
    apply_delay,
    lag,
    marker,
    reply,
    slot,
    synchronous,
)
from pytest_deploygate.judging.own_lag import excused
from pytest_deploygate.model import Judgement, Reading, Verdict, combine, words_for, words_for_bytes

if TYPE_CHECKING:
    from pytest_deploygate.checks.replication.section import Replication

_GRANT = "GRANT pg_monitor TO the gate's role"
#: By the source of a setting, how it is taken back.
_RESETS = {
    "database": "ALTER DATABASE … RESET",
    "global": "ALTER ROLE ALL RESET default_transaction_read_only",
}


def judge_cluster(measurement: PrimaryFacts, criterion: Replication) -> Judgement:
    """Pass if exactly one node takes writes, no unused slot holds WAL, and commits wait as required."""
    roles = _one_primary(measurement)
    if roles.verdict is not Verdict.PASS:
        return roles
    if measurement.problem:
        return combine([roles, Judgement(Verdict.INCONCLUSIVE, measurement.problem)])
    parts = [
        roles,
        _read_only(measurement),
        *(_foreign_slot(one, measurement, criterion) for one in measurement.slots),
        _slot_limit(measurement, criterion),
        synchronous(measurement, criterion),
    ]
    folded = combine(parts)
    notes = folded.notes + tuple(_extra(standby) for standby in measurement.extra)
    if measurement.marker_table:
        notes += (f"left behind: the table {measurement.marker_table}, without rows, for the next run",)
    reason = folded.reason if folded.verdict is not Verdict.PASS else roles.reason
    return Judgement(folded.verdict, reason, folded.readings, notes)


def _read_only(facts: PrimaryFacts) -> Judgement:
    by, hidden, roles = facts.read_only_by, facts.read_only_hidden, facts.read_only_roles
    name = "default_transaction_read_only"
    reading = Reading(name, f"on ({by})" if by else "off", limit="off", ok=not by)
    if hidden:
        reading = Reading(name, "hidden by that of the gate's role")
    notes: tuple[str, ...] = (
        (f"default_transaction_read_only is on for {', '.join(roles)}, which cannot write",) if roles else ()
    )
    if hidden:
        notes += (
            "the gate's role has a default_transaction_read_only of its own, which hides that of the server: ALTER ROLE … "
            "RESET it; the gate reads in read-only transactions anyway",
        )
    if not by:
        return Judgement(Verdict.PASS, "", (reading,), notes)
    step = _RESETS.get(by, "ALTER SYSTEM RESET or correct postgresql.conf, then reload")
    return Judgement(
        Verdict.FAIL,
        f"{facts.primary.node} is the primary, but default_transaction_read_only is on (by {by}): users cannot write; {step}",
        (reading,),
        notes,
    )


def _one_primary(facts: PrimaryFacts) -> Judgement:
    nodes = (facts.primary, *facts.replicas)
    writable = [server.node for server in nodes if server.writable]
    silent = [server for server in nodes if not server.answered]
    readings = (
        Reading("writable nodes", ", ".join(writable) or "none", limit=facts.primary.node,
                ok=_as_declared(facts, writable, silent)),
    )  # fmt: skip
    name = facts.primary.node
    if len(writable) > 1:
        return Judgement(
            Verdict.FAIL,
            f"{len(writable)} nodes take writes: {' and '.join(writable)} (only {name} may): fence all but one at "
            "once, compare their data, then rebuild the others from it",
            readings,
        )
    if facts.primary.answered and facts.primary.in_recovery:
        other = f"{writable[0]} takes writes instead" if writable else "no node that answers takes writes"
        return Judgement(
            Verdict.FAIL,
            f"{name}, the primary of the inventory, is in recovery; {other}: promote {name} or correct the inventory",
            readings,
        )
    if writable and writable != [name]:
        return Judgement(
            Verdict.FAIL,
            f"{writable[0]} takes writes, but the inventory's primary is {name}, which does not answer "
            f"({facts.primary.problem}): keep {name} from coming back as a second primary, and correct the inventory",
            readings,
        )
    if not facts.primary.answered:
        if facts.primary.ours:
            return Judgement(
                Verdict.INCONCLUSIVE,
                f"whether {name} takes writes is unknown: {facts.primary.problem}",
                readings,
            )
        orphans = [s.node for s in facts.replicas if s.answered and not s.receiver]
        if orphans and len(orphans) == len([s for s in facts.replicas if s.answered]):
            return Judgement(
                Verdict.FAIL,
                f"no node takes writes: the primary {name} does not answer and {', '.join(orphans)} receive nothing "
                f"from it: start {name} or fail over ({facts.primary.problem})",
                readings,
            )
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"the primary cannot be queried, though replicas still receive from it: {facts.primary.problem}",
            readings,
        )
    if silent:
        # A node that cannot be queried might take writes; whether it must answer is judged with the replica.
        unknown = [s for s in silent if s.node not in facts.streaming]
        if unknown:
            names = ", ".join(s.node for s in unknown)
            return Judgement(
                Verdict.INCONCLUSIVE,
                f"{name} takes writes; whether {names} does too is unknown, because it cannot be queried: "
                + "; ".join(s.problem for s in unknown),
                readings,
            )
    return Judgement(Verdict.PASS, f"{name} is the only node that takes writes", readings)


def _as_declared(facts: PrimaryFacts, writable: list[str], silent: list[Server]) -> bool | None:
    """Tell whether the primary alone takes writes; None if a node that might take them cannot be asked."""
    if writable and writable != [facts.primary.node]:
        return False
    if facts.primary.answered and facts.primary.in_recovery:
        return False
    orphans = [server for server in facts.replicas if server.answered and not server.receiver]
    if not facts.primary.answered and orphans and all(not s.answered or s in orphans for s in facts.replicas):
        return False
    unknown = [server for server in silent if server.node not in facts.streaming]
    return None if unknown or not facts.primary.answered else writable == [facts.primary.node]


def _foreign_slot(one: Slot, facts: PrimaryFacts, criterion: Replication) -> Judgement:
    """Judge a slot that belongs to no expected replica: it still holds WAL."""
    held, limit = words_for_bytes(one.retained_bytes), words_for_bytes(criterion.max_slot_wal)
    at = facts.primary.node
    reading = Reading(f"slot {one.name} retains", held, limit=f"active, at most {limit}",
                      ok=one.active and one.retained_bytes <= criterion.max_slot_wal)  # fmt: skip
    drop = f"SELECT pg_drop_replication_slot('{one.name}')"
    # A lost slot holds nothing any more, and one that was never used has no status.
    if not one.reserves and one.wal_status not in ("lost", "unreserved"):
        return Judgement(
            Verdict.PASS, "", (), (f"slot {one.name} on {at} belongs to no replica and holds nothing yet",)
        )
    if one.wal_status not in ("reserved", "extended"):
        return Judgement(
            Verdict.FAIL,
            f"slot {one.name} on {at} is {one.wal_status}: its WAL was or will be removed; its consumer must be rebuilt, "
            f"or drop it: {drop}",
            (reading,),
        )
    if not one.active:
        return Judgement(
            Verdict.FAIL,
            f"slot {one.name} on {at} is inactive and holds {held} of WAL, which grows until the disk is full: "
            f"start its consumer or drop it: {drop}",
            (reading,),
        )
    if one.retained_bytes > criterion.max_slot_wal:
        return Judgement(
            Verdict.FAIL,
            f"slot {one.name} on {at} holds {held} of WAL, limit {limit}: its consumer is too slow or stuck",
            (reading,),
        )
    return Judgement(Verdict.PASS, "", (reading,))


def _slot_limit(facts: PrimaryFacts, criterion: Replication) -> Judgement:
    limit_mb = facts.primary.slot_wal_limit_mb
    used = criterion.slots or facts.slots or any(s.slot for s in facts.standbys)
    words = "unlimited" if limit_mb < 0 else words_for_bytes(limit_mb * 1024**2)
    reading = Reading(
        "max_slot_wal_keep_size", words, limit="not -1" if used else "", ok=limit_mb >= 0 if used else None
    )
    if limit_mb < 0 and used:
        return Judgement(
            Verdict.FAIL,
            f"max_slot_wal_keep_size is -1 on {facts.primary.node}: a replica that stops makes its slot fill the "
            "disk; set it to what the disk can spare and reload",
            (reading,),
        )
    return Judgement(Verdict.PASS, "", (reading,))


def _extra(standby: Standby) -> str:
    return (
        f"a standby that the inventory does not name is streaming: {standby.application or 'no name'} from "
        f"{standby.address or 'a local socket'}, {standby.state or 'state hidden'}"
    )


def judge_replica(measurement: ReplicaFacts, criterion: Replication) -> Judgement:
    """Pass if the replica streams from its upstream and the marker row was read on it, all within bounds.

    Only the first cause is reported: the lag of a replica that does not stream at all is of no interest.
    """
    broken = _broken(measurement)
    if broken:
        return broken
    parts = [
        _streams(measurement),
        apply_delay(measurement),
        slot(measurement, criterion),
        reply(measurement, criterion),
    ]
    if measurement.server.answered:
        watch, within = measurement.watch, criterion.marker_within.total_seconds()
        # What never arrived was waited for without our own delay already.
        held = [
            excused(
                lag(measurement, criterion),
                watch.lag,
                watch.caught_up_s,
                criterion.max_lag_time.total_seconds(),
            ),
            excused(marker(measurement, criterion), watch.lag, watch.marker_s, within),
        ]
        if Verdict.FAIL in (parts[1].verdict, parts[3].verdict):
            # Paused or delayed replay or a silent receiver is the cause; its effects are shown as readings only.
            held = [replace(part, reason="") for part in held]
        parts += held
    else:
        parts.append(
            Judgement(
                Verdict.INCONCLUSIVE,
                f"{measurement.server.node} streams, but cannot be queried for the marker row: {measurement.server.problem}",
            )
        )
    folded = combine(parts)
    if folded.verdict is not Verdict.PASS:
        return folded
    return Judgement(
        Verdict.PASS, "; ".join(p.reason for p in parts if p.reason), folded.readings, folded.notes
    )


def _broken(facts: ReplicaFacts) -> Judgement | None:
    """Return why there is no replication to measure, or None."""
    server, primary, name = facts.server, facts.primary, facts.server.node

    def fail(reason: str, value: str, limit: str) -> Judgement:
        return Judgement(Verdict.FAIL, reason, (Reading(name, value, limit=limit, ok=False),))

    if server.answered and primary.answered and server.system_identifier != primary.system_identifier:
        return fail(
            f"{name} belongs to another cluster: system identifier {server.system_identifier}, {primary.node} has "
            f"{primary.system_identifier}: rebuild it from {primary.node}, or correct the inventory",
            f"system identifier {server.system_identifier}", primary.system_identifier,
        )  # fmt: skip
    if server.writable:
        return fail(
            f"{name} is not a replica: it is not in recovery and takes writes of its own (a second primary): fence it, "
            f"then rebuild it from {primary.node}", "takes writes", "in recovery",
        )  # fmt: skip
    if facts.standby:
        return None
    if facts.upstream_problem:
        if server.answered and not server.receiver:
            return fail(
                f"{name} receives nothing and its upstream {facts.upstream} cannot be queried: {facts.upstream_problem}",
                "no WAL receiver", "streaming",
            )  # fmt: skip
        unknown = f"whether {name} streams is unknown: {facts.upstream_problem}"
        return Judgement(Verdict.INCONCLUSIVE, unknown if server.answered else f"{unknown}; {server.problem}")
    held = (
        f"; slot {facts.slot.name} holds {words_for_bytes(facts.slot.retained_bytes)} for it"
        if facts.slot
        else ""
    )
    lost = facts.slot is not None and facts.slot.wal_status not in ("reserved", "extended")
    if lost and facts.slot:
        held = f"; its slot is {facts.slot.wal_status}: WAL it needs was removed, so it must be rebuilt"
    if not server.answered and server.ours:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"whether {name} streams is unknown: no row of pg_stat_replication on {facts.upstream} has its name, and "
            f"{server.problem}{held}",
        )
    if not server.answered:
        return fail(
            f"{name} is down: it is not in pg_stat_replication of {facts.upstream}, and {server.problem}{held}", "not streaming, not reachable", f"streaming from {facts.upstream}",
        )  # fmt: skip
    if not facts.server.receiver:
        return fail(
            f"{name} is up but receives nothing: it has no WAL receiver and is not in pg_stat_replication of "
            f"{facts.upstream}: see its log for why it cannot connect{held}",
            "no WAL receiver", f"streaming from {facts.upstream}",
        )  # fmt: skip
    if not primary.sees_all:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"{name} has a WAL receiver ({server.receiver}) but no node of the inventory sends to it: pg_stat_replication is "
            f"hidden from us; {_GRANT}",
        )
    return fail(
        f"{name} has a WAL receiver ({server.receiver}) but no node of the inventory sends to it: {_follows(facts)}{held}",
        f"receives from {server.sender or 'an unknown server'}", f"streaming from {facts.upstream}",
    )  # fmt: skip


def _follows(facts: ReplicaFacts) -> str:
    """Say what the replica itself says of its sender, and what to do about it."""
    server, upstream = facts.server, facts.upstream
    heard = f", last heard of {words_for(server.heard_s)} ago" if server.heard_s is not None else ""
    told = [f"pg_stat_wal_receiver names {server.sender}{heard}"] if server.sender else []
    told += [f"primary_conninfo names {server.conninfo}"] if server.conninfo else []
    said = " and ".join(told) or f"where it receives from is hidden from us ({_GRANT})"
    if facts.follows == upstream:
        return (
            f"{said}, which is {upstream}: {upstream} has given the connection up (wal_sender_timeout), so the receiver hangs "
            f"or the network is cut; restart {server.node}"
        )
    if facts.follows:
        return f"{said}, which is {facts.follows}, not {upstream}: change its primary_conninfo, then restart its receiver"
    if not told:
        return f"{said}: see its primary_conninfo; point it at {upstream}, or restart it if it is"
    return f"{said}, which the inventory does not name: point it at {upstream}, or correct the inventory"


def _streams(facts: ReplicaFacts) -> Judgement:
    name, standby, server = facts.server.node, facts.standby, facts.server
    if standby is None:
        return Judgement(Verdict.INCONCLUSIVE, f"{name} was not found in pg_stat_replication")
    readings = [Reading(f"{name} state", f"{standby.state} from {facts.seen_on}", limit=f"streaming from {facts.upstream}",
                        ok=standby.state == "streaming" and facts.seen_on == facts.upstream),
                Reading(f"{name} sync state", standby.sync_state)]  # fmt: skip
    if not standby.state:
        return Judgement(Verdict.INCONCLUSIVE, f"{name}: its state is hidden from the gate's role; {_GRANT}")
    if standby.state != "streaming":
        return Judgement(
            Verdict.FAIL,
            f"{name} is in state {standby.state}, not streaming: it is still catching up, or its receiver keeps "
            "restarting; see its log",
            tuple(readings),
        )
    if facts.seen_on != facts.upstream:
        return Judgement(
            Verdict.FAIL,
            f"{name} streams from {facts.seen_on}, not from {facts.upstream}: change its primary_conninfo, or "
            f"declare `upstream: {facts.seen_on}` in the inventory",
            tuple(readings),
        )
    if server.answered and facts.primary.answered:
        readings.append(Reading(f"{name} timeline", server.timeline, limit=str(facts.primary.timeline),
                                ok=server.timeline == facts.primary.timeline))  # fmt: skip
        if server.timeline != facts.primary.timeline:
            return Judgement(
                Verdict.FAIL,
                f"{name} is on timeline {server.timeline}, {facts.primary.node} on {facts.primary.timeline}: it did "
                "not follow a failover; see its log, pg_rewind or rebuild it",
                tuple(readings),
            )
    return Judgement(Verdict.PASS, f"{name} streams from {facts.upstream}", tuple(readings))
