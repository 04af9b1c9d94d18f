"""Judge whether slow statements are seen (`judge_monitoring`) and whether there are any (`judge_slow`)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from pytest_deploygate.checks.postgres.facts import MonitoringFacts, Statement, StatementFacts
from pytest_deploygate.model import Judgement, Reading, Verdict, combine, words_for
from pytest_deploygate.redaction import shortened

if TYPE_CHECKING:
    from pytest_deploygate.checks.postgres.section.statements import Monitoring, Statements

_WORST = 10
_TEXT = 90
#: Statistics of less time are named in a note.
_SHORT = timedelta(hours=1)


def judge_monitoring(found: MonitoringFacts, expected: Monitoring) -> Judgement:
    """Pass if pg_stat_statements is loaded, installed and counting, and slow statements are logged."""
    parts = [*([_counting(found)] if expected.statements else []), _slow_log(found, expected)]
    return combine(parts)


def _counting(found: MonitoringFacts) -> Judgement:
    counted = found.counted
    readings = (
        Reading("pg_stat_statements loaded", "hidden" if found.loaded is None else found.loaded, limit="yes",
                ok=found.loaded),
        Reading("extension installed", found.installed, limit="yes", ok=found.installed),
        Reading("pg_stat_statements.track", found.track, limit="top or all", ok=found.track != "none"),
        Reading("test statements counted", counted, limit="2", ok=None if counted is None else counted >= 2),
    )  # fmt: skip

    def verdict(what: Verdict, reason: str) -> Judgement:
        return Judgement(what, reason, readings)

    if found.loaded is False:
        return verdict(
            Verdict.FAIL,
            f"pg_stat_statements is not loaded on {found.node}: add it to shared_preload_libraries and restart",
        )
    if not found.installed:
        return verdict(
            Verdict.FAIL,
            f"the extension pg_stat_statements is missing from the database on {found.node}: "
            "CREATE EXTENSION pg_stat_statements",
        )
    if found.track == "none":
        return verdict(
            Verdict.FAIL, f"pg_stat_statements.track is none: nothing is counted; {_count_again(found)}"
        )
    if counted is None:
        return verdict(
            Verdict.INCONCLUSIVE, f"cannot tell whether pg_stat_statements counts: {found.problem}"
        )
    if counted < 2:
        return verdict(
            Verdict.FAIL,
            f"pg_stat_statements on {found.node} counted {counted} of 2 statements that we just ran: is it switched off "
            "for our role (pg_stat_statements.track), or evicting (pg_stat_statements.max)?",
        )
    return Judgement(Verdict.PASS, "pg_stat_statements counts", readings, _unseen(found))


def _count_again(found: MonitoringFacts) -> str:
    """Say who must set what: a setting of the database overrides the server's."""
    for who, setting in found.own_settings:
        if setting.lower() == "pg_stat_statements.track=none" and who.startswith("database "):
            return f"ALTER DATABASE {who.removeprefix('database ')} RESET pg_stat_statements.track"
    return "set it to top and reload"


def _unseen(found: MonitoringFacts) -> tuple[str, ...]:
    return tuple(
        f"{who} has its own {setting}: its statements are counted or logged differently"
        for who, setting in found.own_settings
    )


def _slow_log(found: MonitoringFacts, expected: Monitoring) -> Judgement:
    on = [ms for ms in (found.slow_log_ms, found.explain_ms) if ms >= 0]
    value = f"over {words_for(min(on) / 1000)}" if on else "off"
    if expected.slow_log is None:
        return Judgement(Verdict.PASS, "", (Reading("slow statements logged", value),))
    limit = words_for(expected.slow_log)
    ok = bool(on) and min(on) <= expected.slow_log.total_seconds() * 1000
    readings = (Reading("slow statements logged", value, limit=f"threshold at most {limit}", ok=ok),)
    if ok:
        return Judgement(Verdict.PASS, f"statements {value} are logged", readings)
    step = f"ALTER SYSTEM SET log_min_duration_statement = '{limit}' and reload"
    what = (
        f"are logged only {value}, limit {limit}"
        if on
        else "are not logged (log_min_duration_statement is -1)"
    )
    return Judgement(Verdict.FAIL, f"slow statements on {found.node} {what}: {step}", readings)


#: Share of a statement's calls that may be over the limit of its p99.
_ONE_PERCENT = 0.01


def calls_over(statement: Statement, limit_ms: float) -> tuple[int, int]:
    """Return the least and the most calls that may have taken longer than a limit.

    pg_stat_statements keeps count, mean, deviation and maximum. Sum and sum of squares bound how many calls can lie beyond
    the limit (Chebyshev's argument, with the slowest call taken out); they do not tell a quantile.
    """
    calls, mean, most = statement.calls, statement.mean_ms, statement.max_ms
    if most <= limit_ms:
        return 0, 0
    squares = calls * statement.deviation_ms**2
    least = max(
        calls * (mean - limit_ms) / (most - limit_ms),
        calls * (mean**2 + statement.deviation_ms**2 - limit_ms**2) / (most**2 - limit_ms**2),
    )
    if mean >= limit_ms:
        return max(1, math.ceil(least - 1e-6)), calls
    left = max(0.0, squares - (most - mean) ** 2)
    return max(1, math.ceil(least - 1e-6)), min(calls, 1 + math.floor(left / (limit_ms - mean) ** 2 + 1e-6))


