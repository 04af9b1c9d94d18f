"""Judge connection pooling: the arithmetic of all pools, each pooler's mode and queue, and the pressure test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_deploygate.checks.pooling.facts import Capacity, PoolerFacts, PressureFacts
from pytest_deploygate.drills.judging import counted, rerun, when
from pytest_deploygate.drills.record import Evidence, Record
from pytest_deploygate.model import Judgement, Reading, Verdict, combine, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.pooling.section import Pooler, Pooling, Pressure

__all__ = ["judge_capacity", "judge_pooler", "judge_pressure"]

_STATS_USERS = "name the gate's role in `stats_users` of pgbouncer.ini and RELOAD"


def judge_capacity(found: Capacity, expected: Pooling) -> Judgement:
    """Pass when all pools and direct connections fit within the server's limit, less the reserve."""
    unknown = [p for p in found.poolers if p.problem]
    if unknown:
        names = "; ".join(f"{p.name}: {p.problem}" for p in unknown)
        return Judgement(Verdict.INCONCLUSIVE, f"how large the pools may grow is unknown: {names}")
    if not found.poolers or found.max_connections <= 0:
        return Judgement(
            Verdict.INCONCLUSIVE, f"{found.node} reports no max_connections, or there is no pooler"
        )
    usable = found.max_connections - found.reserved - expected.reserve
    each = [
        (name, most)
        for p in found.poolers
        for name, most in ((p.name, p.most), *((f"{p.name}'s {n}", m) for n, m in p.others))
    ]
    asked = sum(most for _, most in each) + expected.direct
    terms = " + ".join(f"{name} {most}" for name, most in each) + f" + direct {expected.direct}"
    sum_words = (
        f"{terms} = {asked} of {usable} ({found.max_connections} max_connections - {found.reserved} reserved for "
        f"superusers - {expected.reserve} reserve) on {found.node}"
    )
    readings = (
        Reading("connections that may be opened", asked, limit=f"at most {usable}", ok=asked <= usable),
        Reading("client connections now", found.in_use),
    )
    if asked > usable:
        return Judgement(
            Verdict.FAIL,
            f"the pools may open more connections than the server accepts: {sum_words}: under load clients get 'too many clients'; "
            "lower default_pool_size or set max_db_connections",
            readings,
        )
    return Judgement(Verdict.PASS, sum_words, readings)


def judge_pooler(found: PoolerFacts, expected: Pooler) -> Judgement:
    """Pass when the pooler answers, pools in the expected mode, and nobody waits for a connection."""
    if found.refused:
        return Judgement(
            Verdict.FAIL,
            f"{found.name} is down: {expected.host}:{expected.port} refuses connections, though the server behind it "
            "answers from here; start it: clients cannot reach the database through it",
            (Reading(found.name, "refuses connections", limit="answers", ok=False),),
        )
    if found.problem:
        why = found.problem.lower()
        hint = f"; {_STATS_USERS}" if "not allowed" in why or "admin" in why or "permission" in why else ""
        return Judgement(
            Verdict.INCONCLUSIVE, f"{found.name}'s console could not be queried: {found.problem}{hint}"
        )
    return combine(
        [_behind(found), _mode(found, expected), *_waiting(found, expected), _roles(found, expected)]
    )


def _behind(found: PoolerFacts) -> Judgement:
    if found.behind_problem:
        # A pause or a refusal, which is often the reason, is judged by itself.
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"whether {found.name} leads to the primary is unknown: {found.behind_problem}",
            (Reading(f"{found.name} leads to", None, limit="primary", ok=False),),
        )
    if not found.behind:
        return Judgement(Verdict.PASS, "")
    reading = Reading(f"{found.name} leads to", found.behind, limit="primary", ok=found.behind == "primary")
    if found.behind != "primary":
        what = "a replica, where nothing can be written" if found.behind == "replica" else "another cluster"
        return Judgement(
            Verdict.FAIL,
            f"{found.name} leads to {what}: point its database at the primary and RELOAD",
            (reading,),
        )
    return Judgement(Verdict.PASS, "", (reading,))


