"""The individual judgements of a streaming replica: slot, reply, lag, marker, delay; and of synchronous commit."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pytest_deploygate.checks.replication.facts import PrimaryFacts, ReplicaFacts
from pytest_deploygate.model import Judgement, Reading, Verdict, words_for, words_for_bytes

if TYPE_CHECKING:
    from pytest_deploygate.checks.replication.section import Replication

_WAITING_COMMITS = ("on", "remote_apply", "remote_write")


def slot(facts: ReplicaFacts, criterion: Replication) -> Judgement:
    """Judge its slot: it must exist (if required) and be active, with its WAL safe and bounded."""
    name, one = facts.server.node, facts.slot
    limit = words_for_bytes(criterion.max_slot_wal)
    if one is None:
        if criterion.slots:
            return Judgement(
                Verdict.FAIL,
                f"{name} streams without a replication slot: {facts.upstream} may remove WAL it still needs; set "
                "primary_slot_name on it, or set `slots: false` under `replication`",
                (Reading(f"{name} slot", "none", limit="active", ok=False),),
            )
        return Judgement(Verdict.PASS, "", (Reading(f"{name} slot", "none"),))
    held = words_for_bytes(one.retained_bytes)
    safe = one.active and one.wal_status in ("reserved", "extended")
    readings = (
        Reading(f"{name} slot {one.name}", f"{'active' if one.active else 'inactive'}, {one.wal_status}",
                limit="active, reserved or extended", ok=safe),
        Reading(f"{name} slot retains", one.retained_bytes, "bytes", f"at most {limit}",
                one.retained_bytes <= criterion.max_slot_wal),
    )  # fmt: skip
    if not one.active:
        return Judgement(
            Verdict.FAIL,
            f"slot {one.name} is inactive and holds {held} of WAL while {name} streams without it: set "
            f"primary_slot_name = '{one.name}' on {name}",
            readings,
        )
    if not safe:
        return Judgement(
            Verdict.FAIL,
            f"slot {one.name} of {name} is {one.wal_status}: WAL it needs is removed at the next checkpoint; raise "
            "max_slot_wal_keep_size now, or be ready to rebuild the replica",
            readings,
        )
    if one.retained_bytes > criterion.max_slot_wal:
        return Judgement(
            Verdict.FAIL,
            f"slot {one.name} of {name} holds {held} of WAL, limit {limit}: the replica is too slow; check its disk "
            "and network",
            readings,
        )
    return Judgement(Verdict.PASS, "", readings)


def reply(facts: ReplicaFacts, criterion: Replication) -> Judgement:
    """Judge the age of the receiver's last reply: a frozen receiver counts as streaming, but stays silent."""
    name, standby = facts.server.node, facts.standby
    limit_s = criterion.max_reply_age.total_seconds()
    age = standby.reply_age_s if standby else None
    if age is None and standby and (standby.connected_s or 0) > limit_s:
        age = standby.connected_s
    reading = Reading(f"{name} last reply", _round(age), "s", f"at most {words_for(limit_s)} ago",
                      age <= limit_s if age is not None else None)  # fmt: skip
    if age is None:
        return Judgement(
            Verdict.INCONCLUSIVE, f"{name} has just connected and not replied yet; run again", (reading,)
        )
    if age > limit_s:
        return Judgement(
            Verdict.FAIL,
            f"{name} is shown as streaming, but its receiver last replied {words_for(age)} ago (limit "
            f"{words_for(limit_s)}): the process hangs or the network is cut; restart the replica",
            (reading,),
        )
    return Judgement(Verdict.PASS, "", (reading,))


