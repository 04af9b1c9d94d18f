"""Whether the GO of the phases before still holds: what a later phase of the same change rests on.

A GO holds for the inventory, the checklist, the findings and the records that it was given for. What changed since is
named, with the run that puts it right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from pytest_deploygate import moments
from pytest_deploygate.checklist import waivers
from pytest_deploygate.checklist.vocabulary import CLOCK_SLACK
from pytest_deploygate.decision import compose
from pytest_deploygate.decision.frame import Frame, frame, values_of
from pytest_deploygate.decision.runs import chain, joined, newest
from pytest_deploygate.journal import ODD, Segment, TestRecord
from pytest_deploygate.model import Decision, Finding, Outcome, Severity, Verdict, words_for


def of_others(runs: Sequence[Segment]) -> list[str]:
    """Say that the folder also holds runs of another change: one folder is the record of one change."""
    mine = str(runs[-1].begin["change"])
    others = {str(run.begin["change"]): run.started for run in runs if str(run.begin["change"]) != mine}
    return [
        f"this folder has runs of the change {other} too, the last of {_time(at)}; one folder is the record of one "
        f"change: move it aside with --fresh, or give {mine} a folder of its own with --deploygate-out"
        for other, at in others.items()
    ]


def stepped(runs: Sequence[Segment]) -> list[str]:
    """Say by how much the clock stepped between the last run and the one before; an empty list if it did not."""
    if len(runs) < 2:
        return []
    before, last = runs[-2], runs[-1]
    step = step_s(before.begin, last.begin)
    latest = max([before.started, before.ended or before.started])
    if step is None and last.started < latest - CLOCK_SLACK:
        step = (last.started - latest).total_seconds()
    if step is None or abs(step) <= CLOCK_SLACK.total_seconds():
        return []
    way = "forward" if step > 0 else "back"
    return [
        f"the clock stepped {way} by {words_for(abs(step))} between the run of {_time(before.started)} and this one: "
        "times before and after it cannot be compared; see that the clocks are synchronised"
    ]


def step_s(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> float | None:
    """Return by how many seconds the wall clock moved more than the machine's uptime between two runs.

    None if that is not known: another machine, another boot, or a run of an earlier version.
    """
    try:
        one, other = moments.from_json(earlier["moment"]), moments.from_json(later["moment"])
    except ODD:
        return None
    if not one.boot or one.boot != other.boot:
        return None
    return (other.wall - one.wall).total_seconds() - (other.up_s - one.up_s)


def unmet(runs: Sequence[Segment], about: Frame, at: datetime) -> Iterator[str]:
    """Yield what the phases before the last run's scope lack: a GO that still holds.

    Phases about the whole change (the criteria) are not part of the chain, nor is a phase of which no item applies. A run
    decides a phase if its scope contains all items that the phase had then.
    """
    scope = set(about.scope)
    earlier = [run for run in runs[:-1] if run.begin["change"] == about.change]
    decides = {run.run: decided(run) for run in earlier}
    for phase in behind(about):
        ids = {item.id for item in about.items if item.phase == phase}
        if ids <= scope or ids <= set(about.not_applicable):
            continue
        deciding = [run for run in earlier if phase in decides[run.run]]
        deciding = [run for run in deciding if _of_this_inventory(run, about)] or deciding
        if not deciding:
            yield f"{phase} has no decision for change {about.change} yet: run {phase} first"
        elif plain := _not_a_go(phase, deciding[-1], about, at):
            yield plain
        elif changed := list(_changed(phase, deciding[-1], about)):
            yield from changed
        else:
            since = earlier[earlier.index(deciding[-1]) + 1 :]
            rests_on = _rests_on(runs, deciding[-1], ids)
            yield from _too_old(phase, deciding[-1], rests_on, about, at)
            yield from _worse(phase, ids, deciding[-1], rests_on, since, about, at)
            yield from _attested(phase, ids, deciding[-1], about, at)


def behind(about: Frame) -> list[str]:
    """Return the phases before the last one that the scope touches; none if the run is not chained."""
    phases = [phase.id for phase in about.phases if not phase.whole_change]
    scope = set(about.scope)
    mine = {item.phase for item in about.items if item.id in scope}
    touched = [index for index, phase in enumerate(phases) if phase in mine]
    return phases[: touched[-1]] if about.chained and touched else []


def decided(run: Segment) -> set[str]:
    """Return the phases that a run decides: those of which all items were in its scope."""
    scope = set(run.begin["scope_items"])
    items = run.begin["checklist"]["items"]
    return {item["phase"] for item in items} - {item["phase"] for item in items if item["id"] not in scope}


def _of_this_inventory(run: Segment, about: Frame) -> bool:
    return bool(run.begin["inventory"]["name"] == about.inventory)


def _speaks(test: TestRecord, run: Segment, about: Frame) -> bool:
    """Tell whether a later finding counts: a good one only of the same inventory and checklist, byte for byte."""
    begin = run.begin
    same = (begin["inventory"]["sha256"], begin["checklist"]["sha256"]) == (
        about.inventory_sha256,
        about.checklist_sha256,
    ) and not other_values(values_of(begin), about.values)
    return _of_this_inventory(run, about) and (same or not all(f.verdict.good for f in test.findings))


def _not_a_go(phase: str, run: Segment, about: Frame, at: datetime) -> str:
    decision = run.decision
    if decision is None:
        return (
            f"the last run of {phase}, of {_time(run.started)}, ended without a decision: run {phase} again, "
            "or continue it with --resume"
        )
    if decision.outcome is not Outcome.GO:
        return f"{phase} was decided {decision.outcome} at {_time(decision.at)}: run {phase} again"
    if decision.at > at + CLOCK_SLACK:
        return (
            f"{phase} has a GO of {_time(decision.at)}, which is in the future (now: {_time(at)}): a clock was wrong; "
            f"run {phase} again"
        )
    if _age_s(run, decision, at, about) > about.decision_valid_s:
        valid = words_for(about.decision_valid_s)
        return f"{phase} has a GO of {_time(decision.at)}, older than {valid}: run {phase} again"
    return ""


def _age_s(run: Segment, decision: Decision, at: datetime, about: Frame) -> float:
    """Return how old a decision is by the clock or by the machine's uptime, whichever is more: a clock may have stepped."""
    step = step_s(run.begin, {"moment": about.moment})
    return (at - decision.at).total_seconds() - min(0.0, step or 0.0)


