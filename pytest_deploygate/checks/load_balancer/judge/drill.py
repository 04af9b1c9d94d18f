"""Judge a drill: the backend leaves and returns in time, no client gets an error, running requests end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pytest_deploygate.checks.load_balancer.facts import Drilled, DrillFacts
from pytest_deploygate.drills.judging import counted, rerun, when
from pytest_deploygate.drills.record import Record
from pytest_deploygate.judging.collector import Collector
from pytest_deploygate.model import Judgement, Reading, Verdict, words_for

if TYPE_CHECKING:
    from pytest_deploygate.checks.load_balancer.section import Drill, Pool

_RETRY = (
    "let the balancer ask another backend instead (HAProxy: `option redispatch`, `retries` and `retry-on`; nginx: "
    "`proxy_next_upstream`; Envoy: a `retry_policy`)"
)


def judge_drill(found: Drilled, expected: Pool) -> Judgement:
    """Pass when a drill of this run or on record saw the backend leave and return in time, and no client an error.

    A time over its limit that our own lag explains is inconclusive, as is a record that does not count.
    """
    drill = expected.drill
    if drill is None:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"{expected.name}: whether a backend whose health turns bad leaves was never tested: add "
            "`drill: {backend: …, break: …, repair: …, record: FILE}`",
        )
    again = f"{rerun(found.environment)}, or set `opt_in: {found.environment or 'INVENTORY'}`"
    if found.record and (ours := _ours(found.record.facts, drill)):
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"{expected.name}: {ours}",
            tuple(_readings(found.record.facts, drill, judged=False)),
        )
    test = counted(
        found,
        drill.max_age,
        f"drill of {drill.backend}",
        again,
        readings=lambda record: _readings(record.facts, drill),
        failure=lambda record: _failure(record, drill),
    )
    if isinstance(test, Judgement):
        return test
    facts = test.record.facts
    collector = Collector(about=expected.name, confirmed=True)
    collector.read(*test.readings)
    _judge(facts, drill, collector)
    on = "" if found.ran_now else f"; on record, {when(test.record)}"
    return collector.judgement(
        lambda: (
            f"{expected.name}: {facts.backend} left {words_for(facts.left_s or 0.0)} after its health had turned bad and "
            f"was back {words_for(facts.back_s or 0.0)} after its repair; {facts.connections} clients meanwhile, "
            f"{facts.errors + facts.silent} errors{on}"
        )
    )


def _judge(facts: DrillFacts, drill: Drill, collector: Collector) -> None:
    collector.wrong(*_late(facts, drill))
    if facts.health_bad is False:
        collector.wrong(
            f"{facts.backend}'s own health page still answered {facts.health_said} after `break`: it always succeeds; let it "
            "test what the backend depends on"
        )
    if facts.errors + facts.silent > drill.max_errors:
        collector.wrong(_errors(facts, drill))
    if facts.long_cut:
        collector.wrong(
            f"{facts.long_cut} of {facts.long} requests that ran when the health turned bad did not end well (first: "
            f"{facts.long_first_error}): let running requests end (HAProxy: no `on-marked-down shutdown-sessions`)"
        )
    if drill.long_request and not facts.long:
        collector.unknown(
            f"none of the requests of `long_request` ran on {facts.backend} when its health turned bad: name one that takes "
            "longer"
        )
    if drill.long_request is None:
        collector.note("whether running requests end was not tested: name a `long_request`")
    if not facts.keeping:
        collector.note("no balancer tells its state at run time: what it hides by asking again is not seen")


def _failure(record: Record[DrillFacts], drill: Drill) -> str:
    """Return how it failed, all of it: a backend that did not leave has errors, and a reason, besides."""
    facts = record.facts
    if facts.left_s is not None and facts.back_s is not None:
        return ""
    collector = Collector()
    _judge(facts, drill, collector)
    return collector.judgement(lambda: "nothing").reason


def _late(facts: DrillFacts, drill: Drill) -> Iterator[str]:
    leaves, returns = drill.leaves_within, drill.returns_within
    if facts.given_up:
        return  # what its clients got says it
    if facts.left_s is None and facts.health_bad is not False:
        said = [f"its own health page answers {facts.health_said}"] if facts.health_said else []
        said += [facts.keeping] if facts.keeping else []
        page = f" ({', '.join(said)})" if said else ""
        yield (
            f"{facts.backend} stayed in rotation for {words_for(facts.waited_s)} after its health had turned bad{page}, limit "
            f"{words_for(leaves)}: let the health check ask its health page, accept 200 only, and look at its interval and "
            "number of failures (`inter`, `fall`)"
        )
    elif facts.left_s is None:
        yield f"{facts.backend} stayed in rotation for {words_for(facts.waited_s)}, limit {words_for(leaves)}"
    elif facts.left_s > leaves.total_seconds():
        yield (
            f"{facts.backend} left only {words_for(facts.left_s)} after its health had turned bad, limit {words_for(leaves)}: "
            "lower the check's interval or its number of failures (`inter`, `fall`)"
        )
    if facts.left_s is not None and facts.back_s is None:
        yield (
            f"{facts.backend} did not return within {words_for(returns)} after its repair: look at its health page and at "
            "the check's number of successes (`rise`)"
        )
    elif facts.back_s is not None and facts.back_s > returns.total_seconds():
        yield (
            f"{facts.backend} returned only {words_for(facts.back_s)} after its repair, limit {words_for(returns)}: lower the "
            "check's interval or its number of successes (`inter`, `rise`)"
        )


def _errors(facts: DrillFacts, drill: Drill) -> str:
    number = facts.errors + facts.silent
    early = " (it was repaired at once)" if facts.given_up else ""
    return (
        f"{number} of {facts.connections} clients got an error while {facts.backend} left and returned{early} (first: "
        f"{facts.first_error}), limit {drill.max_errors}: {_RETRY}"
    )


def _ours(facts: DrillFacts, drill: Drill) -> str:
    """Return what our own lag may have caused, if nothing else is wrong; empty otherwise."""
    if facts.health_bad is False or facts.errors > drill.max_errors or facts.long_cut:
        return ""
    figures = (
        ("leaving", facts.left_s, drill.leaves_within, facts.leaving),
        ("returning", facts.back_s, drill.returns_within, facts.returning),
    )
    why = [
        f"{what} took {words_for(figure)}, limit {words_for(limit)}, {said}"
        for what, figure, limit, lag in figures
        if figure is not None and (said := lag.explains(figure, limit.total_seconds()))
    ]
    over = sum(figure is None or figure > limit.total_seconds() for _, figure, limit, _ in figures)
    if len(why) < over:
        return ""
    if not why and facts.silent + facts.errors > drill.max_errors:
        lag = facts.leaving
        if lag.delay_s > 1.0:
            why.append(f"{facts.silent} of {facts.connections} clients got no answer, but {lag}")
    return "; ".join(why)


def _readings(facts: DrillFacts, drill: Drill, *, judged: bool = True) -> Iterator[Reading]:
    leaves, returns = drill.leaves_within, drill.returns_within
    errors = facts.errors + facts.silent

    def ok(value: bool) -> bool | None:
        return value if judged else None

    yield Reading(
        "left after",
        facts.left_s,
        "s",
        f"at most {words_for(leaves)}",
        ok(facts.left_s is not None and facts.left_s <= leaves.total_seconds()),
    )
    if facts.left_s is not None:
        yield Reading(
            "back after",
            facts.back_s,
            "s",
            f"at most {words_for(returns)}",
            ok(facts.back_s is not None and facts.back_s <= returns.total_seconds()),
        )
    yield Reading("clients meanwhile", facts.connections)
    yield Reading(
        "clients with an error",
        errors,
        limit=f"at most {drill.max_errors}",
        ok=ok(errors <= drill.max_errors),
    )
    if facts.health_bad is not None:
        yield Reading(
            "own health page while broken", facts.health_said, limit="an error", ok=ok(bool(facts.health_bad))
        )
    if facts.long:
        yield Reading("running requests that were cut", facts.long_cut, limit="0", ok=ok(not facts.long_cut))
