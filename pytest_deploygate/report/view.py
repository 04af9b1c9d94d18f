"""What the page shows, computed from the record: the template only lays it out.

The page stays under a megabyte (`size`). Items that need action are shown in full first, then the passes in the order
of the checklist, while there is room. The rest is shown in one line each, and the page says so.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from datetime import datetime

from markupsafe import Markup

from pytest_deploygate.decision import rules
from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import (
    Finding,
    Item,
    Phase,
    Rule,
    Severity,
    Verdict,
    Weakening,
)
from pytest_deploygate.report import (
    causes,
    changes,
    ending,
    grouping,
    owners,
    phase_strip,
    schedule,
    signing,
    size,
    spending,
    words,
)
from pytest_deploygate.report.causes import Cause
from pytest_deploygate.report.changes import Change
from pytest_deploygate.report.ending import Ending
from pytest_deploygate.report.plots import coverage
from pytest_deploygate.report.record import Record

#: Passes with more targets than this are folded (and unfolded in print).
FOLD_OVER = 3
#: Items that a rule names and links; the rest are counted.
ITEMS_PER_RULE = 12
#: Changes of a kind, attestations and events that are listed; the rest are counted.
CHANGES, ATTESTED, EVENTS = 20, 60, 100
#: Items that need action, or causes that items share, that are named at the top in one line each.
GLANCE = 40
_PLAIN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}")
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")


@dataclass(frozen=True)
class Card:
    """One item as shown. `full` is false if there was no room for its readings."""

    result: ItemResult
    anchor: str
    full: bool
    bad: tuple[Finding, ...]
    good: tuple[Finding, ...]
    deferred: str

    @property
    def item(self) -> Item:
        """The item of the checklist."""
        return self.result.item

    @property
    def verdict(self) -> Verdict:
        """The verdict that counts for the item."""
        return self.result.verdict

    @property
    def named(self) -> bool:
        """True if the findings have targets that distinguish them."""
        found = self.result.findings
        return len(found) > 1 or any(f.target for f in found)

    @property
    def own_reason(self) -> bool:
        """True if the item's own reason says more than its findings, which are shown below it with their reasons."""
        said = [f.reason for f in self.result.findings if f.verdict is self.verdict]
        return not any(reason and reason in self.result.reason for reason in said)

    @property
    def drawn(self) -> bool:
        """True if a finding has a figure: its card is open."""
        return any(f.figures for f in self.result.findings)

    @property
    def measured(self) -> bool:
        """True if a finding rests on a measurement. If nothing was measured, the reason is all there is to show."""
        return any(
            f.verdict is not Verdict.NOT_COVERED or f.readings or f.notes for f in self.result.findings
        )

    @property
    def fold(self) -> bool:
        """True if there are too many good targets to show them open."""
        return len(self.good) > FOLD_OVER or bool(self.bad)


Blocks = tuple[tuple[bool, tuple[Card, ...]], ...]


@dataclass(frozen=True)
class Shown:
    """A cause as shown: of a single item, or shared by several items, with one anchor for all."""

    cause: Cause
    cards: tuple[Card, ...]
    anchor: str
    blocks: Blocks
    owners: tuple[str, ...]

    @property
    def title(self) -> str:
        """The number of items, with their severities."""
        return causes.title(self.cause)

    @property
    def named(self) -> str:
        """The ids of its items: all that failed, the first of others."""
        failed = self.cards[0].verdict is Verdict.FAIL
        return words.listed(self.cause.ids, most=len(self.cards) if failed else ITEMS_PER_RULE)


@dataclass(frozen=True)
class Group:
    """Items that need action, under one heading: shared causes, and between them blocks of single items.

    A block consists of rows (nothing measured to show) or of cards.
    """

    title: str
    about: str
    size: int
    parts: tuple[tuple[Shown | None, Blocks], ...]


@dataclass(frozen=True)
class PhaseView:
    """A phase: its items in scope as blocks (rows or cards, in order), and those out of scope.

    `above` counts the items that are already listed in brief under the items that need action, and are not repeated.
    """

    phase: Phase
    blocks: Blocks
    above: int
    inside: tuple[ItemResult, ...]
    outside: tuple[Card, ...]

    @property
    def summary(self) -> str:
        """The tally of its verdicts."""
        return words.tally_words(r.verdict for r in self.inside)


