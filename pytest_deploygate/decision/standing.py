"""The current results of all items and the question to decide, computed from the journal alone.

The last `run` entry holds the frame (checklist, scope, items that do not apply, kept tests), `bound` lists the tests, and
`test` entries hold the findings. Nothing else is read, so the result can be computed again anywhere.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pytest_deploygate.checklist import waivers
from pytest_deploygate.checklist.vocabulary import SetAside
from pytest_deploygate.checklist.waivers import Waiver
from pytest_deploygate.decision import compose, rules
from pytest_deploygate.decision.incidents import Times
from pytest_deploygate.journal import Entry, JournalError, Segment, TestRecord, segments
from pytest_deploygate.model import (
    Closing,
    Finding,
    Item,
    Kind,
    Outcome,
    Phase,
    Severity,
    Verdict,
    Weakening,
    words_for,
)

WHOLE = "the whole checklist"
#: Kind of the line that says what a rollback depends on apart from the findings.
CIRCUMSTANCES = "circumstances"
#: Kind of the line that says how a rollback executed by a run ended.
GONE_BACK = "gone back"


@dataclass(frozen=True, slots=True)
class Frame:
    """What a run was about, from its `run` entry."""

    run: str
    change: str
    inventory: str
    description: str
    inventory_sha256: str
    checklist_sha256: str
    phases: tuple[Phase, ...]
    items: tuple[Item, ...]
    roles: tuple[str, ...]
    expression: str
    scope: tuple[str, ...]
    not_applicable: Mapping[str, str]
    rollback_from: str
    waived_exit: bool
    kept: tuple[str, ...]
    waivers: tuple[Waiver, ...]
    weakenings: tuple[Weakening, ...]
    chained: bool
    decision_valid_s: float
    times: Times
    remarks: tuple[str, ...]
    aside: tuple[SetAside, ...]
    windows: Mapping[str, tuple[datetime, datetime]]


def frame(begin: Mapping[str, Any]) -> Frame:
    """Read a `run` entry. Raises JournalError if this version cannot read it."""
    try:
        checklist = begin["checklist"]
        return Frame(
            run=begin["run"],
            change=begin["change"],
            inventory=begin["inventory"]["name"],
            description=begin["inventory"]["description"],
            inventory_sha256=begin["inventory"]["sha256"],
            checklist_sha256=checklist["sha256"],
            phases=tuple(Phase(**phase) for phase in checklist["phases"]),
            items=tuple(_item(item) for item in checklist["items"]),
            roles=tuple(checklist["roles"]),
            expression=begin["scope"],
            scope=tuple(begin["scope_items"]),
            not_applicable=begin["not_applicable"],
            rollback_from=begin["policy"]["rollback_from"],
            waived_exit=begin["waived_exit"],
            kept=tuple(begin["kept"]),
            waivers=tuple(_waiver(waiver) for waiver in begin["waivers"]),
            weakenings=tuple(_weakening(weakening) for weakening in begin["weakenings"]),
            windows={
                phase: (datetime.fromisoformat(start), datetime.fromisoformat(end))
                for phase, (start, end) in begin["windows"].items()
            },
            chained=begin["chained"],
            decision_valid_s=begin["policy"]["decision_valid_s"],
            times=Times(**begin["policy"].get("times", {})),
            remarks=tuple(begin.get("remarks", ())),
            aside=tuple(SetAside(**one) for one in begin.get("aside", ())),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise JournalError(f"a run in the journal cannot be read by this version: {error!r}") from None


def _item(plain: Mapping[str, Any]) -> Item:
    known = dict(plain)
    closing = Closing(known["closing"]) if known.get("closing") else None
    severity, kind = Severity(known["severity"]), Kind(known["kind"])
    return Item(**{**known, "severity": severity, "kind": kind, "closing": closing})


def _weakening(plain: str | Mapping[str, Any]) -> Weakening:
    """Read a weakening; earlier versions wrote the sentence alone, without the items that it bears on."""
    return Weakening(plain) if isinstance(plain, str) else Weakening(plain["text"], tuple(plain["items"]))


def _waiver(plain: Mapping[str, Any]) -> Waiver:
    times = {name: datetime.fromisoformat(plain[name]) for name in ("created", "expires")}
    return Waiver(**{**plain, **times})


def joined(segment: Segment) -> list[TestRecord]:
    """Return one record per test: findings of its teardown or of a repetition are added to its own."""
    found: dict[str, TestRecord] = {}
    for test in segment.tests:
        before = found[test.test].findings if test.test in found else ()
        found[test.test] = TestRecord(test.run, test.test, before + test.findings)
    return list(found.values())


def newest(runs: Sequence[Segment]) -> dict[str, tuple[Finding, ...]]:
    """Return what each test found in the latest run that it was part of."""
    return {test.test: test.findings for segment in runs for test in joined(segment)}


def chain(runs: Sequence[Segment]) -> list[Segment]:
    """Return the last run and the runs that it resumed, oldest first."""
    found: list[Segment] = []
    for segment in reversed(runs):
        found.append(segment)
        if not segment.begin.get("resumes"):
            break
    return list(reversed(found))


def bound_tests(entries: Sequence[Entry], run: str) -> dict[str, tuple[str, ...]] | None:
    """Return the item ids of each bound test of a run; None if the run ended before it collected them."""
    found = [entry for entry in entries if entry.kind == "bound" and entry.body.get("run") == run]
    return {test: tuple(items) for test, items in found[-1].body["tests"]} if found else None


def results(entries: Sequence[Entry]) -> list[compose.ItemResult]:
    """Compose every item of the last run's checklist. Raises JournalError if the journal has no run."""
    runs = segments(entries)
    if not runs:
        raise JournalError("the journal has no run yet")
    about = frame(runs[-1].begin)
    in_scope = set(about.scope)
    tests_of: defaultdict[str, list[str]] = defaultdict(list)
    for test, items in (bound_tests(entries, about.run) or {}).items():
        for item in items:
            tests_of[item].append(test)
    before = newest(runs[:-1])
    resumed = newest(chain(runs)[:-1])
    mine = [*(resumed.get(test, ()) for test in about.kept), *(test.findings for test in runs[-1].tests)]
    findings = [f for found in mine for f in found if f.item in in_scope]
    findings += [f for found in before.values() for f in found if f.item not in in_scope]
    everything = Counter(f.item for segment in runs for test in segment.tests for f in test.findings)
    composed = compose.results(
        about.items,
        in_scope,
        waivers.apply(findings, about.waivers, runs[-1].started, about.inventory, about.change),
        tests_of=tests_of,
        not_applicable=about.not_applicable,
        earlier=everything - Counter(f.item for f in findings),
    )
    told = _told(runs[:-1])
    return [
        _with_aside(_waived(_repeated(result, told), about, runs[-1].started), about.aside)
        for result in composed
    ]


