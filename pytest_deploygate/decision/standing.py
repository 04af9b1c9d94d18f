"""The current results of all items and the question to decide, computed from the journal alone.

The last `run` entry holds the frame (checklist, scope, items that do not apply, kept tests), `bound` lists the tests, and
`test` entries hold the findings. Nothing else is read, so the result can be computed again anywhere.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from pytest_deploygate.checklist import waivers
from pytest_deploygate.checklist.vocabulary import SetAside
from pytest_deploygate.decision import chained, change_state, compose, rules
from pytest_deploygate.decision.frame import Frame, frame
from pytest_deploygate.decision.runs import chain, joined, newest
from pytest_deploygate.journal import Entry, JournalError, Segment, condensed, readable, segments
from pytest_deploygate.model import (
    Finding,
    Item,
    Severity,
    Verdict,
)

__all__ = ["WHOLE", "Frame", "bound_tests", "circumstances", "frame", "question", "results"]

WHOLE = "the whole checklist"
#: Kind of the line that says what a rollback depends on apart from the findings.
CIRCUMSTANCES = "circumstances"
#: Kind of the line that says how a rollback executed by a run ended.
GONE_BACK = "gone back"
#: Kind of the line that names the tests outside the checklist that failed in a run.
OTHERS = "others"


@readable()
def bound_tests(entries: Sequence[Entry], run: str) -> dict[str, tuple[str, ...]] | None:
    """Return the item ids of each bound test of a run; None if the run ended before it collected them."""
    found = [entry for entry in entries if entry.kind == "bound" and entry.body.get("run") == run]
    return {test: tuple(items) for test, items in found[-1].body["tests"]} if found else None


@readable()
def results(entries: Sequence[Entry], runs: Sequence[Segment] | None = None) -> list[compose.ItemResult]:
    """Compose every item of the last run's checklist, as of the last of `runs` (all). Raises JournalError without a run."""
    runs = segments(entries) if runs is None else runs
    if not runs:
        raise JournalError("the journal has no run yet")
    about = frame(runs[-1].begin)
    tests_of: defaultdict[str, list[str]] = defaultdict(list)
    for test, items in (bound_tests(entries, about.run) or {}).items():
        for item in items:
            tests_of[item].append(test)
    # A shard is asked about the items of its own tests.
    in_scope = set(about.scope) if about.shard is None else set(about.scope) & set(tests_of)
    before = newest(runs[:-1])
    resumed = newest(chain(runs)[:-1])
    mine = [*(resumed.get(test, ()) for test in about.kept), *(test.findings for test in runs[-1].tests)]
    findings = [f for found in mine for f in found if f.item in in_scope]
    findings += [f for found in before.values() for f in found if f.item not in in_scope]
    everything = Counter(f.item for segment in runs for test in segment.tests for f in test.findings)
    if short := condensed(entries):
        everything.update(dict(short.body["earlier"]))
    earlier = everything - Counter(f.item for f in findings)
    found = composed(about.items, in_scope, about, runs[-1].started, findings, tests_of, earlier)
    told = _told(runs[:-1])
    return [_with_aside(_repeated(result, told), about.aside) for result in found]


def composed(
    items: Sequence[Item],
    scope: Iterable[str],
    about: Frame,
    started: datetime,
    findings: Sequence[Finding],
    tests_of: Mapping[str, Sequence[str]],
    earlier: Mapping[str, int],
) -> list[compose.ItemResult]:
    """Compose some items of a run from their findings and the waivers; `scope` may be those of the run's among them."""
    found = compose.results(
        items,
        scope,
        waivers.apply(findings, about.waivers, started, about.inventory, about.change),
        tests_of=tests_of,
        not_applicable=about.not_applicable,
        earlier=earlier,
    )
    return [_waived(result, about, started) for result in found]


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
        (f.test, f.item, f.target): f.at
        for found in before.values()
        for f in found
        if f.verdict is Verdict.FAIL
    }

    def again(found: Finding) -> bool:
        """A finding that is taken over twice, by merging a shard again, was seen once."""
        at = failed.get((found.test, found.item, found.target))
        return at is not None and at != found.at

    findings = tuple(
        replace(f, confirmed=True) if f.verdict is Verdict.FAIL and again(f) else f for f in result.findings
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


@readable()
def question(
    entries: Sequence[Entry],
    lost: Sequence[str],
    at: datetime,
    composed: Sequence[compose.ItemResult] | None = None,
) -> rules.Question:
    """Return the question that the last run asks the rules; `lost` is evidence that could not be stored.

    `composed` are the `results` of these entries, if the caller has them already.
    """
    runs = segments(entries)
    about = frame(runs[-1].begin)
    composed = results(entries, runs) if composed is None else composed
    tests = bound_tests(entries, about.run)
    heard = {finding.test for result in composed for finding in result.findings}
    expected = set(about.scope) - set(about.not_applicable)
    silent = [test for test, items in (tests or {}).items() if set(items) & expected and test not in heard]
    gone = list(dict.fromkeys(lost))
    if tests is None:
        gone.append("collection did not finish, so it is unknown which tests should have run")
    return rules.Question(
        scope=about.scope_words or WHOLE,
        results=composed,
        phases=[phase.id for phase in about.phases],
        at=at,
        rollback_from=about.rollback_from,
        evidence=rules.Evidence(tuple(silent), tuple(gone)),
        before=[*chained.unmet(runs, about, at), *_still_deferred(composed, chained.behind(about))],
        folder=chained.of_others(runs),
        clock=chained.stepped(runs),
        whole_change=[phase.id for phase in about.phases if phase.whole_change],
        circumstances=circumstances(entries, about.run),
        gone_back=_gone_back(entries, about.run),
        remarks=about.remarks,
        aside=[one.words for one in about.aside if not one.item or one.item in about.scope],
        waived_exit=about.waived_exit,
        others=_others(entries, about.run),
        ticket=_ticket(about, at),
        is_part=about.shard is not None,
    )


def _ticket(about: Frame, at: datetime) -> tuple[change_state.Judged, bool] | None:
    """Return what the change's ticket means for a run that is decided at a time, and whether that can hold it.

    Phases that only read may run before a change is approved, and outside its window.
    """
    state = about.change_state
    if state is None:
        return None
    scope = set(about.scope)
    mine = {item.phase for item in about.items if item.id in scope}
    changes_something = any(phase.id in mine and not phase.read_only for phase in about.phases)
    holds = about.change_state_policy == change_state.REQUIRED and changes_something
    return change_state.judge(state, (state.read_at, at)), holds


def _others(entries: Sequence[Entry], run: str) -> list[str]:
    """Return the tests that are bound to no item and failed in a run."""
    found = [entry.body for entry in entries if entry.kind == OTHERS and entry.body.get("run") == run]
    return [str(test) for body in found for test in body["failed"]]


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