@dataclass(frozen=True)
class Page:
    """Everything that the template needs."""

    record: Record
    ending: Ending
    strip: tuple[phase_strip.Box, ...]
    rules: tuple[Rule, ...]
    beside: tuple[tuple[str, tuple[Rule, ...]], ...]
    groups: tuple[Group, ...]
    glance: tuple[Shown, ...]
    acting: int
    unseen: int
    phases: tuple[PhaseView, ...]
    tally: tuple[tuple[Verdict, int], ...]
    bar: Markup
    by_severity: tuple[tuple[str, tuple[tuple[Verdict, int], ...]], ...]
    times: tuple[schedule.PhaseTimes, ...]
    timeline: Markup
    happened: tuple[tuple[datetime, str, str], ...]
    waivers: tuple[signing.WaiverShown, ...]
    attested: tuple[tuple[Item, Finding], ...]
    signers: tuple[signing.Signer, ...]
    changes: tuple[tuple[changes.Kind, tuple[Change, ...]], ...]
    total: int
    good: int
    only_passes: bool
    unknown: tuple[tuple[Verdict, int], ...]
    outside: int
    waiting: int
    full: int  # items that are shown with all that was measured
    brief: int
    anchors: dict[str, str]
    weaker: tuple[Weakening, ...]
    weaker_elsewhere: tuple[Weakening, ...]
    spent: tuple[spending.Row, ...]


def page(record: Record, room: int) -> Page:
    """Compute the page, with `room` bytes for items that are shown in full."""
    decision = record.decision
    inside = grouping.in_scope(record)
    against = grouping.held(record)
    rules = grouping.deciding(decision.rules, decision.outcome) if decision else ()
    bad = _deciding_first(grouping.not_good(inside, against), rules, against)
    known = causes.grouped(bad, against)
    in_full = size.in_full(
        bad, inside, room - sum(size.outside_bytes(r) for r in record.items if not r.in_scope)
    )
    planned = frozenset(record.planned)
    anchors = _anchors(record.items, in_full | {i for rule in rules for i in rule.items[:ITEMS_PER_RULE]})
    cards = {
        r.item.id: _card(r, anchors.get(r.item.id, ""), r.item.id in in_full, grouping.deferred(r, against))
        for r in record.items
    }
    answering = owners.by_item(record)
    shown = tuple(_shown(n, cause, cards, answering) for n, cause in enumerate(known, start=1))
    glance = [s for s in shown if s.anchor][:GLANCE]
    tally = words.tally(r.verdict for r in inside)
    weaker, elsewhere = grouping.weakenings(record)
    return Page(
        record=record,
        ending=ending.of(record),
        strip=phase_strip.boxes(record),
        rules=rules,
        beside=grouping.beside(decision.rules, decision.outcome) if decision else (),
        groups=tuple(_groups(shown)),
        glance=tuple(glance),
        acting=len(bad),
        unseen=len(bad) - sum(len(s.cards) for s in glance),
        phases=tuple(_phase(g, cards) for g in grouping.by_phase(record)),
        tally=tally,
        bar=coverage.draw(tally) if tally else Markup(),
        by_severity=schedule.counts(record),
        times=schedule.phases(record),
        timeline=schedule.picture(record),
        happened=schedule.happened(record),
        waivers=signing.waivers(record),
        attested=signing.attestations(record),
        signers=signing.signers(record),
        changes=_changes(record),
        total=len(inside),
        good=sum(n for v, n in tally if v.good),
        only_passes=all(v is Verdict.PASS for v, _ in tally if v.good),
        unknown=tuple((v, n) for v, n in tally if v in (Verdict.INCONCLUSIVE, Verdict.NOT_COVERED)),
        outside=len(record.items) - len(inside),
        waiting=sum(1 for r in inside if r.item.id in planned),
        full=len(in_full),
        brief=sum(1 for r in inside if r.findings and r.item.id not in in_full),
        anchors=anchors,
        weaker=weaker,
        weaker_elsewhere=elsewhere,
        spent=spending.rows(record),
    )


def _deciding_first(
    bad: Iterable[ItemResult], rules: Iterable[Rule], against: Container[str]
) -> tuple[ItemResult, ...]:
    """Within the same weight and verdict, put the items first that decided."""
    named = {item for rule in rules for item in rule.items}
    return tuple(sorted(bad, key=lambda r: (*grouping.weight(r, against)[:2], r.item.id not in named)))


def _changes(record: Record) -> tuple[tuple[changes.Kind, tuple[Change, ...]], ...]:
    found = changes.grouped(record.previous.changes) if record.previous else ()
    return tuple((kind, tuple(some)) for kind, some in itertools.groupby(found, key=lambda c: c.kind))