def apply_delay(facts: ReplicaFacts) -> Judgement:
    """Judge that nothing delays replay except what the inventory declares."""
    name, server = facts.server.node, facts.server
    declared, actual = facts.declared_delay or timedelta(0), server.apply_delay
    if not server.answered:
        return Judgement(Verdict.PASS, "")
    readings = (
        Reading(f"{name} apply delay", actual.total_seconds(), "s", words_for(declared), actual == declared),
        Reading(f"{name} replay paused", server.replay_paused, limit="no", ok=not server.replay_paused),
    )
    if server.replay_paused:
        return Judgement(
            Verdict.FAIL,
            f"replay is paused on {name}: run SELECT pg_wal_replay_resume() on it (a promotion would end the pause)",
            readings,
        )
    if actual == declared:
        return Judgement(Verdict.PASS, "", readings)
    if not declared:
        return Judgement(
            Verdict.FAIL,
            f"{name} applies everything {words_for(actual)} late (recovery_min_apply_delay), which the inventory does "
            f"not declare: set it to 0, or declare `delayed: {int(actual.total_seconds())}s` on the node",
            readings,
        )
    return Judgement(
        Verdict.FAIL,
        f"{name} is declared delayed by {words_for(declared)} but its recovery_min_apply_delay is {words_for(actual)}: "
        "it is not the safety net it is meant to be",
        readings,
    )


def _in_time(facts: ReplicaFacts, seconds: float, limit_s: float, *, late: bool) -> bool | None:
    """Tell whether it had the position in time; None if the watch ended before the limit."""
    if not late:
        return seconds <= limit_s
    over = facts.watch.waited_s >= limit_s or facts.server.replay_paused
    return False if over and not facts.watch.problem else None


def lag(facts: ReplicaFacts, criterion: Replication) -> Judgement:
    """Judge how far behind it is: bytes after the watch, seconds until it had the primary's position."""
    name, watch = facts.server.node, facts.watch
    limit, limit_s = criterion.max_lag, criterion.max_lag_time.total_seconds()
    what = "received" if facts.declared_delay else "replayed"
    behind = watch.behind_bytes
    seconds = watch.caught_up_s if watch.caught_up_s is not None else watch.waited_s
    late = watch.caught_up_s is None
    # If the marker row did not arrive, its own judgement names the cause.
    cause = (
        _cause(facts) if watch.marker_s is not None or facts.marker_problem or facts.declared_delay else ""
    )
    readings = (
        Reading(f"{name} lag", behind, "bytes", f"at most {words_for_bytes(limit)}",
                behind <= limit if behind is not None else None),
        Reading(f"{name} lag time", f"over {seconds:.3g}" if late else round(seconds, 3), "s",
                f"at most {words_for(limit_s)}", _in_time(facts, seconds, limit_s, late=late)),
    )  # fmt: skip
    if watch.problem or behind is None:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"the lag of {name} is unknown: {watch.problem or 'the primary returned no position'}", readings,
        )  # fmt: skip
    if behind > limit:
        return Judgement(
            Verdict.FAIL,
            f"{name} is {words_for_bytes(behind)} behind, limit {words_for_bytes(limit)}{cause}", readings,
        )  # fmt: skip
    if late and (watch.waited_s >= limit_s or facts.server.replay_paused):
        return Judgement(
            Verdict.FAIL,
            f"{name} had not {what} the primary's position after {words_for(watch.waited_s)} (limit "
            f"{words_for(limit_s)}), {words_for_bytes(behind)} missing{cause}",
            readings,
        )
    if late:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"{name} had not {what} the primary's position after {words_for(watch.waited_s)}, when the gate stopped "
            f"waiting; the limit is {words_for(limit_s)}{cause}",
            readings,
        )
    if seconds > limit_s:
        return Judgement(
            Verdict.FAIL,
            f"{name} is {words_for(seconds)} behind, limit {words_for(limit_s)}{cause}", readings,
        )  # fmt: skip
    return Judgement(Verdict.PASS, f"{behind} bytes behind", readings)


