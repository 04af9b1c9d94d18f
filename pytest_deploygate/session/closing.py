"""Items that can be judged only when a run closes: the issue log (it needs the other results), the sign-off, and what the
gate's own probes spent.
"""

from __future__ import annotations

from collections.abc import Sequence

from pytest_deploygate.checklist import windows
from pytest_deploygate.checks.blast_radius.facts import Ends, LedgerSeen
from pytest_deploygate.checks.people.judge import issue_log as judge_issue_log
from pytest_deploygate.checks.people.judge.issue_log import Documented, IssueLogSeen, NothingOpen
from pytest_deploygate.decision import standing
from pytest_deploygate.decision.compose import CLOSING_TESTS, ItemResult
from pytest_deploygate.inventory import sections
from pytest_deploygate.journal import Entry, segments, utcnow
from pytest_deploygate.model import Closing, Finding, Item, Judgement
from pytest_deploygate.session import spending
from pytest_deploygate.session.settings import Settings

#: The check of the gate's own probes, whose ledger is whole only when a run closes.
_HARMLESS = "guard.blast-radius"
#: The check of the critical features, which other items measure.
_FEATURES = "crit.features"


def declared(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Return item ids by the test name used in the journal for these findings, for the items in scope."""
    ids = [
        *(item.id for item in _items(settings)),
        *_about_the_gate(settings),
        *_about_features(settings),
    ]
    return {f"{CLOSING_TESTS}{item}": (item,) for item in ids}


def findings(settings: Settings, entries: Sequence[Entry], run: str) -> list[Finding]:
    """Judge the closing items that are in scope; `entries` is the journal so far."""
    mine = _items(settings)
    about_the_log = [item for item in mine if item.closing is not Closing.SIGNED]
    composed = standing.results(entries) if about_the_log else []
    found = [
        _finding(
            item.id, "issue log", _issue_log(item, settings, composed, begun=_begun(item, settings, entries))
        )
        for item in about_the_log
    ]
    for item in mine:
        if item.closing is Closing.SIGNED:
            from pytest_deploygate.session import sign_off  # noqa: PLC0415 (one item of all reads signatures)

            found.append(_finding(item.id, "sign-off", sign_off.judge(settings, entries, run)))
    if guards := _about_the_gate(settings):
        from pytest_deploygate.checks.blast_radius.judge.ledger import judge_ledger  # noqa: PLC0415 (one item of all)

        ledger = judge_ledger(LedgerSeen(*spending.of_chain(entries)), Ends())
        found += [_finding(item, "ledger", ledger) for item in guards]
    if features := _about_features(settings):
        from pytest_deploygate.session.features import judged  # noqa: PLC0415 (one item of all)

        found += [_finding(item, "features", judged(settings, entries)) for item in features]
    return found


def _about_features(settings: Settings) -> list[str]:
    """Return the items in scope that ask whether the critical features hold, if the inventory names those."""
    if not sections.value(settings.inventory, "journeys"):
        return []
    from pytest_deploygate.session.features import named  # noqa: PLC0415 (only with journeys)

    if not named(settings):
        return []
    return [item for item in settings.asking.items(_FEATURES) if item in settings.scope_items]


def _about_the_gate(settings: Settings) -> list[str]:
    """Return the items in scope that ask what the gate's own probes spent."""
    ids = settings.scope_items
    return [item for item in settings.asking.items(_HARMLESS) if item in ids and item in settings.item_ids]


def _items(settings: Settings) -> list[Item]:
    ids = set(settings.scope_items)
    return [
        item
        for item in settings.checklist.items
        if item.id in ids and item.closing and item.id not in settings.not_applicable
    ]


def _begun(item: Item, settings: Settings, entries: Sequence[Entry]) -> bool:
    """Tell whether the item's phase has begun: its planned time came, or a run of this change was for it.

    A run without -m or --items measures whatever it can, and begins no phase.
    """
    timetable = settings.inventory.timetable
    phase = next((phase for phase in settings.checklist.phases if phase.id == item.phase), None)
    if timetable is not None and phase is not None:
        window = windows.planned(phase, timetable.t0, timetable.zone)
        if window and window[0] <= utcnow():
            return True
    begins = (run.begin for run in segments(entries))
    return any(begin["scope"] and item.id in begin["scope_items"] for begin in begins)


def _issue_log(item: Item, settings: Settings, composed: Sequence[ItemResult], *, begun: bool) -> Judgement:
    others = [r for r in composed if r.item.phase == item.phase and r.in_scope and not r.item.about_the_log]
    log = settings.records.issue_log
    seen = IssueLogSeen(
        file=log.file if log else "",
        exists=log is not None and log.exists,
        entries=log.entries if log else (),
        bad_items=tuple(
            bad for r in others for bad in judge_issue_log.bad_of(r.item, r.findings, r.verdict, r.reason)
        ),
        items_seen=len(others),
        begun=begun,
        aside=log.aside if log else "",
    )
    criterion = NothingOpen() if item.closing is Closing.RESOLVED else Documented(item.phase)
    return judge_issue_log.judge(seen, criterion)


def _finding(item: str, target: str, judgement: Judgement) -> Finding:
    return Finding(
        item=item,
        target=target,
        verdict=judgement.verdict,
        reason=judgement.reason,
        test=f"{CLOSING_TESTS}{item}",
        at=utcnow(),
        duration_s=0.0,
        readings=judgement.readings,
        notes=judgement.notes,
        confirmed=judgement.confirmed,
    )