def _told(runs: Sequence[Segment]) -> dict[str, tuple[Finding, ...]]:
    """Return what each test found in its latest conclusive run: an inconclusive run in between refutes nothing."""
    return {
        test.test: test.findings
        for segment in runs
        for test in joined(segment)
        if any(finding.verdict is not Verdict.INCONCLUSIVE for finding in test.findings)
    }


def _repeated(result: compose.ItemResult, before: Mapping[str, Sequence[Finding]]) -> compose.ItemResult:
    """Confirm failures that the same test also saw on the same target in its last conclusive run."""
    if result.verdict is not Verdict.FAIL or not result.in_scope:
        return result
    failed = {
        (f.test, f.item, f.target) for found in before.values() for f in found if f.verdict is Verdict.FAIL
    }
    findings = tuple(
        replace(f, confirmed=True)
        if f.verdict is Verdict.FAIL and (f.test, f.item, f.target) in failed
        else f
        for f in result.findings
    )
    return replace(result, findings=findings)


def _waived(result: compose.ItemResult, about: Frame, at: datetime) -> compose.ItemResult:
    """Apply a waiver of the whole item if its verdict is worse than those of its findings, or it has no finding."""
    if result.verdict is not Verdict.NOT_COVERED:
        return result
    whole = Finding(result.item.id, "", result.verdict, result.reason, "", at, 0.0)
    after = waivers.apply([whole], about.waivers, at, about.inventory, about.change)[0]
    return result if after is whole else replace(result, verdict=after.verdict, reason=after.reason)


def _with_aside(result: compose.ItemResult, aside: Sequence[SetAside]) -> compose.ItemResult:
    """Note the waivers that would bear on an item but do not count, at its findings that are not good."""
    said = tuple(one.words for one in aside if one.item == result.item.id and not one.attestation)
    if not said or result.verdict.good:
        return result
    findings = tuple(f if f.verdict.good else replace(f, notes=(*f.notes, *said)) for f in result.findings)
    return replace(result, findings=findings)