def _changed(phase: str, run: Segment, about: Frame) -> Iterator[str]:
    """Yield how inventory or checklist differ from those of the phase's GO."""
    then = run.begin
    name, sha = then["inventory"]["name"], then["inventory"]["sha256"]
    if name != about.inventory:
        yield (
            f"{phase} has a GO for the inventory {name}, and this run is of {about.inventory}: run {phase} on "
            f"{about.inventory}"
        )
    elif sha != about.inventory_sha256:
        yield f"the inventory {name} was changed since the GO of {phase}: run {phase} again"
    elif changed := other_values(values_of(then), about.values):
        yield f"values that the inventory refers to were changed since the GO of {phase} ({changed}): run {phase} again"
    if then["checklist"]["sha256"] == about.checklist_sha256:
        return
    before = {item["id"]: Severity(item["severity"]) for item in then["checklist"]["items"]}
    weight = list(Severity)
    raised = [
        f"{item.id} was {before[item.id]} and is {item.severity} now"
        for item in about.items
        if item.phase == phase
        and item.id in before
        and weight.index(item.severity) < weight.index(before[item.id])
    ]
    why = f" ({', '.join(raised)})" if raised else ""
    yield f"the checklist was changed since the GO of {phase}{why}: run {phase} again"


def other_values(then: Mapping[str, str] | None, now: Mapping[str, str] | None) -> str:
    """Name the references (`env:NAME`) whose values differ, by their digests; empty if none does.

    Without the key of the digests (`.key` beside the journal) all of them differ. A run of an earlier version has none.
    """
    if not isinstance(then, Mapping) or now is None:
        return "" if then is None and not now else "they cannot be compared"
    changed = [name for name in sorted({*then, *now}) if then.get(name) != now.get(name)]
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return ", ".join(changed[:3]) + more