def _mode(found: PoolerFacts, expected: Pooler) -> Judgement:
    odd = {
        role: mode for role, mode in found.modes if mode != expected.mode and role not in expected.other_mode
    }
    ok = found.mode == expected.mode and not odd
    shown = ", ".join([found.mode, *(f"{mode} for {role}" for role, mode in odd.items())])
    reading = Reading(f"{found.name} pool mode", shown, limit=expected.mode, ok=ok)
    if found.paused or found.disabled:
        what = "paused (RESUME it)" if found.paused else "disabled (ENABLE it)"
        state = Reading(f"{found.name} database", what.partition(" ")[0], limit="enabled", ok=False)
        return Judgement(
            Verdict.FAIL,
            f"{found.name}: the database is {what}: clients wait or are refused",
            (state, reading),
        )
    if found.mode != expected.mode:
        return Judgement(
            Verdict.FAIL,
            f"{found.name} uses {found.mode} pooling, expected {expected.mode}: set pool_mode and RELOAD",
            (reading,),
        )
    if odd:
        roles = ", ".join(f"{role} ({mode})" for role, mode in odd.items())
        return Judgement(
            Verdict.FAIL,
            f"{found.name} pools in another mode for {roles}, expected {expected.mode}: remove pool_mode from [users] and "
            "RELOAD, or name them in `other_mode`",
            (reading,),
        )
    return Judgement(Verdict.PASS, f"{found.name}: {found.mode} mode, nobody waits", (reading,))


def _waiting(found: PoolerFacts, expected: Pooler) -> list[Judgement]:
    limit_s = expected.max_wait.total_seconds()
    late = [pool for pool in found.pools if pool.clients_waiting and pool.max_wait_s > limit_s]
    reading = Reading(
        f"{found.name} clients waiting", sum(p.clients_waiting for p in found.pools),
        limit=f"none for over {words_for(limit_s)}", ok=not late,
    )  # fmt: skip
    if not late:
        return [Judgement(Verdict.PASS, "", (reading,))]
    worst = max(late, key=lambda pool: pool.max_wait_s)
    return [
        Judgement(
            Verdict.FAIL,
            f"{found.name}: {worst.clients_waiting} clients of {worst.user} wait for a connection to {worst.database}, "
            f"the longest for {words_for(worst.max_wait_s)} (limit {words_for(limit_s)}): the pool of {found.size} is "
            "too small, or statements hold it too long",
            (reading,),
        )
    ]


def _roles(found: PoolerFacts, expected: Pooler) -> Judgement:
    notes: tuple[str, ...] = ()
    if len(found.roles_seen) > expected.roles:
        notes = (
            f"{found.name} has pools for {len(found.roles_seen)} roles ({', '.join(found.roles_seen)}), the inventory "
            f"expects {expected.roles}: the calculation uses {len(found.roles_seen)}",
        )
    return Judgement(
        Verdict.PASS, "", (Reading(f"{found.name} largest demand", found.most, "connections"),), notes
    )


