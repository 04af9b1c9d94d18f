"""GO, HOLD or ROLLBACK: a pure function of item results, policy and circumstances, with the rules that decided.

HOLD means stop here. ROLLBACK means return to the old side, and needs more than a failed item: see `_rollback`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime

from pytest_deploygate.decision.change_state import Judged
from pytest_deploygate.decision.compose import ItemResult, measured_red
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Decision, Outcome, Rule, Severity, Verdict, words_for_count

#: Exit codes of a run, by what they mean.
EXIT_GO, EXIT_FAILED, EXIT_WAIVERS, EXIT_HOLD = 0, 1, 20, 21
EXIT_ROLLBACK, EXIT_BACK, EXIT_BACK_FAILED, EXIT_INCOMPLETE = 22, 23, 24, 25
#: If several apply, the first of these counts.
EXIT_PRECEDENCE = (
    EXIT_BACK_FAILED,
    EXIT_BACK,
    EXIT_ROLLBACK,
    EXIT_INCOMPLETE,
    EXIT_FAILED,
    EXIT_HOLD,
    26,
    EXIT_WAIVERS,
    EXIT_GO,
)

#: The rule that says whether a rollback is advised, with the answer to each of its conditions.
CONDITIONS = "rollback conditions"
#: The rule that holds a phase until those before it have a GO.
BEFORE = "the phases before must have a GO for this change"
#: The rule that holds a run in which a test outside the checklist failed.
OTHERS = "a failed test outside the checklist holds"
#: The rule that holds a run whose evidence could not all be stored.
KEPT = "evidence must be kept"
#: The rule that holds a run outside an approved change.
OUTSIDE = "a run outside an approved change holds"
_WEIGHTY = (Severity.CRITICAL, Severity.MAJOR)
_OUTCOME_WORST_FIRST = (Outcome.ROLLBACK, Outcome.HOLD, Outcome.GO)


@dataclass(frozen=True)
class Circumstances:
    """What a rollback depends on apart from the findings. None means unknown, and unknown never allows a rollback.

    `red_before`: items that failed in the baseline; `measured_before`: items that the baseline measured.
    `old_side_healthy`: the old system can take the users back now. `blind`: several unrelated subjects were unreachable
    at once, so our runner or network is suspect. `seen` describes the evidence, by `baseline`, `old_side` and `controls`.
    """

    red_before: frozenset[str] | None = None
    old_side_healthy: bool | None = None
    blind: bool | None = None
    measured_before: frozenset[str] | None = None
    seen: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Evidence:
    """Gaps in the evidence: `silent` are bound tests without a finding, `lost` is evidence that could not be stored."""

    silent: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


@dataclass(frozen=True)
class GoneBack:
    """The result of a rollback that this run executed. `verified` is None if it was not started; `why` gives the reason."""

    verified: bool | None
    why: str


@dataclass(frozen=True)
class Question:
    """Everything that a decision depends on.

    `phases` are the checklist's phases in order, of which `whole_change` concern the whole change; `before` says which
    phases before this scope lack a valid GO. `folder` says why the folder is not the record of this change alone. `aside`
    are sentences about records that do not count, `clock` about steps of the clock. `others` are tests outside the
    checklist that failed in this run. `ticket` is what the change's ticket says, and whether that can hold; None: not read.
    `is_part` is true for a shard, which may have nothing that was measured: all shards together are asked for that.
    """

    scope: str
    results: Sequence[ItemResult]
    phases: Sequence[str]
    at: datetime
    rollback_from: str = "golive"
    evidence: Evidence = field(default_factory=Evidence)
    before: Sequence[str] = ()
    circumstances: Circumstances = field(default_factory=Circumstances)
    gone_back: GoneBack | None = None
    remarks: Sequence[str] = ()
    aside: Sequence[str] = ()
    waived_exit: bool = False
    folder: Sequence[str] = ()
    clock: Sequence[str] = ()
    whole_change: Sequence[str] = ()
    others: Sequence[str] = ()
    ticket: tuple[Judged, bool] | None = None
    is_part: bool = False


def decide(question: Question) -> Decision:
    """Decide, and list every rule that applied, the deciding ones first."""
    mine = [result for result in question.results if result.in_scope]
    rules: list[Rule] = []
    codes: set[int] = set()
    for rule, code in (
        *_gone_back(question.gone_back),
        *_rollback(question, mine),
        *_incomplete(question.evidence),
        *(_part(mine) if question.is_part else _nothing(mine)),
        *_failed(mine),
        *_others(question.others),
        *_unknown(mine, question.phases, question.whole_change),
        *_before(question.before),
        *_folder(question.folder),
        *_ticket(question.ticket),
        *_timed(question.remarks),
        *_stepped(question.clock),
        *_aside(question.aside),
        *_listed(mine, question.waived_exit),
    ):
        rules.append(rule)
        codes.add(code)
    outcome = min((rule.says for rule in rules), key=_OUTCOME_WORST_FIRST.index, default=Outcome.HOLD)
    rules.sort(key=lambda rule: _OUTCOME_WORST_FIRST.index(rule.says))
    return Decision(
        outcome=outcome,
        scope=question.scope,
        exit_code=next(code for code in EXIT_PRECEDENCE if code in codes),
        rules=tuple(rules),
        at=question.at,
        counts=dict(Counter(result.verdict.value for result in mine)),
    )


Said = list[tuple[Rule, int]]


def _ids(results: Sequence[ItemResult]) -> tuple[str, ...]:
    return tuple(result.item.id for result in results)


def _some(results: Sequence[ItemResult]) -> str:
    names = _ids(results)
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def _count(results: Sequence[ItemResult]) -> str:
    by_severity = Counter(result.item.severity for result in results)
    return " and ".join(
        f"{by_severity[severity]} {severity}" for severity in Severity if by_severity[severity]
    )


def _failed(mine: Sequence[ItemResult]) -> Said:
    failed = [r for r in mine if r.verdict is Verdict.FAIL and r.item.severity in _WEIGHTY]
    if not failed:
        return []
    verb = "item" if len(failed) == 1 else "items"
    text = f"{_count(failed)} {verb} failed: {_some(failed)}"
    return [(Rule("a failed critical or major item holds", Outcome.HOLD, text, _ids(failed)), EXIT_FAILED)]


def _others(failed: Sequence[str]) -> Said:
    if not failed:
        return []
    number = words_for_count(len(failed), "test", "tests")
    some = ", ".join(failed[:4]) + (f" and {len(failed) - 4} more" if len(failed) > 4 else "")
    text = f"{number} outside the checklist failed: {some}"
    return [(Rule(OTHERS, Outcome.HOLD, text), EXIT_FAILED)]


def _unknown(mine: Sequence[ItemResult], phases: Sequence[str], whole_change: Sequence[str]) -> Said:
    said: Said = []
    weighty = [r for r in mine if r.item.severity in _WEIGHTY]
    reached = max((_order(phases, r.item.phase) for r in mine), default=-1)
    unclear = [r for r in weighty if r.verdict is Verdict.INCONCLUSIVE]
    # A phase that is not in the checklist never comes, and after the last one nothing does: no run would measure it then.
    last = next((phase for phase in reversed(phases) if phase not in whole_change), "")
    later = [
        r
        for r in unclear
        if r.deferred_to in phases
        and reached <= phases.index(r.deferred_to)
        and not (r.deferred_to == last and reached == phases.index(last))
    ]
    now = [r for r in unclear if r not in later]
    if now:
        rule = Rule("unknown is not a pass", Outcome.HOLD, f"inconclusive: {_some(now)}", _ids(now))
        said.append((rule, EXIT_HOLD))
    for phase in dict.fromkeys(r.deferred_to for r in later):
        these = [r for r in later if r.deferred_to == phase]
        text = f"cannot be measured before {phase}; run again after it: {_some(these)}"
        said.append(
            (Rule("deferred items do not hold before their phase", Outcome.GO, text, _ids(these)), EXIT_GO)
        )
    uncovered = [r for r in weighty if r.verdict is Verdict.NOT_COVERED]
    if uncovered:
        number = words_for_count(len(uncovered), "item is", "items are")
        text = f"{number} not covered, critical or major: {_some(uncovered)}"
        said.append((Rule("what is not covered holds", Outcome.HOLD, text, _ids(uncovered)), EXIT_HOLD))
    return said


def _nothing(mine: Sequence[ItemResult]) -> Said:
    if any(r.verdict in (Verdict.PASS, Verdict.ATTESTED, Verdict.WAIVED, Verdict.FAIL) for r in mine):
        return []
    text = "no item of this scope was measured or attested"
    if half := [r.item.id for r in mine if any(finding.verdict.good for finding in r.findings)]:
        some = ", ".join(half[:4]) + (" …" if len(half) > 4 else "")
        text = f"no item of this scope has all that it needs; a part of it passed: {some}"
    if mine and all(r.verdict is Verdict.NOT_APPLICABLE for r in mine):
        text += ": the inventory declares that none of them applies, so leave this scope out"
    return [(Rule("nothing measured is never GO", Outcome.HOLD, text), EXIT_HOLD)]


def _part(mine: Sequence[ItemResult]) -> Said:
    text = "this is a part of the run" if mine else "no test is left for this part of the run"
    return [(Rule("a shard is a part of a run", Outcome.GO, text), EXIT_GO)]


def _incomplete(evidence: Evidence) -> Said:
    said: Said = []
    if evidence.silent:
        some = ", ".join(evidence.silent[:4]) + (" …" if len(evidence.silent) > 4 else "")
        text = f"{len(evidence.silent)} bound tests yielded no finding: {some}"
        said.append((Rule("evidence must be complete", Outcome.HOLD, text), EXIT_INCOMPLETE))
    if evidence.lost:
        text = "; ".join(evidence.lost)
        said.append((Rule(KEPT, Outcome.HOLD, text), EXIT_INCOMPLETE))
    return said


def _before(unmet: Sequence[str]) -> Said:
    if not unmet:
        return []
    text = "; ".join(unmet)
    return [(Rule(BEFORE, Outcome.HOLD, text), EXIT_HOLD)]


def _folder(folder: Sequence[str]) -> Said:
    return [
        (Rule("one folder is the record of one change", Outcome.HOLD, text), EXIT_HOLD) for text in folder
    ]


def _ticket(found: tuple[Judged, bool] | None) -> Said:
    """Hold a run outside an approved change, and one of which that is unknown, where the policy requires it."""
    if found is None:
        return []
    judged, can_hold = found
    if can_hold and judged.good is not True:
        return [(Rule(OUTSIDE, Outcome.HOLD, judged.text), EXIT_HOLD)]
    return [(Rule("the state of the change is listed", Outcome.GO, judged.text), EXIT_GO)]


def _stepped(clock: Sequence[str]) -> Said:
    return [(Rule("a step of the clock is listed", Outcome.GO, text), EXIT_GO) for text in clock]


def _aside(aside: Sequence[str]) -> Said:
    return [(Rule("a record that does not count is listed", Outcome.GO, text), EXIT_GO) for text in aside]


def _timed(remarks: Sequence[str]) -> Said:
    return [(Rule("a run outside its time is listed", Outcome.GO, remark), EXIT_GO) for remark in remarks]


def _listed(mine: Sequence[ItemResult], waived_exit: bool) -> Said:
    """Return the rules that never hold, but must be listed."""
    said: Said = []
    minor = [
        r
        for r in mine
        if r.item.severity is Severity.MINOR
        and r.verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NOT_COVERED)
    ]
    if minor:
        text = f"minor and not passed: {_some(minor)}"
        rule = Rule("minor items do not hold", Outcome.GO, text, _ids(minor))
        said.append((rule, EXIT_GO))
    waived = [r for r in mine if r.verdict is Verdict.WAIVED]
    if waived:
        text = f"waived: {_some(waived)}"
        rule = Rule("waived items do not hold while the waiver lasts", Outcome.GO, text, _ids(waived))
        said.append((rule, EXIT_WAIVERS if waived_exit else EXIT_GO))
    good = [r for r in mine if r.verdict.good]
    if good:
        text = f"{len(good)} of {len(mine)} items in scope meet the checklist"
        said.append((Rule("passed, attested or not applicable", Outcome.GO, text), EXIT_GO))
    return said


def _order(phases: Sequence[str], phase: str) -> int:
    return phases.index(phase) if phase in phases else len(phases)


def _gone_back(ended: GoneBack | None) -> Said:
    if ended is None:
        return []
    if ended.verified is None:
        return [
            (Rule("prerequisites of the rollback are not met", Outcome.ROLLBACK, ended.why), EXIT_ROLLBACK)
        ]
    if ended.verified:
        return [(Rule("rolled back and verified", Outcome.ROLLBACK, ended.why), EXIT_BACK)]
    return [(Rule("the rollback failed", Outcome.ROLLBACK, ended.why), EXIT_BACK_FAILED)]


def _rollback(question: Question, mine: Sequence[ItemResult]) -> Said:
    """Advise ROLLBACK if every condition is met. If one is not met or unknown, name it and HOLD.

    The conditions: a critical item failed in a phase from `rollback_from` on (before that no user is on the new
    system), the failure was observed twice, the item did not fail before the change, the old side is healthy now, and
    our own view is sound.
    """
    start = _order(question.phases, question.rollback_from)
    red = [
        r
        for r in mine
        if r.verdict is Verdict.FAIL
        and r.item.severity is Severity.CRITICAL
        and _order(question.phases, r.item.phase) >= start
        and measured_red(r)
    ]
    if not red:
        return []
    facts = question.circumstances
    new = red if facts.red_before is None else [r for r in red if r.item.id not in facts.red_before]
    if not new:
        text = f"{_some(red)} failed, and failed before the change as well: no reason to roll back"
        return [(Rule(CONDITIONS, Outcome.HOLD, text, _ids(red)), EXIT_FAILED)]
    if facts.measured_before is not None:
        new = [r for r in new if r.item.id in facts.measured_before] or new
    new = [r for r in new if r.confirmed] or new
    parts = _parts(new, facts)
    answers = "; ".join(part.said for part in parts)  # see `short`
    unmet = [part.unmet for part in parts if not part.holds]
    if unmet:
        text = f"{_some(new)} failed after {question.rollback_from} began; ROLLBACK is not advised: {'; '.join(unmet)} ({answers})"
        return [(Rule(CONDITIONS, Outcome.HOLD, text, _ids(new)), EXIT_FAILED)]
    text = f"{_some(new)} failed twice, passed before the change, and the old side is healthy now ({answers})"
    return [(Rule(CONDITIONS, Outcome.ROLLBACK, text, _ids(new)), EXIT_ROLLBACK)]


def only_others_failed(decision: Decision) -> bool:
    """Tell whether the exit code is 1 although no item failed: a test outside the checklist did."""
    return (
        decision.exit_code == EXIT_FAILED
        and not decision.counts.get(Verdict.FAIL.value)
        and any(rule.name == OTHERS for rule in decision.rules)
    )


def short(rule: Rule) -> str:
    """Return the reason of a rule without the answers to each condition."""
    return rule.because.partition(_ANSWERS)[0]


_ANSWERS = " (seen twice?"


@dataclass(frozen=True)
class _Part:
    """One condition of ROLLBACK: whether it is met (None: unknown), the question, its evidence, and why it is not met."""

    holds: bool | None
    question: str
    rests_on: str
    unmet: str

    @property
    def said(self) -> str:
        answer = {True: "yes", False: "no", None: "unknown"}[self.holds]
        return f"{self.question}? {answer}" + (f", {self.rests_on}" if self.rests_on else "")


def _parts(new: Sequence[ItemResult], facts: Circumstances) -> tuple[_Part, ...]:
    """Answer each condition for the items that failed. Unknown never counts as yes."""
    ids = {r.item.id for r in new}
    known = facts.measured_before is None or bool(ids & facts.measured_before)
    green = None if facts.red_before is None or not known else True
    seen = facts.seen
    return (
        _Part(any(r.confirmed for r in new), "seen twice", "", "the failure was not confirmed by a repeat"),
        _Part(
            green,
            "passed before the change",
            seen.get("baseline", ""),
            "there is no baseline, so it may have failed before the change"
            if facts.red_before is None
            else "the baseline did not measure it, so it may have failed before the change",
        ),
        _Part(
            facts.old_side_healthy,
            "old side healthy now",
            seen.get("old_side", ""),
            "the health of the old side is unknown"
            if facts.old_side_healthy is None
            else "the old side is not healthy",
        ),
        _Part(
            None if facts.blind is None else not facts.blind,
            "our own view sound",
            seen.get("controls", ""),
            "it is unknown whether our own view is sound"
            if facts.blind is None
            else "several unrelated subjects are unreachable: our runner or network is suspect",
        ),
    )