def judge_slow(found: StatementFacts, bounds: Statements) -> Judgement:
    """Pass if no frequent statement exceeds the bounds, except those that the inventory allows."""
    ignored = {*bounds.ignore_roles, found.own_role}
    theirs = [s for s in found.statements if s.role not in ignored]
    often = [s for s in theirs if s.calls >= bounds.min_calls]
    notes = list(_notes(found, bounds, theirs))
    if not often:
        hidden = (
            f"; {found.hidden} more are hidden: GRANT pg_monitor TO the gate's role" if found.hidden else ""
        )
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"pg_stat_statements on {found.node} holds no statement of the application with {bounds.min_calls} calls or "
            f"more{hidden}: run again after it has been in use for a while",
            notes=tuple(notes),
        )
    if found.since and found.now - found.since < bounds.min_since:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"the statistics were reset {words_for(found.now - found.since)} ago, at least "
            f"{words_for(bounds.min_since)} are needed: run again later",
            notes=tuple(notes),
        )
    slow = [s for s in often if _over(s, bounds) is not False]
    allowed = {a.contains: a for a in bounds.allowed}
    known = [s for s in slow if any(text in " ".join(s.text.split()) for text in allowed)]
    bad = [s for s in slow if s not in known and _over(s, bounds)]
    unclear = [s for s in slow if s not in known and s not in bad]
    notes += [f"allowed by the inventory: {_said(s)}" for s in known]
    readings = tuple(
        _reading(s, bounds, allowed=s in known) for s in sorted(often, key=_slowest, reverse=True)[:_WORST]
    )
    if bad:
        worst = sorted(bad, key=_slowest, reverse=True)
        more = f" and {len(worst) - 3} more" if len(worst) > 3 else ""
        return Judgement(
            Verdict.FAIL,
            f"{len(worst)} of {len(often)} statements are over {words_for(bounds.max_mean)} mean or "
            f"{words_for(bounds.max_p99)} p99: {'; '.join(map(_said, worst[:3]))}{more}: EXPLAIN (ANALYZE, BUFFERS) them",
            readings,
            tuple(notes),
        )
    if unclear:
        more = f" and {len(unclear) - 3} more" if len(unclear) > 3 else ""
        worst = sorted(unclear, key=_slowest, reverse=True)
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"whether the p99 of {len(unclear)} of {len(often)} statements is over {words_for(bounds.max_p99)} cannot be told from "
            f"mean and deviation: {'; '.join(_unclear(s, bounds) for s in worst[:3])}{more}: look at the slow log "
            "(log_min_duration_statement), or reset the statistics and measure a quiet hour",
            readings,
            tuple(notes),
        )
    if found.hidden:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"{len(often)} statements are fast, but {found.hidden} are hidden from us: GRANT pg_monitor TO the gate's role",
            readings,
            tuple(notes),
        )
    return Judgement(
        Verdict.PASS,
        f"{len(often)} statements, none over {words_for(bounds.max_mean)} mean or {words_for(bounds.max_p99)} p99"
        + (f" except {len(known)} allowed" if known else ""),
        readings,
        tuple(notes),
    )


def _over(statement: Statement, bounds: Statements) -> bool | None:
    """Tell whether a statement is over a bound; None if its p99 may be on either side."""
    if statement.mean_ms > bounds.max_mean.total_seconds() * 1000:
        return True
    least, most = calls_over(statement, bounds.max_p99.total_seconds() * 1000)
    allowed = math.floor(statement.calls * _ONE_PERCENT)
    return True if least > allowed else False if most <= allowed else None


def _slowest(statement: Statement) -> tuple[float, float]:
    return statement.mean_ms + statement.deviation_ms, statement.max_ms


def _unclear(statement: Statement, bounds: Statements) -> str:
    least, most = calls_over(statement, bounds.max_p99.total_seconds() * 1000)
    return f"{_said(statement)[:-1]}; {least} to {most} calls may be over, {math.floor(statement.calls * _ONE_PERCENT)} are allowed)"


def _notes(found: StatementFacts, bounds: Statements, theirs: list[Statement]) -> Iterator[str]:
    rare = [s for s in theirs if s.calls < bounds.min_calls and _over(s, bounds)]
    if rare:
        yield f"{len(rare)} slow statements ran fewer than {bounds.min_calls} times and are not judged, first {_said(rare[0])}"
    if found.since and found.now - found.since < _SHORT:
        yield f"the statistics cover {words_for(found.now - found.since)} only: they were reset at {found.since:%H:%M} UTC"
    if found.evicted:
        yield f"entries were evicted {found.evicted} times: raise pg_stat_statements.max, statements may be missing here"


def _said(statement: Statement) -> str:
    text = " ".join(statement.text.split())
    short = text if len(text) <= _TEXT else f"{shortened(text, _TEXT)}…"
    return (
        f"{short} ({statement.role}: {statement.calls} calls, mean {words_for(statement.mean_ms / 1000)}, "
        f"slowest {words_for(statement.max_ms / 1000)})"
    )


def _reading(statement: Statement, bounds: Statements, *, allowed: bool) -> Reading:
    return Reading(
        shortened(" ".join(statement.text.split()), _TEXT), round(statement.mean_ms, 2), "ms",
        "allowed by the inventory" if allowed else f"mean {words_for(bounds.max_mean)}, p99 {words_for(bounds.max_p99)}",
        True if allowed else None if (over := _over(statement, bounds)) is None else not over,
    )  # fmt: skip
