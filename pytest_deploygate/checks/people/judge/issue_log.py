"""The issue log is good when everything that is not green has an entry with owner, severity and decision."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_deploygate.checklist.vocabulary import SEVERITIES, Issue
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Finding, Item, Judgement, Reading, Verdict, worst

_MOST_NAMED = 6


@dataclass(frozen=True)
class BadItem:
    """An item (or one of its targets) that is not green, with its verdict and reason."""

    item: str
    target: str
    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True)
class IssueLogSeen:
    """The log of a change and what it must cover. `items_seen`: items of the phase that have a verdict.

    `exists` is false if there is no such file, or one that does not count because of `aside`. `begun` is false if the
    phase has not begun for this change: nobody ran it by itself, and its planned time has not come.
    """

    file: str
    exists: bool
    entries: tuple[Issue, ...]
    bad_items: tuple[BadItem, ...]
    items_seen: int
    begun: bool = True
    aside: str = ""


@dataclass(frozen=True)
class Documented:
    """Everything that is not green in a phase needs an entry."""

    phase: str


@dataclass(frozen=True)
class NothingOpen:
    """No entry of this severity or a worse one may be open."""

    blocking: str = "critical"


def bad_of(
    item: Item, findings: Sequence[Finding], verdict: Verdict | None = None, reason: str = ""
) -> tuple[BadItem, ...]:
    """Return the parts of an item that are not green: its bad targets, or the item itself if it has no findings.

    `verdict` and `reason` are those of the whole item, if known: it can be bad although every target is good (one of
    its tests reported nothing). What can be measured only after a later phase (`deferred_to`) is left out: that phase
    measures it again.
    """
    if item.about_the_log:
        return ()
    whole = verdict if verdict is not None else worst(finding.verdict for finding in findings)
    if whole.good:
        return ()
    bad = [finding for finding in findings if not finding.verdict.good]
    if not bad:
        return (BadItem(item.id, "", whole, reason or "nothing ran for it"),)
    return tuple(
        BadItem(item.id, finding.target, finding.verdict, finding.reason)
        for finding in bad
        if not (finding.verdict is Verdict.INCONCLUSIVE and finding.deferred_to)
    )


def undocumented(bad_items: Iterable[BadItem], entries: Sequence[Issue]) -> list[BadItem]:
    """Return what has no entry at all and needs a stub. Stubs and closed entries count as entries."""
    return [bad for bad in bad_items if not any(entry.about(bad.item, bad.target) for entry in entries)]


def judge(seen: IssueLogSeen, criterion: Documented | NothingOpen) -> Judgement:
    """Judge the log against either criterion."""
    if isinstance(criterion, NothingOpen):
        return judge_open(seen, criterion)
    return judge_documented(seen, criterion)


def judge_documented(seen: IssueLogSeen, criterion: Documented) -> Judgement:
    """Judge whether everything in the phase that is not good is documented (items marked `.documented`)."""
    if not seen.items_seen:
        return Judgement(
            Verdict.INCONCLUSIVE,
            f"no item of {criterion.phase} has a verdict yet, so its issues are unknown: run it first",
        )
    problems = list(_problems(seen))
    readings = (
        Reading("items checked", seen.items_seen),
        Reading("not green", len(seen.bad_items)),
        Reading(
            "of these not documented",
            len(problems),
            limit="0" if seen.begun else "",
            ok=not problems if seen.begun else None,
        ),
    )
    if problems and not seen.begun:
        return Judgement(
            Verdict.NOT_COVERED,
            f"{criterion.phase} has not begun for this change, so its issues are not due yet "
            f"({len(seen.bad_items)} not green now): run `pytest -m {criterion.phase}` in its time",
            readings,
        )
    if problems:
        aside = f"{seen.file} does not count: {seen.aside}; " if seen.aside else ""
        return Judgement(Verdict.FAIL, f"{aside}{_some(problems)}; `deploygate issues` lists them", readings)
    if not seen.bad_items:
        return Judgement(
            Verdict.PASS, f"nothing to document: all {seen.items_seen} items are green", readings
        )
    return Judgement(Verdict.PASS, f"all {len(seen.bad_items)} are documented in {seen.file}", readings)


def judge_open(seen: IssueLogSeen, criterion: NothingOpen) -> Judgement:
    """Judge whether an entry at or over the blocking severity is open (items marked `.resolved`)."""
    if criterion.blocking not in SEVERITIES:
        return Judgement(Verdict.INCONCLUSIVE, f"there is no severity {criterion.blocking!r} to block on")
    if seen.aside:
        return Judgement(Verdict.NOT_COVERED, f"{seen.file} does not count: {seen.aside}")
    if not seen.exists:
        return Judgement(
            Verdict.NOT_COVERED,
            f"there is no issue log {seen.file}: `deploygate issues --write` creates it; a file with `[]` records that "
            "there were no issues",
        )
    weighty = SEVERITIES[: SEVERITIES.index(criterion.blocking) + 1]
    still_open = [entry for entry in seen.entries if entry.closed is None]
    blocking = [entry for entry in still_open if entry.severity in weighty]
    problems = [
        f"{_where(seen, entry)} {entry.item}: {entry.severity} and open, owner {entry.owner}: "
        "resolve it and set `closed`, or lower its severity with a reason"
        for entry in blocking
    ]
    lacking = list(_problems(seen))
    stubs = [_incomplete(seen, e) for e in still_open if e.incomplete and e not in blocking
             and not any(e.about(bad.item, bad.target) for bad in seen.bad_items)]  # fmt: skip
    readings = (
        Reading("entries", len(seen.entries)),
        Reading("open", len(still_open)),
        Reading(f"open at {criterion.blocking} or worse", len(blocking), limit="0", ok=not blocking),
        Reading("not green and not documented", len(lacking), limit="0", ok=not lacking),
        Reading("other entries to be filled in", len(stubs), limit="0", ok=not stubs),
    )
    problems += lacking + stubs
    if problems:
        return Judgement(Verdict.FAIL, _some(problems), readings)
    return Judgement(
        Verdict.PASS, f"nothing at {criterion.blocking} or worse is open in {seen.file}", readings
    )


def _problems(seen: IssueLogSeen) -> Iterable[str]:
    """Yield what is wrong with the log for each bad item; one complete, open entry is enough."""
    for bad in seen.bad_items:
        mine = [entry for entry in seen.entries if entry.about(bad.item, bad.target)]
        name = f"{bad.item} [{bad.target}]" if bad.target else bad.item
        if any(entry.closed is None and not entry.incomplete for entry in mine):
            continue
        stubs = [entry for entry in mine if entry.incomplete]
        if stubs:
            yield _incomplete(seen, stubs[0])
        elif mine:
            yield f"{_where(seen, mine[0])} {name} is closed, but it is {_word(bad.verdict)}: reopen it"
        else:
            yield f"{name} is {_word(bad.verdict)} and has no entry in {seen.file}"


def _incomplete(seen: IssueLogSeen, entry: Issue) -> str:
    return f"{_where(seen, entry)} {entry.item} is a stub: fill in {', '.join(entry.incomplete)}"


def _where(seen: IssueLogSeen, entry: Issue) -> str:
    return f"{seen.file}:{entry.line}:"


def _word(verdict: Verdict) -> str:
    return {Verdict.FAIL: "failing", Verdict.NOT_COVERED: "not covered"}.get(verdict, verdict.value)


def _some(problems: Sequence[str]) -> str:
    more = f"; and {len(problems) - _MOST_NAMED} more" if len(problems) > _MOST_NAMED else ""
    return "; ".join(problems[:_MOST_NAMED]) + more
