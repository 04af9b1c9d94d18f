"""The differences between two records: verdicts, waivers, weakenings, and numbers that moved beyond their noise.

Only items in the scope of both are compared. Items that left or joined the scope are named, never counted as covered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum

from pytest_deploygate.checklist.vocabulary import time_words
from pytest_deploygate.checklist.waivers import Waiver, scope
from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.decision.condensed import Numbers, as_number
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Finding, Reading, Verdict, Weakening, worst
from pytest_deploygate.report import noise, words


class Kind(StrEnum):
    """The kind of a difference, in the order in which they are shown."""

    FAILING = "newly failing"
    UNCOVERED = "newly uncovered"
    UNKNOWN = "newly inconclusive"
    WAIVER = "waiver changes"
    WEAKER = "weaker than before"
    SCOPE = "scope and checklist"
    MOVED = "measurements that moved"
    FIXED = "fixed"
    OTHER = "other verdicts"


@dataclass(frozen=True)
class Change:
    """One difference. `was` and `now` are a verdict, a value or a time in words; `text` is a whole sentence."""

    kind: Kind
    item: str
    target: str
    text: str
    was: str = ""
    now: str = ""


@dataclass(frozen=True)
class Side:
    """One side of a comparison: the results of all items, waivers, weakenings. Times are those of the record."""

    results: Sequence[ItemResult]
    waivers: Sequence[Waiver] = ()
    weakenings: Sequence[Weakening] = ()


def compare(before: Side, after: Side, earlier: Numbers) -> tuple[Change, ...]:
    """Return what changed between the two, most urgent kinds first, then in the order of the checklist."""
    found = [*_items(before, after, earlier), *_waivers(before, after), *_weakenings(before, after)]
    order = list(Kind)
    return tuple(sorted(found, key=lambda change: order.index(change.kind)))


def _items(before: Side, after: Side, earlier: Numbers) -> Iterator[Change]:
    old = {r.item.id: r for r in before.results}
    seen = set()
    for now in after.results:
        was = old.get(now.item.id)
        seen.add(now.item.id)
        if was is None:
            if now.in_scope:
                yield _scope(now, _NEW, "", words.verdict(now.verdict))
        elif was.in_scope and now.in_scope:
            yield from _verdicts(was, now)
            yield from _moved(was, now, earlier)
        elif was.in_scope != now.in_scope:
            said = _JOINED if now.in_scope else _LEFT
            yield _scope(now, said, words.verdict(was.verdict) if was.in_scope else "out of scope",
                         words.verdict(now.verdict) if now.in_scope else "out of scope")  # fmt: skip
    for gone in before.results:
        if gone.in_scope and gone.item.id not in seen:
            yield _scope(gone, _REMOVED, words.verdict(gone.verdict), "removed")


_JOINED, _LEFT = "joined the scope", "is out of scope now: its state is unknown"
_NEW, _REMOVED = "is new in the checklist", "was removed from the checklist"
#: The same of several items.
_PLURAL = {
    _JOINED: "joined the scope",
    _LEFT: "are out of scope now, so their state is unknown",
    _NEW: "are new in the checklist",
    _REMOVED: "were removed from the checklist",
}


def _scope(result: ItemResult, said: str, was: str, now: str) -> Change:
    return Change(Kind.SCOPE, result.item.id, "", f"{result.item.id} {said}", was, now)


_BECAME = {
    Verdict.FAIL: Kind.FAILING,
    Verdict.NOT_COVERED: Kind.UNCOVERED,
    Verdict.INCONCLUSIVE: Kind.UNKNOWN,
    Verdict.WAIVED: Kind.WAIVER,
}


def _verdicts(was: ItemResult, now: ItemResult) -> Iterator[Change]:
    """Compare the verdicts of an item; if they are the same and not good, those of its targets."""
    if was.verdict is not now.verdict:
        yield _verdict(now.item.id, "", was.verdict, now.verdict, now.reason)
    elif not now.verdict.good:
        before, after = _by_target(was.findings), _by_target(now.findings)
        for target, (verdict, reason) in after.items():
            if target in before and before[target][0] is not verdict:
                yield _verdict(now.item.id, target, before[target][0], verdict, reason)
            elif target not in before and not verdict.good:
                yield _verdict(now.item.id, target, Verdict.NOT_APPLICABLE, verdict, reason, new=True)


def _verdict(item: str, target: str, was: Verdict, now: Verdict, reason: str, *, new: bool = False) -> Change:
    if now.good:
        kind = Kind.FIXED if not was.good and was is not Verdict.WAIVED else Kind.OTHER
        kind = Kind.WAIVER if was is Verdict.WAIVED else kind
    else:
        kind = _BECAME[now]
    before = "not there" if new else words.verdict(was)
    where = f"{item} [{target}]" if target else item
    said = f"{where}: {before} before, {words.verdict(now)} now: {reason}"
    return Change(kind, item, target, said, before, words.verdict(now))


def _by_target(findings: Iterable[Finding]) -> dict[str, tuple[Verdict, str]]:
    found: dict[str, tuple[Verdict, str]] = {}
    for finding in findings:
        known = found.get(finding.target)
        if known is None or worst((known[0], finding.verdict)) is not known[0]:
            found[finding.target] = (finding.verdict, finding.reason)
    return found


def _moved(was: ItemResult, now: ItemResult, earlier: Numbers) -> Iterator[Change]:
    before = {(f.target, r.name): r for f in was.findings for r in f.readings}
    for finding in now.findings:
        for reading in finding.readings:
            old = before.get((finding.target, reading.name))
            if old is not None and old.value != reading.value:
                key = (now.item.id, finding.target, reading.name)
                yield from _reading(key, old, reading, earlier.get(key, ()))


def _reading(
    key: tuple[str, str, str], old: Reading, new: Reading, earlier: Sequence[float]
) -> Iterator[Change]:
    item, target, name = key
    where = f"{item} [{target}]" if target else item
    was, now = words.measured(old), words.measured(new)
    before, after = as_number(old.value), as_number(new.value)
    if before is None or after is None or old.unit != new.unit:
        if new.limit:  # a word without a limit (a plan, a time) changes from run to run
            text = f"{where}: {name} was {was} and is {now} (limit {new.limit})"
            yield Change(Kind.MOVED, item, target, text, was, now)
        return
    band = noise.band(before, earlier)
    if not band.holds(after):
        text = f"{where}: {name} went from {was} to {now}{_percent(before, after)}; {band.source}"
        text += f" ({words.number(float(band.low))} to {words.number(float(band.high))})"
        text += f"; limit {new.limit}" if new.limit else ""
        yield Change(Kind.MOVED, item, target, text, was, now)


def _percent(before: float, after: float) -> str:
    return f" ({(after - before) / abs(before):+.0%})" if before else ""


#: More changes of the scope than these are one line: a run of another phase moves a hundred items.
_MOST_ONE_BY_ONE = 5


def grouped(found: Sequence[Change]) -> Iterator[Change]:
    """Yield the changes in their order; many items that joined or left the scope in the same way are one of them."""
    alike: dict[str, list[str]] = {}
    for change in found:
        if change.kind is Kind.SCOPE:
            alike.setdefault(_how(change), []).append(change.item)
    for change in found:
        items = alike.get(_how(change), []) if change.kind is Kind.SCOPE else []
        if len(items) <= _MOST_ONE_BY_ONE:
            yield change
        elif change.item == items[0]:
            names = f"{', '.join(items[:_MOST_ONE_BY_ONE])} and {len(items) - _MOST_ONE_BY_ONE} more"
            text = f"{len(items)} items {_PLURAL[_how(change)]}: {names}"
            yield Change(Kind.SCOPE, "", "", text, change.was, change.now)


def _how(change: Change) -> str:
    return change.text.removeprefix(change.item).strip()


def _waivers(before: Side, after: Side) -> Iterator[Change]:
    old, new = {scope(w): w for w in before.waivers}, {scope(w): w for w in after.waivers}
    for key, waiver in new.items():
        if key not in old:
            yield _waiver(
                waiver, f"new waiver by {waiver.owner}, approved by {waiver.approver}", "none", _until(waiver)
            )
        elif old[key].expires != waiver.expires:
            longer = "lengthened" if waiver.expires > old[key].expires else "shortened"
            yield _waiver(
                waiver, f"waiver {longer}, approved by {waiver.approver}", _until(old[key]), _until(waiver)
            )
        elif old[key] != waiver:
            yield _waiver(waiver, "waiver rewritten", _until(old[key]), _until(waiver))
    for key, waiver in old.items():
        if key not in new:
            yield _waiver(waiver, "waiver was removed", _until(waiver), "none")


def _waiver(waiver: Waiver, said: str, was: str, now: str) -> Change:
    target = f" [{waiver.target}]" if waiver.target else ""
    until = f" ({was} → {now}, ticket {waiver.ticket})"
    return Change(Kind.WAIVER, waiver.item, waiver.target, f"{waiver.item}{target}: {said}{until}", was, now)


def _until(waiver: Waiver) -> str:
    return f"until {time_words(waiver.expires)}"


def _weakenings(before: Side, after: Side) -> Iterator[Change]:
    """Compare weakenings by their sentences. Those that bear on no item in scope are one change."""
    known = {weakening.text for weakening in before.weakenings}
    scope = {r.item.id for r in after.results if r.in_scope}
    new = [weakening for weakening in after.weakenings if weakening.text not in known]
    now = "weaker than the checklist"
    for weakening in new:
        if weakening.bears_on(scope):
            yield Change(Kind.WEAKER, "", "", weakening.text, "", now)
    if others := [weakening.text for weakening in new if not weakening.bears_on(scope)]:
        said = words.count(len(others), "weakening bears", "weakenings bear")
        yield Change(Kind.WEAKER, "", "", f"{said} on no item in scope: {'; '.join(others)}", "", now)
