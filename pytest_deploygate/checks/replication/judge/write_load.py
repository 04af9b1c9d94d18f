"""Judge a replica under write load: its lag during the load, and that it has every acknowledged write afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_deploygate.checks.replication.facts import LoadFacts, ReplicaUnderLoad
from pytest_deploygate.model import Judgement, Reading, Verdict, words_for, words_for_bytes

if TYPE_CHECKING:
    from pytest_deploygate.checks.replication.section import Replication

_PAUSED = "its replay is paused: run SELECT pg_wal_replay_resume() on it, and find out who paused it"


def judge_write_load(measurement: ReplicaUnderLoad, criterion: Replication) -> Judgement:
    """Pass if the replica stayed within the lag bound and had every acknowledged id in time."""
    load, name = measurement.load, measurement.node
    readings = _readings(measurement, criterion)

    def verdict(what: Verdict, reason: str, notes: tuple[str, ...] = ()) -> Judgement:
        return Judgement(what, reason, readings, notes)

    if load.hung:
        return verdict(Verdict.FAIL, _hung(load))
    if load.missing_on_primary:
        return verdict(
            Verdict.FAIL,
            f"the primary itself lost {load.missing_on_primary} of {load.acknowledged} acknowledged writes: stop, and "
            "check its log and disk",
        )
    if measurement.problem:
        return verdict(Verdict.INCONCLUSIVE, f"{name} could not be watched: {measurement.problem}")
    if not load.acknowledged:
        return verdict(
            Verdict.INCONCLUSIVE,
            f"no write was acknowledged, so there is nothing to look for: {load.problem or 'no row was due in that time'}",
        )
    if measurement.missing:
        return verdict(Verdict.FAIL, _missing(measurement, criterion))
    if measurement.drained_s is None:
        return verdict(
            Verdict.FAIL,
            f"{name} had not caught up {words_for(measurement.waited_s)} after the load (limit "
            f"{words_for(criterion.max_lag_time)}): "
            + (
                _PAUSED
                if measurement.paused
                else "its replay is too slow or stopped; see the replica's own finding"
            ),
        )
    if measurement.drained_s > criterion.max_lag_time.total_seconds():
        return verdict(
            Verdict.FAIL,
            f"{name} had all writes only {words_for(measurement.drained_s)} after the load, limit "
            f"{words_for(criterion.max_lag_time)}: its replay is too slow",
        )
    if measurement.phantom:
        return verdict(
            Verdict.FAIL,
            f"{name} has {measurement.phantom} rows of this run that were never written: it is not a copy of the primary",
        )
    if measurement.lag_bytes_max is not None and measurement.lag_bytes_max > criterion.max_lag:
        return verdict(
            Verdict.FAIL,
            f"{name} fell {words_for_bytes(measurement.lag_bytes_max)} behind under load, limit "
            f"{words_for_bytes(criterion.max_lag)} ({load.acknowledged} rows in {words_for(load.lasted_s)}): its disk "
            "or network is too slow",
        )
    if load.problem:
        return verdict(Verdict.INCONCLUSIVE, f"the load ended early: {load.problem}")
    if measurement.lag_bytes_max is None:
        return verdict(
            Verdict.INCONCLUSIVE,
            f"the lag of {name} was never sampled during the load ({words_for(load.lasted_s)}); make "
            "`load.duration` longer",
        )
    notes = (
        ()
        if measurement.ids_read
        else (f"{name} is delayed on purpose: it received all WAL; its rows were not read",)
    )
    has = f"all {load.acknowledged} acknowledged writes" if measurement.ids_read else "the WAL of all writes"
    return verdict(
        Verdict.PASS, f"{name} has {has}, {measurement.drained_s * 1000:.0f} ms after the load", notes
    )


def _hung(load: LoadFacts) -> str:
    waits = (
        f": synchronous_standby_names is '{load.synchronous_standby_names}' and too few of those replicas are "
        "streaming; start them, or writes stay blocked"
        if load.synchronous_standby_names
        else ": check locks and I/O on the primary"
    )
    return (
        f"a commit did not return within {words_for(load.commit_bound_s)} and was cancelled after "
        f"{load.acknowledged} acknowledged writes{waits}"
    )


def _missing(measurement: ReplicaUnderLoad, criterion: Replication) -> str:
    name, first = measurement.node, measurement.first_missing[0] if measurement.first_missing else "?"
    skipped = measurement.drained_s is None and measurement.missing < measurement.load.acknowledged
    return (
        f"{name} lacks {measurement.missing} of {measurement.load.acknowledged} acknowledged writes (first missing id "
        f"{first}) {words_for(measurement.waited_s)} after the load, limit {words_for(criterion.max_lag_time)}: "
        + (
            _PAUSED
            if measurement.paused
            else "it skipped rows or is far behind; compare it with the primary, and rebuild it if it does not catch up"
            if skipped
            else "none of them arrived; see the replica's own finding"
        )
    )


def _readings(m: ReplicaUnderLoad, criterion: Replication) -> tuple[Reading, ...]:
    load, limit_s = m.load, criterion.max_lag_time.total_seconds()
    lag, drained = m.lag_bytes_max, m.drained_s
    known = not m.problem
    return (
        Reading("acknowledged writes", load.acknowledged, "rows"),
        Reading("indeterminate writes", load.indeterminate, "rows"),
        Reading("refused writes", load.refused, "rows"),
        Reading("missing on the primary itself", load.missing_on_primary, "rows", "0", not load.missing_on_primary),
        Reading(f"load lasted, of {words_for(load.planned_s)} planned", round(load.lasted_s, 2), "s"),
        Reading("slowest commit", round(load.slowest_commit_s * 1000, 1), "ms",
                f"at most {words_for(load.commit_bound_s)}", not load.hung),
        Reading(f"{m.node} missing", m.missing if m.ids_read else None, "rows", "0",
                m.missing == 0 if m.ids_read and known else None),
        Reading(f"{m.node} phantom", m.phantom if m.ids_read else None, "rows", "0",
                m.phantom == 0 if m.ids_read and known else None),
        Reading(f"{m.node} lag under load", lag, "bytes", f"at most {words_for_bytes(criterion.max_lag)}",
                lag <= criterion.max_lag if lag is not None else None),
        Reading(f"{m.node} complete after", None if drained is None else round(drained, 3), "s",
                f"at most {words_for(limit_s)}", drained is not None and drained <= limit_s if known else None),
    )  # fmt: skip