def judge_pressure(found: Evidence[PressureFacts], expected: Pressure) -> Judgement:
    """Pass when more clients than the server takes all got their answers in time over fewer connections."""
    if ours := _ours(found, expected):
        return ours
    again = f"{rerun(found.environment)}, or set `opt_in: {found.environment or 'INVENTORY'}`"
    test = counted(
        found,
        expected.max_age,
        "pressure test",
        again,
        readings=lambda record: _pressure_readings(record.facts, expected),
        failure=_unanswered,
    )
    if isinstance(test, Judgement):
        return replace(test, confirmed=test.verdict is Verdict.FAIL)
    facts, readings, limit = test.record.facts, test.readings, expected.answer_within
    if facts.clients <= facts.max_connections:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"{facts.clients} clients do not exceed the server's {facts.max_connections} connections, so the test put no "
            "pressure on the pooler: raise `clients` and `cap`",
            readings,
        )
    if facts.answers < facts.clients:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"only {facts.answers} answers arrived for {facts.clients} clients",
            readings,
        )
    if facts.slowest_s > limit.total_seconds():
        return Judgement(
            Verdict.FAIL,
            f"{facts.clients} clients through {facts.pooler}: the slowest answer took {words_for(facts.slowest_s)}, "
            f"limit {words_for(limit)}: the pool of {facts.pool_size} is too small for statements of "
            f"{words_for(expected.hold)}; raise default_pool_size as far as max_connections allows",
            readings,
            confirmed=True,
        )
    if facts.most_servers is None or facts.most_servers == 0:
        return Judgement(
            Verdict.INCONCLUSIVE,
            "all clients were answered, but how many server connections they used could not be counted: GRANT pg_monitor "
            "TO the gate's role",
            readings,
        )
    if facts.most_servers > facts.pool_size:
        return Judgement(
            Verdict.FAIL,
            f"{facts.most_servers} server connections were open for a pool of {facts.pool_size}: {facts.pooler} does "
            "not respect its limit, or another pooler uses the same role",
            readings,
        )
    on = "" if found.ran_now else f"; on record, {when(test.record)}"
    return Judgement(
        Verdict.PASS,
        f"{facts.clients} clients (the server accepts {facts.max_connections}) all got answers, {facts.answers} in total, "
        f"the slowest in {words_for(facts.slowest_s)}, over {facts.most_servers} server connections{on}",
        readings,
        _left(facts) if found.ran_now else (),
    )


def _left(facts: PressureFacts) -> tuple[str, ...]:
    """Name what the test leaves behind: only an administrator of the pooler may close its server connections."""
    return (
        f"left behind: {facts.pooler} keeps up to {facts.most_servers} idle server connections of the gate's role until its "
        "server_idle_timeout",
    )


def _ours(found: Evidence[PressureFacts], expected: Pressure) -> Judgement | None:
    """Return an inconclusive judgement if clients were late or waited in vain, and our own lag explains it."""
    facts = found.record.facts if found.record else None
    if facts is None or facts.failed > facts.silent:
        return None
    limit = expected.answer_within
    why = facts.lag.explains(facts.slowest_s, limit.total_seconds())
    if not why:
        return None
    what = f"{facts.failed} got none in time, " if facts.failed else ""
    return Judgement(
        Verdict.INCONCLUSIVE,
        f"{facts.clients} clients through {facts.pooler}: {what}the slowest answer took {words_for(facts.slowest_s)}, limit "
        f"{words_for(limit)}, {why}",
        tuple(_pressure_readings(facts, expected, judged=False)),
    )


def _unanswered(record: Record[PressureFacts]) -> str:
    facts = record.facts
    if not facts.failed:
        return ""
    return (
        f"{facts.failed} of {facts.clients} clients through {facts.pooler} got no answer, first error: {facts.first_error}; see "
        "max_client_conn, query_wait_timeout and the pooler's log"
    )


def _pressure_readings(facts: PressureFacts, expected: Pressure, *, judged: bool = True) -> Iterator[Reading]:
    """Yield what was measured; without `judged` the times and what follows from them are not compared with their limits."""
    limit = expected.answer_within
    yield Reading(f"clients, where the server accepts {facts.max_connections}", facts.clients)
    yield Reading(
        "clients that got all answers",
        facts.clients - facts.failed,
        limit=str(facts.clients),
        ok=facts.failed == 0 if judged else None,
    )
    yield Reading(
        "answers",
        facts.answers,
        limit="at least one each",
        ok=facts.answers >= facts.clients if judged else None,
    )
    yield Reading(
        "slowest answer",
        round(facts.slowest_s, 2),
        "s",
        f"at most {words_for(limit)}",
        facts.slowest_s <= limit.total_seconds() if judged else None,
    )
    yield Reading("our own lag meanwhile", round(facts.lag.late_s, 2), "s")
    yield Reading(
        "most server connections",
        facts.most_servers,
        limit=f"at most {facts.pool_size}",
        ok=None if facts.most_servers is None else facts.most_servers <= facts.pool_size,
    )