def unmet_before(entries: Sequence[Entry], composed: Sequence[compose.ItemResult], at: datetime) -> list[str]:
    """Return what the phases before the last run's scope lack for this change: a valid GO, or a deferred measurement.

    Phases about the whole change (the criteria) are not part of the chain, nor is a phase of which no item applies. A run decides a phase if its scope contains all items of that phase.
    """
    runs = segments(entries)
    about = frame(runs[-1].begin)
    phases = [phase.id for phase in about.phases if not phase.whole_change]
    items = {phase: {item.id for item in about.items if item.phase == phase} for phase in phases}
    scope = set(about.scope)
    touched = [index for index, phase in enumerate(phases) if items[phase] & scope]
    if not about.chained or not touched:
        return []
    said = []
    for phase in phases[: touched[-1]]:
        if items[phase] <= scope or items[phase] <= set(about.not_applicable):
            continue
        decided = [
            run.decision
            for run in runs[:-1]
            if run.decision and items[phase] <= set(run.begin["scope_items"])
        ]
        if not decided:
            said.append(f"{phase} has no decision for change {about.change} yet")
        elif decided[-1].outcome is not Outcome.GO:
            said.append(f"{phase} was decided {decided[-1].outcome} at {decided[-1].at:%Y-%m-%d %H:%M} UTC")
        elif (at - decided[-1].at).total_seconds() > about.decision_valid_s:
            valid = words_for(about.decision_valid_s)
            said.append(f"{phase} has a GO of {decided[-1].at:%Y-%m-%d %H:%M} UTC, older than {valid}")
    return said + _still_deferred(composed, phases[: touched[-1]])


def _still_deferred(composed: Sequence[compose.ItemResult], behind: Sequence[str]) -> list[str]:
    """Name the items that were deferred to a phase that is over by now and have not been measured since."""
    due = [
        r
        for r in composed
        if not r.in_scope
        and r.item.severity is not Severity.MINOR
        and r.item.phase in behind
        and r.deferred_to in behind
    ]
    return [
        f"{r.item.id} was deferred to {r.deferred_to} and has not been measured since: run {r.item.phase} again"
        for r in due
    ]


def question(entries: Sequence[Entry], lost: Sequence[str], at: datetime) -> rules.Question:
    """Return the question that the last run asks the rules; `lost` is evidence that could not be stored."""
    about = frame(segments(entries)[-1].begin)
    composed = results(entries)
    tests = bound_tests(entries, about.run)
    heard = {finding.test for result in composed for finding in result.findings}
    expected = set(about.scope) - set(about.not_applicable)
    silent = [test for test, items in (tests or {}).items() if set(items) & expected and test not in heard]
    gone = list(dict.fromkeys(lost))
    if tests is None:
        gone.append("collection did not finish, so it is unknown which tests should have run")
    return rules.Question(
        scope=about.expression or WHOLE,
        results=composed,
        phases=[phase.id for phase in about.phases],
        at=at,
        rollback_from=about.rollback_from,
        evidence=rules.Evidence(tuple(silent), tuple(gone)),
        before=unmet_before(entries, composed, at),
        circumstances=circumstances(entries, about.run),
        gone_back=_gone_back(entries, about.run),
        remarks=about.remarks,
        aside=[one.words for one in about.aside if not one.item or one.item in about.scope],
        waived_exit=about.waived_exit,
    )


def _gone_back(entries: Sequence[Entry], run: str) -> rules.GoneBack | None:
    """Return the result of the rollback that this run executed; None if it executed none."""
    found = [entry.body for entry in entries if entry.kind == GONE_BACK and entry.body.get("run") == run]
    return rules.GoneBack(found[-1]["verified"], found[-1]["why"]) if found else None


def circumstances(entries: Sequence[Entry], run: str) -> rules.Circumstances:
    """Return the circumstances that a run recorded; all unknown if it recorded none."""
    found = [entry.body for entry in entries if entry.kind == CIRCUMSTANCES and entry.body.get("run") == run]
    if not found:
        return rules.Circumstances()
    body = found[-1]
    red, measured = body["red_before"], body["measured_before"]
    return rules.Circumstances(
        red_before=None if red is None else frozenset(red),
        measured_before=None if measured is None else frozenset(measured),
        old_side_healthy=body["old_side_healthy"],
        blind=body["blind"],
        seen={
            "baseline": str(body.get("baseline", "")),
            **{name: _looks(body.get(name, ())) for name in ("old_side", "controls")},
        },
    )


def _looks(seen: Sequence[Mapping[str, Any]]) -> str:
    """Describe what was seen of some endpoints."""
    return ", ".join(f"{one['name']}: {one['said']}" for one in seen)