def scope_words(record: Record) -> str:
    """Return the name of the scope, which may be the whole checklist."""
    return (record.decision.scope if record.decision else "") or record.scope or "the whole checklist"


def exit_words(record: Record) -> str:
    """Return the exit code with its meaning: `21 (HOLD, nothing failed but something is unknown)`."""
    code = record.decision.exit_code if record.decision else 25
    if record.decision and rules.only_others_failed(record.decision):
        return f"{code} (HOLD, a test outside the checklist failed)"
    if record.shard and code == 0:
        return f"{code} (this part is good)"
    return f"{code} ({words.EXIT[code]})" if code in words.EXIT else str(code)


def safe_path(path: str) -> bool:
    """Return whether an evidence path may become a link: relative, plain, and inside the folder."""
    return bool(_PLAIN_PATH.fullmatch(path)) and ".." not in path


def _card(result: ItemResult, anchor: str, full: bool, deferred: str) -> Card:
    return Card(
        result=result,
        anchor=anchor,
        full=full,
        bad=grouping.bad_findings(result),
        good=grouping.good_findings(result),
        deferred=deferred,
    )


def _anchors(results: Iterable[ItemResult], wanted: Container[str]) -> dict[str, str]:
    """Return anchors for the items that are linked to: the id if it is plain, else a number."""
    return {
        r.item.id: f"item-{r.item.id}" if _PLAIN_ID.fullmatch(r.item.id) else f"item--{n}"
        for n, r in enumerate(results, start=1)
        if r.item.id in wanted
    }


def _shown(
    number: int, cause: Cause, cards: Mapping[str, Card], answering: Mapping[str, tuple[str, ...]]
) -> Shown:
    mine = tuple(cards[item] for item in cause.ids)
    rows = {c.item.id for c in mine if not c.full or not c.measured}
    anchor = f"cause-{number}" if cause.shared else mine[0].anchor
    who = dict.fromkeys(name for item in cause.ids for name in answering.get(item, ()))
    return Shown(cause, mine, anchor, _blocks(mine, rows), tuple(who))


def _groups(known: Iterable[Shown]) -> Iterable[Group]:
    """Split what needs action into groups with headings, keeping its order."""
    for (light, verdict), some in itertools.groupby(known, key=lambda shown: _heading(shown.cards[0])):
        found = tuple(some)
        title = {
            Verdict.FAIL: "Failed",
            Verdict.INCONCLUSIVE: "Inconclusive",
            Verdict.NOT_COVERED: "Not covered",
            Verdict.WAIVED: "Waived",
        }[verdict]
        about = words.MEANING[verdict]
        if light:
            title += ", listed only"
            about += "; minor and deferred items do not hold this scope"
        yield Group(title, about, sum(len(shown.cards) for shown in found), tuple(_parts(found)))


def _heading(card: Card) -> tuple[bool, Verdict]:
    return card.item.severity is Severity.MINOR or bool(card.deferred), card.verdict


def _parts(found: Iterable[Shown]) -> Iterator[tuple[Shown | None, Blocks]]:
    """Yield each shared cause by itself, and the single items between them as one run of blocks."""
    for shared, some in itertools.groupby(found, key=lambda shown: shown.cause.shared):
        if shared:
            yield from ((shown, shown.blocks) for shown in some)
        else:
            runs = itertools.chain.from_iterable(shown.blocks for shown in some)
            merged = itertools.groupby(runs, key=lambda block: block[0])
            yield None, tuple((rows, tuple(c for _, cards in these for c in cards)) for rows, these in merged)


def _blocks(cards: Iterable[Card], rows: Container[str]) -> Blocks:
    """Split cards into runs of rows and of cards, keeping their order."""
    runs = itertools.groupby(cards, key=lambda c: c.item.id in rows)
    return tuple((as_rows, tuple(some)) for as_rows, some in runs)


def _phase(group: grouping.PhaseGroup, cards: dict[str, Card]) -> PhaseView:
    inside = [cards[r.item.id] for r in group.inside]
    rows = {c.item.id for c in inside if not c.verdict.good or not c.full or not c.result.findings}
    shown = [c for c in inside if c.verdict.good or c.full]
    return PhaseView(
        phase=group.phase,
        blocks=_blocks(shown, rows),
        above=len(inside) - len(shown),
        inside=group.inside,
        outside=tuple(cards[r.item.id] for r in group.outside),
    )