def _rests_on(runs: Sequence[Segment], run: Segment, ids: set[str]) -> dict[str, tuple[Finding, ...]]:
    """Return the findings that a run decided about, by test: its own, and those that `--resume` kept."""
    resumed = newest(chain(runs[: list(runs).index(run) + 1])[:-1])
    kept = {test: resumed[test] for test in run.begin["kept"] if test in resumed}
    return _of(kept | newest([run]), ids)


def _of(found: Mapping[str, tuple[Finding, ...]], ids: set[str]) -> dict[str, tuple[Finding, ...]]:
    mine = {test: tuple(f for f in findings if f.item in ids) for test, findings in found.items()}
    return {test: findings for test, findings in mine.items() if findings}


def _too_old(
    phase: str, run: Segment, rests_on: Mapping[str, tuple[Finding, ...]], about: Frame, at: datetime
) -> Iterator[str]:
    """A GO of findings that were kept is as old as these."""
    kept = [f for test in run.begin["kept"] for f in rests_on.get(test, ())]
    oldest = min(kept, key=lambda finding: finding.at, default=None)
    if oldest and (at - oldest.at).total_seconds() > about.decision_valid_s:
        yield (
            f"the GO of {phase} rests on a finding of {_time(oldest.at)} ({oldest.item}), older than "
            f"{words_for(about.decision_valid_s)}: run {phase} again"
        )


def _worse(
    phase: str,
    ids: set[str],
    run: Segment,
    rests_on: Mapping[str, tuple[Finding, ...]],
    since: Sequence[Segment],
    about: Frame,
    at: datetime,
) -> Iterator[str]:
    """Yield the items of a phase that are worse by their newest findings and by the waivers of now."""
    later = _of({t.test: t.findings for one in since for t in joined(one) if _speaks(t, one, about)}, ids)
    findings = [f for found in ({**rests_on, **later}).values() for f in found]
    results = compose.results(
        [item for item in about.items if item.id in ids],
        (),
        waivers.apply(findings, about.waivers, at, about.inventory, about.change),
        tests_of={},
        not_applicable=about.not_applicable,
        earlier={},
    )
    newer = {finding.item for found in later.values() for finding in found}
    known = [one.id for one in about.phases]
    for result in results:
        item = result.item.id
        if result.item.severity is Severity.MINOR or result.verdict.good or result.verdict is Verdict.WAIVED:
            continue
        if result.deferred_to in known:
            continue
        if result.verdict is Verdict.NOT_COVERED and not result.findings:
            if _waived_then(run, item) and not waivers.waives(
                item, about.waivers, at, about.inventory, about.change
            ):
                yield f"{item} was waived in the GO of {phase}, and no waiver counts for it now: run {phase} again"
            continue
        word = result.verdict.value.replace("_", " ")
        if item in newer:
            latest = max(f.at for f in result.findings)
            yield f"{item} is {word} since the GO of {phase} (run of {_time(latest)}): {result.reason}; run {phase} again"
        elif _waived_then(run, item):
            yield (
                f"{item} was waived in the GO of {phase}, and no waiver counts for it now ({result.reason}): "
                f"fix it or waive it again, and run {phase} again"
            )


def _waived_then(run: Segment, item: str) -> bool:
    return any(waiver["item"] == item for waiver in run.begin["waivers"])


def _attested(phase: str, ids: set[str], run: Segment, about: Frame, at: datetime) -> Iterator[str]:
    """Yield the attestations that a GO rests on and that are gone or over, unless the same role attested again."""
    then = frame(run.begin).attestations
    now = {(a.item, a.role) for a in about.attestations if a.valid_until > at}
    lost = {
        (a.item, a.role): a
        for a in then
        if a.item in ids and a.valid_until > run.started and (a.item, a.role) not in now
    }
    for one in lost.values():
        over = (
            f"ended on {_time(one.valid_until)}"
            if one.valid_until <= at
            else "is gone or does not count any more"
        )
        yield f"{one.file}, which attests {one.item} in the GO of {phase}, {over}: attest it again and run {phase} again"


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
