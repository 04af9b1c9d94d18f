"""What the live page shows of a change. Its size does not grow with the checklist."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Container, Mapping
from datetime import datetime
from enum import StrEnum

from pytest_deploygate.checklist.parser import slug
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Phase, Severity, Verdict
from pytest_deploygate.report import words
from pytest_deploygate.report.ending import Ending
from pytest_deploygate.report.leaving import clean
from pytest_deploygate.report.live import stands
from pytest_deploygate.report.live.following import Change, Clock, Seen
from pytest_deploygate.report.live.stands import GOOD, Result, Stands
from pytest_deploygate.report.live.state import Shown
from pytest_deploygate.report.record import Contact, GoneBack

#: Items shown with their reason, items of a phase that are named, and the newest findings that are listed.
RED, NAMED, NEWEST = 40, 30, 12
#: Red comes first; then what cannot be told, then what nothing covered.
_RED_FIRST = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NOT_COVERED)
#: Results whose end of validity is said.
VALID = GOOD | {Result.EXPIRED}
_SEVERITIES = (Severity.CRITICAL, Severity.MAJOR, Severity.MINOR)


class Sign(StrEnum):
    """What a role's signature is worth. It is good only if it is of the record as it stands, by a key of that role."""

    GOOD = "signed"
    UNKNOWN = "key unknown"
    BAD = "does not count"


@dataclass(frozen=True)
class Signature:
    """What is there of a role's signature."""

    sign: Sign
    said: str


@dataclass(frozen=True)
class Signer:
    """A role that must sign. `signature` is None as long as nothing is there."""

    role: str
    contact: Contact | None
    signature: Signature | None


@dataclass(frozen=True)
class Row:
    """A phase with its items in scope, bad ones first, each with whether it waits.

    `waiting` is the number of those that the run that goes on has not reached.
    """

    title: str
    total: int
    tally: tuple[tuple[Verdict, int], ...]
    waiting: int
    items: tuple[tuple[Shown, bool], ...]


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
    until: datetime | None


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
    change, stand = seen.change, stands.now(seen, now)
    said = stand.ending
    if change is None:
        top = Top(said, "", "", "", 0, 0, False, None, None, None)
        return clean(Live(now, seen.problem, seen.notes, top))
    items = change.items
    waits = {
        item.id
        for item in items
        if change.running and item.at is None and item.verdict is Verdict.NOT_COVERED
    }
    red = [
        item for item in items if item.verdict in _RED_FIRST and item.id not in waits and not item.deferred
    ]
    return clean(
        Live(
            now,
            seen.problem,
            seen.notes,
            _top(change, stand, len(items) - len(waits)),
            Red(tuple(heapq.nsmallest(RED, red, key=_urgency)), len(red), change.running),
            tuple(_rows(change, waits)),
            tuple(
                heapq.nlargest(NEWEST, (item for item in items if item.at), key=lambda item: item.at or now)
            ),
            change.clock,
            bool(change.clock and change.clock.until <= now),
            Back(change.gone_back, change.stopped, change.back_until) if change.gone_back else None,
            tuple(_signers(change, signed)),
        )
    )


def _urgency(item: Shown) -> tuple[int, int]:
    return _RED_FIRST.index(item.verdict), _SEVERITIES.index(item.severity)


def _top(change: Change, stand: Stands, done: int) -> Top:
    decided = change.decision.at if change.decision else None
    valid = change.valid_until if stand.result in VALID else None
    return Top(
        stand.ending, change.name, change.inventory, change.scope, done, len(change.items), change.running,
        change.latest, decided, valid,
    )  # fmt: skip


def _rows(change: Change, waits: Container[str]) -> list[Row]:
    """Return the phases that have items in scope."""
    of: defaultdict[str, list[Shown]] = defaultdict(list)
    for item in change.items:
        of[item.phase].append(item)
    return [_row(phase, of[phase.id], waits) for phase in change.phases if phase.id in of]


def _row(phase: Phase, mine: list[Shown], waits: Container[str]) -> Row:
    tally = words.tally(item.verdict for item in mine if item.id not in waits)
    named = heapq.nsmallest(NAMED, mine, key=lambda item: (item.id in waits, item.verdict.good))
    waiting = len(mine) - sum(number for _, number in tally)
    return Row(phase.title, len(mine), tally, waiting, tuple((item, item.id in waits) for item in named))


def _signers(change: Change, signed: Mapping[str, Signature]) -> list[Signer]:
    contacts = {contact.role: contact for contact in change.contacts}
    return [Signer(role, contacts.get(role), signed.get(slug(role))) for role in change.roles]
