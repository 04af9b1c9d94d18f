"""Judges all bursts and held connections, of this run or on record."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_deploygate.checks.ddos.facts import Drilled
from pytest_deploygate.checks.ddos.judge.limits import judge_trial
from pytest_deploygate.checks.ddos.judge.slow import judge_crowd, judge_held
from pytest_deploygate.drills.judging import counted, rerun, when
from pytest_deploygate.drills.record import Evidence
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Verdict

if TYPE_CHECKING:
    from pytest_deploygate.checks.ddos.section import Ddos

#: More points than this would not be read.
_MOST = 8


def judge(found: Evidence[Drilled], expected: Ddos) -> Judgement:
    """Pass when each limit is in force as declared for each source alone, and slow connections are cut in time.

    This is layer 7. That the provider protects layers 3 and 4 is attested.
    """
    again = f"{rerun(found.environment)}, or set `opt_in: {found.environment or 'INVENTORY'}`"
    test = counted(found, expected.max_age, "burst", again, readings=lambda _: ())
    if isinstance(test, Judgement):
        return replace(test, confirmed=test.verdict is Verdict.FAIL)
    to = Collector(most=_MOST)
    facts = test.record.facts
    limits = {limit.name: limit for limit in expected.limits}
    slow = {each.name: each for each in expected.slow}
    for trial in facts.trials:
        if limit := limits.get(trial.limit):
            judge_trial(trial, limit, expected, to)
    for held in facts.held:
        if named := slow.get(held.name):
            judge_held(held, named, to)
    for crowd in facts.crowds:
        if named := slow.get(crowd.name):
            judge_crowd(crowd, named, to)
    for each in expected.slow:
        if each.most_connections is not None and each.name not in {crowd.name for crowd in facts.crowds}:
            to.unknown(f"how many connections one source may have was not tried on {each.name}")
    tried = {trial.limit for trial in facts.trials} | {held.name for held in facts.held}
    for name in {**limits, **slow}:
        if name not in tried:
            to.unknown(f"{name} was not tried: {_why(facts, name)}")
    to.note(*facts.left_out)
    on = "" if found.ran_now else f"; on record, {when(test.record)}"

    def good() -> str:
        bursts = f"{len(facts.trials)} bursts were limited as declared, and nobody else with them"
        return f"{bursts}; slow connections of {len(facts.held)} kinds were cut in time{on}"

    done = to.judgement(good)
    return replace(done, readings=(*test.readings, *done.readings))


def _why(facts: Drilled, name: str) -> str:
    return next(
        (said for said in facts.left_out if said.startswith(f"{name}:")), "nothing of it is on record"
    )