def marker(facts: ReplicaFacts, criterion: Replication) -> Judgement:
    """Judge the marker row, written on the primary, read on the replica: the only proof that it replicates."""
    name, watch = facts.server.node, facts.watch
    limit_s = criterion.marker_within.total_seconds()
    if facts.marker_problem or watch.problem:
        return Judgement(
            Verdict.INCONCLUSIVE, f"no marker row for {name}: {facts.marker_problem or watch.problem}"
        )
    if facts.declared_delay:
        note = f"{name} is delayed on purpose: it received the marker's WAL, which is applied {words_for(facts.declared_delay)} later"
        return Judgement(
            Verdict.PASS, "", (Reading(f"{name} marker row", "received, not applied yet"),), (note,)
        )
    seconds = watch.marker_s
    reading = Reading(f"{name} marker row read after", _round(seconds), "s", f"at most {words_for(limit_s)}",
                      seconds is not None and seconds <= limit_s)  # fmt: skip
    if seconds is None:
        return Judgement(
            Verdict.FAIL,
            f"the marker row written on {facts.primary.node} was not on {name} after {words_for(watch.waited_s)} (limit "
            f"{words_for(limit_s)}){_cause(facts)}",
            (reading,),
        )
    if seconds > limit_s:
        return Judgement(
            Verdict.FAIL,
            f"the marker row written on {facts.primary.node} took {words_for(seconds)} to {name}, limit "
            f"{words_for(limit_s)}{_cause(facts)}",
            (reading,),
        )
    return Judgement(Verdict.PASS, f"marker row read after {seconds * 1000:.0f} ms", (reading,))


def synchronous(facts: PrimaryFacts, criterion: Replication) -> Judgement:
    """Judge whether commits wait for a replica as the inventory states; if it states nothing, only report it."""
    server = facts.primary
    partners = [s.application for s in facts.standbys if s.sync_state in ("sync", "quorum")]
    asked = bool(server.synchronous_standby_names) and server.synchronous_commit in _WAITING_COMMITS
    words = (
        f"synchronous_standby_names '{server.synchronous_standby_names}', synchronous_commit "
        f"{server.synchronous_commit}, {len(partners)} synchronous now"
    )
    wanted = criterion.synchronous
    limit = "" if wanted is None else "commits wait for a replica" if wanted else "commits do not wait"
    ok = None if wanted is None else asked is wanted and (not wanted or bool(partners))
    if asked and not partners:
        limit, ok = limit or "a replica to wait for is connected", False
    readings = (Reading("synchronous commit", words, limit=limit, ok=ok),)
    if wanted and not asked:
        return Judgement(
            Verdict.FAIL,
            f"commits on {server.node} do not wait for a replica ({words}), but the inventory sets `synchronous: true`: "
            "a crash of the primary loses acknowledged writes; set synchronous_standby_names and reload, or correct the "
            "inventory",
            readings,
        )
    if asked and not partners:
        reason = (
            f"commits on {server.node} wait for a replica that is not connected: {words}; writes hang until one of them "
            "streams again"
        )
        return Judgement(Verdict.FAIL, reason, readings)
    if wanted is False and asked:
        return Judgement(
            Verdict.FAIL,
            f"commits on {server.node} wait for a replica ({words}), but the inventory sets `synchronous: false`",
            readings,
        )
    return Judgement(Verdict.PASS, "", readings)


def _cause(facts: ReplicaFacts) -> str:
    """Return what most likely delays the replica, with the next step."""
    standby, watch = facts.standby, facts.watch
    if facts.server.replay_paused:
        return ": its replay is paused"
    if facts.server.apply_delay and not facts.declared_delay:
        return ": it applies late on purpose (recovery_min_apply_delay)"
    age = standby.reply_age_s if standby else None
    if age is not None and watch.waited_s > 1 and age >= 0.9 * watch.waited_s:
        return (
            f": its WAL receiver has not replied for {words_for(age)} though it counts as streaming, so the process "
            "is frozen or the network is cut; restart the replica"
        )
    if watch.unreplayed_bytes:
        return (
            f": it received the WAL but has {words_for_bytes(watch.unreplayed_bytes)} left to replay; look for a "
            "long conflicting query, or a slow disk"
        )
    return ": check its log and the network to it"


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
