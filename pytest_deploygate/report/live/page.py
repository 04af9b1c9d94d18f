"""What the live page shows of a change. Its size does not grow with the checklist."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta

from pytest_deploygate.checklist.parser import slug
from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import WORST_FIRST, Phase, Severity, Verdict
from pytest_deploygate.report.ending import Ending
from pytest_deploygate.report.leaving import clean
from pytest_deploygate.report.live import stands
from pytest_deploygate.report.live.following import Change, Clock, Seen
from pytest_deploygate.report.record import Contact, GoneBack

#: Items shown with their reason, items of a phase that are named, and the newest findings that are listed.
RED, NAMED, NEWEST = 40, 30, 12
#: Red comes first; then what cannot be told, then what nothing covered.
_RED_FIRST = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NOT_COVERED)
_SEVERITIES = (Severity.CRITICAL, Severity.MAJOR, Severity.MINOR)


@dataclass(frozen=True)
class Signature:
    """What is there of a role's signature: whether it is good for the record as it stands, and a few words."""

    good: bool
    said: str


@dataclass(frozen=True)
class Signer:
    """A role that must sign. `signature` is None as long as nothing is there."""

    role: str
    contact: Contact | None
    signature: Signature | None


@dataclass(frozen=True)
class Shown:
    """An item on the page. `waits` says that the run that goes on has not reached it; `at` is its newest finding's time."""

    id: str
    text: str
    severity: Severity
    verdict: Verdict
    reason: str
    waits: bool = False
    at: datetime | None = None


@dataclass(frozen=True)
class Row:
    """A phase with its items in scope, bad ones first. `waiting` are those that the run that goes on has not reached."""

    title: str
    total: int
    tally: tuple[tuple[Verdict, int], ...]
    waiting: int
    items: tuple[Shown, ...]


@dataclass(frozen=True)
class Top:
    """The banner: how the change stands, and how far the run is."""

    ending: Ending
    change: str
    inventory: str
    scope: str
    done: int
    total: int
    running: bool
    latest: datetime | None
    decided: datetime | None
    valid_until: datetime | None


@dataclass(frozen=True)
class Red:
    """What needs action: the first items with their reasons, and how many there are."""

    items: tuple[Shown, ...]
    total: int
    goes_on: bool


@dataclass(frozen=True)
class Back:
    """A rollback. `stopped` says that it stopped at a step that failed."""

    gone_back: GoneBack
    stopped: bool

    @property
    def until(self) -> datetime:
        """When it should be over according to the policy."""
        return self.gone_back.began + timedelta(seconds=self.gone_back.allowed_s)


@dataclass(frozen=True)
class Live:
    """The page's contents at a time, computed from what was seen of the journal. Every text is plain and masked."""

    now: datetime
    problem: str
    notes: tuple[str, ...]
    top: Top
    red: Red | None = None
    rows: tuple[Row, ...] = ()
    newest: tuple[Shown, ...] = ()
    clock: Clock | None = None
    clock_over: bool = False
    back: Back | None = None
    signers: tuple[Signer, ...] | None = None


def live(seen: Seen, now: datetime, signed: Mapping[str, Signature]) -> Live:
    """Compute the page. `signed` are the signatures that are there, by the slug of their role."""
    change, said = seen.change, stands.now(seen, now).ending
    if change is None:
        top = Top(said, "", "", "", 0, 0, False, None, None, None)
        return clean(Live(now, seen.problem, seen.notes, top))
    items = [_shown(result, change.running) for result in change.items]
    deferred = {result.item.id for result in change.items if result.deferred_to}
    red = [
        item for item in items if item.verdict in _RED_FIRST and not item.waits and item.id not in deferred
    ]
    found = [item for item in items if item.at]
    return clean(
        Live(
            now,
            seen.problem,
            seen.notes,
            _top(change, said, sum(not item.waits for item in items)),
            Red(tuple(heapq.nsmallest(RED, red, key=_urgency)), len(red), change.running),
            tuple(_rows(change, items)),
            tuple(heapq.nlargest(NEWEST, found, key=lambda item: item.at or now)),
            change.clock,
            bool(change.clock and change.clock.until <= now),
            Back(change.gone_back, change.stopped) if change.gone_back else None,
            tuple(_signers(change, signed)),
        )
    )


def _shown(result: ItemResult, running: bool) -> Shown:
    item = result.item
    waits = running and not result.findings and result.verdict is Verdict.NOT_COVERED
    at = max((finding.at for finding in result.findings), default=None)
    return Shown(item.id, item.text, item.severity, result.verdict, result.reason, waits, at)


def _urgency(item: Shown) -> tuple[int, int]:
    return _RED_FIRST.index(item.verdict), _SEVERITIES.index(item.severity)


def _top(change: Change, said: Ending, done: int) -> Top:
    decided = change.decision.at if change.decision else None
    return Top(
        said, change.name, change.inventory, change.scope, done, len(change.items), change.running, change.latest,
        decided, change.valid_until,
    )  # fmt: skip


def _rows(change: Change, items: list[Shown]) -> list[Row]:
    """Return the phases that have items in scope."""
    of: defaultdict[str, list[Shown]] = defaultdict(list)
    for result, item in zip(change.items, items, strict=True):
        of[result.item.phase].append(item)
    return [_row(phase, of[phase.id]) for phase in change.phases if phase.id in of]


def _row(phase: Phase, mine: list[Shown]) -> Row:
    counts = Counter(item.verdict for item in mine if not item.waits)
    tally = tuple((verdict, counts[verdict]) for verdict in WORST_FIRST if counts[verdict])
    named = heapq.nsmallest(NAMED, mine, key=lambda item: (item.waits, item.verdict.good))
    return Row(phase.title, len(mine), tally, len(mine) - counts.total(), tuple(named))


def _signers(change: Change, signed: Mapping[str, Signature]) -> list[Signer]:
    contacts = {contact.role: contact for contact in change.contacts}
    return [Signer(role, contacts.get(role), signed.get(slug(role))) for role in change.roles]
