"""Judges one burst: the limit that was found, and recovery."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pytest_deploygate.checks.ddos.facts import Attempt, Trial
from pytest_deploygate.checks.ddos.judge import estimate
from pytest_deploygate.checks.ddos.judge.estimate import Between, Found
from pytest_deploygate.checks.ddos.judge.refusals import judge_refusals, met
from pytest_deploygate.checks.ddos.judge.second import judge_second
from pytest_deploygate.checks.ddos.judge.ways import judge_ways
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Reading, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.ddos.section import Ddos, Limit


def judge_trial(trial: Trial, limit: Limit, ddos: Ddos, to: Collector) -> None:
    """Add what one burst showed."""
    where = f"{limit.name} at {trial.address}"
    if trial.problem:
        to.unknown(trial.problem, where=where)
        return
    if trial.second and trial.second == trial.source:
        to.unknown(f"both sources are {trial.source}: name another one in `second`", where=where)
        return
    attempts = estimate.plain(trial)
    if all(each.served for each in attempts):
        _no_limit(trial, limit, attempts, to, where)
        judge_second(trial, limit, ddos, to, where)
        return
    if not judge_refusals(trial, limit, to, where) or (found := estimate.found(trial, limit)) is None:
        return
    _size(found, limit, to, where)
    around = judge_ways(trial, limit, ddos, found, to, where)
    judge_second(trial, limit, ddos, to, where, around=around)
    _recovery(trial, limit, to, where)
    _told(trial, limit, to, where)


def _no_limit(trial: Trial, limit: Limit, attempts: list[Attempt], to: Collector, where: str) -> None:
    over_s = estimate.span_s(attempts)
    most = estimate.let_through(limit, over_s)
    reading = f"{where}: requests served in {words_for(over_s)}"
    if len(attempts) > most:
        to.read(Reading(reading, len(attempts), limit=f"at most {most:.0f}", ok=False))
        to.wrong(
            f"no limit: all {len(attempts)} requests that one source sent in {words_for(over_s)} were served, "
            f"where {_declared(limit)} lets {most:.0f} through; limit what one address may send before the application "
            "(nginx: limit_req; HAProxy: a stick table)",
            where=where,
        )
        return
    to.read(Reading(reading, len(attempts)))
    slow = _middle([each.answered_s - each.sent_s for each in attempts])
    usual = _middle([each.answered_s - each.sent_s for each in trial.others])
    if slow > max(0.25, 5 * usual):
        to.unknown(
            f"none of {len(attempts)} requests was refused, but half of them took {words_for(slow)} or longer, those of the second "
            f"source {words_for(usual)}: the server delays instead of refusing, or is slow; refuse what is over the limit "
            "(nginx: `nodelay`), or raise `connections`",
            where=where,
        )
        return
    to.unknown(
        f"none of {len(attempts)} requests in {words_for(over_s)} was refused, but {_declared(limit)} may let {most:.0f} through: "
        f"this machine could not send more ({trial.lag}); raise `connections` and `most`, or run it where processors are free",
        where=where,
    )


def _declared(limit: Limit) -> str:
    return f"the declared limit ({_rate(limit.rate)}, burst {limit.burst}, {limit.tolerance} % tolerated)"


def _rate(per_second: float) -> str:
    return f"{per_second:.3g}/s" if per_second >= 0.5 else f"{per_second * 60:.3g}/min"


def _middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2] if values else 0.0


def _size(found: Found, limit: Limit, to: Collector, where: str) -> None:
    """Judge burst and rate by their bounds."""
    more = 1 + limit.tolerance / 100
    most = limit.burst * more + 1
    _bounded(found.burst, most, f"{where}: burst let through", "requests", to)
    if found.burst.low > most:
        to.wrong(
            f"the limit is too high: {found.burst} requests at once were let through, declared are {limit.burst}"
            f"{_times(found.burst, limit.burst)}; lower it (nginx: burst=; HAProxy: the number in the rule), or declare it in `burst`",
            where=where,
        )
    elif found.burst.high > most:
        to.unknown(
            f"{found.burst} requests at once were let through, declared are {limit.burst}: answers came too slowly to count closer; run "
            "it again when this machine has free processors",
            where=where,
        )
    if found.window:
        # Nothing was let through while requests were offered, so only what all of it let through can be compared.
        allowed = estimate.let_through(limit, found.over_s)
        ok = found.through <= allowed
        to.read(
            Reading(
                f"{where}: let through in {words_for(found.over_s)}",
                found.through,
                limit=f"at most {allowed:.0f}",
                ok=ok,
            )
        )
        return
    _bounded(found.rate, limit.rate * more, f"{where}: rate let through after that", "per second", to)
    if found.rate.low > limit.rate * more:
        to.wrong(
            f"the limit is too high: {found.rate} requests per second were let through for {words_for(found.over_s)}, declared are "
            f"{_rate(limit.rate)}{_times(found.rate, limit.rate)}; lower it, or declare it in `rate`",
            where=where,
        )
    elif found.rate.high > limit.rate * more:
        to.unknown(
            f"{found.rate} requests per second were let through, declared are {_rate(limit.rate)}: too few to tell; run it "
            "again when this machine has free processors, or raise `tolerance`",
            where=where,
        )
    elif found.rate.high < limit.rate / more:
        to.note(
            f"the limit is tighter than declared: {found.rate} per second, declared are {_rate(limit.rate)}",
            where=where,
        )


def _times(found: Between, declared: float) -> str:
    """Say that servers may count for themselves, if the number is a small multiple of what is declared."""
    if math.isinf(found.high):
        return ""
    times = round((found.low + found.high) / 2 / declared)
    return (
        f", {times} times as many (does each of {times} servers count for itself?)" if 2 <= times <= 8 else ""
    )


def _bounded(found: Between, most: float, name: str, unit: str, to: Collector) -> None:
    ok = True if found.high <= most else False if found.low > most else None
    # What the bounds leave open is said, and compared with no limit.
    limit = f"at most {most:.3g}" if ok is not None else ""
    to.read(Reading(name, str(found), unit, limit, ok))


def _recovery(trial: Trial, limit: Limit, to: Collector, where: str) -> None:
    asked = [each for each in trial.attempts if each.phase == "recovery"]
    before = [each.sent_s for each in trial.attempts if each.phase not in ("recovery", "control")]
    within_s = limit.recovers.total_seconds()
    name = f"{where}: served again after"
    again = next((each for each in asked if each.served), None)
    if not asked or not before:
        to.unknown("recovery was not measured", where=where)
        return
    if again is None:
        waited = asked[-1].answered_s - max(before)
        to.read(Reading(name, None, "s", f"at most {words_for(within_s)}", ok=False))
        to.wrong(
            f"the source was still refused ({met(asked[-1])}) {words_for(waited)} after its last request, limit {words_for(within_s)}: "
            "end the ban sooner (HAProxy: expire of the stick table; fail2ban: bantime), or declare it in `recovers`",
            where=where,
        )
        return
    took = again.answered_s - max(before)
    if (wait := asked[0].wait) and again is not asked[0] and wait.isdigit():
        to.note(
            f"Retry-After promises too much: the source came back after the time that it named, was refused, and served only {words_for(took)} "
            "after its last request",
            where=where,
        )
    ok = took <= within_s
    why = "" if ok else trial.lag.explains(took, within_s)
    if why:
        to.read(Reading(name, round(took, 2), "s"))
        to.unknown(f"the source was served again only after {words_for(took)}, {why}", where=where)
        return
    to.read(Reading(name, round(took, 2), "s", f"at most {words_for(within_s)}", ok=ok))
    if not ok:
        to.wrong(
            f"the source was served again only {words_for(took)} after its last request, limit {words_for(within_s)}",
            where=where,
        )


def _told(trial: Trial, limit: Limit, to: Collector, where: str) -> None:
    if trial.told:
        to.note(f"answers tell of the limit: {', '.join(trial.told)}", where=where)
    if trial.unsent:
        to.note(f"{trial.unsent} requests of the plan could not be sent in time", where=where)
    if not limit.paths:
        to.note("other paths were not tried: name safe ones in `paths`", where=where)
