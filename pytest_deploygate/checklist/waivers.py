"""Waivers: an owner accepts an item that is not good, for a limited time and with another person's approval.

One file in `waivers/` is one waiver. The waived check still runs, and its result is shown.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path

from pytest_deploygate.checklist.parser import Checklist
from pytest_deploygate.checklist.records import (
    NEVER,
    Document,
    Fields,
    RecordsError,
    item_problem,
    parse,
    read_folder,
)
from pytest_deploygate.checklist.same_person import look_alike, same_person
from pytest_deploygate.checklist.vocabulary import CLOCK_SLACK, time_words
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Finding, Reading, Verdict, words_for
from pytest_deploygate.problems import Problem

FOLDER = "waivers"
#: How many may be active at once, and how long one may last, unless the caller sets other limits.
CAP = 5
LONGEST = timedelta(days=90)
_KEYS = (
    *("item", "target", "owner", "approver", "reason", "ticket", "created", "expires"),
    *("change", "inventory"),
)
_EXAMPLE = "item: db.pooling"
_REASON_LENGTH = 15
_CAN_BE_WAIVED = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NOT_COVERED)


@dataclass(frozen=True)
class Waiver:
    """Who waives what, who approved it, why and until when. `file` is its path below the root.

    `target` may contain `*` and `?`. Empty `target`, `change` or `inventory`: any.
    """

    file: str
    item: str
    owner: str
    approver: str
    reason: str
    ticket: str
    created: datetime
    expires: datetime
    target: str = ""
    change: str = ""
    inventory: str = ""

    def active(self, now: datetime) -> bool:
        """Tell whether it is active at a time: from `created` on and before `expires`."""
        return self.created <= now + CLOCK_SLACK and now < self.expires

    def covers(self, item: str, target: str, inventory: str, change: str) -> bool:
        """Tell whether it applies to this item and target, in this inventory and change."""
        return (
            self.item == item
            and (not self.target or fnmatchcase(target, self.target))
            and self.inventory in ("", inventory)
            and self.change in ("", change)
        )


def load_all(
    root: Path,
    checklist: Checklist,
    cap: int | None = CAP,
    *,
    longest: timedelta | None = LONGEST,
    aside: Collection[str] = (),
    now: datetime | None = None,
) -> list[Waiver]:
    """Read every waiver below `root`. Raises RecordsError with every problem found.

    `cap` is how many may be active now, `longest` how long one may last (None: no limit). Expired ones are loaded,
    because a bad finding with an expired waiver fails. Files in `aside` do not count: they are read and returned, but
    not as active.
    """
    problems: list[Problem] = []
    present = now or datetime.now(UTC)
    reader = _Reader(checklist, longest, present, problems)
    found = [w for document in read_folder(root, FOLDER, problems) if (w := reader.read(document))]
    problems += _too_many([w for w in found if w.file not in aside], cap, present)
    if problems:
        raise RecordsError(problems)
    return found


def check_together(counted: Sequence[Waiver], cap: int | None, now: datetime) -> None:
    """Check waivers that count against each other and the cap. Raises RecordsError."""
    if problems := _too_many(counted, cap, now):
        raise RecordsError(problems)


def _too_many(counted: Sequence[Waiver], cap: int | None, now: datetime) -> list[Problem]:
    active = [waiver for waiver in counted if waiver.active(now)]
    problems = _duplicates(active)
    if cap is not None and len(active) > cap:
        names = ", ".join(waiver.file.removeprefix(f"{FOLDER}/") for waiver in active)
        text = f"{len(active)} waivers are active but only {cap} are allowed at once: end one of {names}"
        problems.append(Problem(FOLDER, 0, text))
    return problems


def check(text: str, file: str, checklist: Checklist, *, longest: timedelta | None = LONGEST) -> Waiver:
    """Parse one waiver from its text, as loading it would. Raises RecordsError."""
    problems: list[Problem] = []
    document = parse(text.encode(), file, problems)
    found = _Reader(checklist, longest, datetime.now(UTC), problems).read(document) if document else None
    if found is None:
        raise RecordsError(problems)
    return found


class _Reader:
    def __init__(
        self, checklist: Checklist, longest: timedelta | None, now: datetime, problems: list[Problem]
    ) -> None:
        self.checklist = checklist
        self.known = [item.id for item in checklist.items]
        self.longest = longest
        self.now = now
        self.problems = problems

    def read(self, document: Document) -> Waiver | None:
        fields = Fields(document.node, document.file, _KEYS, self.problems, _EXAMPLE)
        if not fields.ok and not fields.has("item"):
            return None
        found = Waiver(
            file=document.file,
            item=self._item(fields),
            owner=fields.said("owner", need="who is responsible"),
            approver=fields.said("approver", need="another person who approves it"),
            reason=fields.said("reason", need="why this is acceptable", least=_REASON_LENGTH),
            ticket=fields.said("ticket", need="where the fix is tracked"),
            created=fields.time("created", need="when it begins"),
            expires=fields.time("expires", need="when it ends"),
            target=fields.text("target"),
            change=fields.text("change"),
            inventory=fields.text("inventory"),
        )
        self._people(fields, found)
        self._times(fields, found)
        return found if fields.ok else None

    def _item(self, fields: Fields) -> str:
        item_id = fields.text("item", need="id of the waived item")
        item = self.checklist.get(item_id)
        if item_id and item is None:
            fields.wrong("item", item_problem(item_id, self.known))
        elif item is not None and not item.waivable:
            fields.wrong(
                "item",
                f"{item_id} is marked .non-waivable in {self.checklist.file.name}: fix the problem instead",
            )
        return item_id

    def _people(self, fields: Fields, waiver: Waiver) -> None:
        if waiver.owner and same_person(waiver.owner, waiver.approver):
            fields.wrong("approver", f"{waiver.approver!r} is the owner; another person must approve")
        elif how := look_alike(waiver.owner, waiver.approver):
            fields.wrong(
                "approver",
                f"{waiver.approver!r} looks like the owner, {waiver.owner!r} ({how}); another person must approve",
            )

    def _times(self, fields: Fields, waiver: Waiver) -> None:
        created, expires = waiver.created, waiver.expires
        if created > self.now + CLOCK_SLACK:
            now = time_words(self.now)
            fields.wrong("created", f"{time_words(created)} is in the future (now: {now})")
        if NEVER in (created, expires):
            return
        if expires <= created:
            fields.wrong("expires", f"{time_words(expires)} is not after `created`, {time_words(created)}")
        elif self.longest is not None and expires - created > self.longest:
            lasts, limit = words_for(expires - created), words_for(self.longest)
            fields.wrong(
                "expires", f"it lasts {lasts}, at most {limit} is allowed; approve it again after that"
            )


def scope(waiver: Waiver) -> tuple[str, str, str, str]:
    """Return what a waiver applies to: item, target, change, inventory."""
    return waiver.item, waiver.target, waiver.change, waiver.inventory


def _duplicates(active: Sequence[Waiver]) -> list[Problem]:
    """Two active waivers for the same thing: it would be unclear which one counts."""
    return [
        Problem(other.file, 0, f"waives the same as {one.file} at the same time: keep one of them")
        for one, other in itertools.combinations(active, 2)
        if scope(one) == scope(other)
    ]


def waives(item: str, waivers: Sequence[Waiver], now: datetime, inventory: str, change: str) -> bool:
    """Tell whether an active waiver applies to an item as a whole."""
    return any(w.active(now) and w.covers(item, "", inventory, change) for w in waivers)


def apply(
    findings: Sequence[Finding], waivers: Sequence[Waiver], now: datetime, inventory: str, change: str
) -> list[Finding]:
    """Return the findings with waivers applied, in the same order; pure.

    Active waiver: fail, inconclusive and not_covered become waived; the measured result is still shown.
    Expired waiver: these become fail; a good finding stays good, with a note.
    """
    return [_applied(finding, waivers, now, inventory, change) for finding in findings]


def _applied(
    finding: Finding, waivers: Sequence[Waiver], now: datetime, inventory: str, change: str
) -> Finding:
    mine = [w for w in waivers if w.covers(finding.item, finding.target, inventory, change)]
    if not mine or finding.verdict is Verdict.WAIVED:
        return finding
    last = max(mine, key=lambda waiver: waiver.expires)
    active = [waiver for waiver in mine if waiver.active(now)]
    if finding.verdict not in _CAN_BE_WAIVED:
        return _with_note(finding, _not_needed(active[0]) if active else _over(last))
    if active:
        return _waived(finding, max(active, key=lambda waiver: waiver.expires))
    if last.expires > now:  # none is active and this one has not begun yet
        return finding
    return dataclasses.replace(
        finding,
        verdict=Verdict.FAIL,
        reason=f"waiver expired on {time_words(last.expires)} (ticket {last.ticket}): {finding.reason}",
        notes=(*finding.notes, f"measured: {finding.verdict}; the expired waiver is {last.file}"),
        deferred_to="",
    )


def _waived(finding: Finding, waiver: Waiver) -> Finding:
    who = f"{waiver.owner}, approved by {waiver.approver}"
    until = time_words(waiver.expires)
    return dataclasses.replace(
        finding,
        verdict=Verdict.WAIVED,
        reason=f"waived until {until} by {who} (ticket {waiver.ticket}): {finding.reason}",
        readings=(
            *finding.readings,
            Reading("result without the waiver", finding.verdict.value, limit="pass", ok=False),
        ),
        notes=(
            *finding.notes,
            f"measured: {finding.verdict}; {waiver.file} waives it, because: {waiver.reason}",
        ),
    )


def _with_note(finding: Finding, note: str) -> Finding:
    return dataclasses.replace(finding, notes=(*finding.notes, note)) if note else finding


def _not_needed(waiver: Waiver) -> str:
    return f"the waiver {waiver.file} is no longer needed: {waiver.ticket} may be closed"


def _over(waiver: Waiver) -> str:
    return f"the waiver {waiver.file} expired on {time_words(waiver.expires)} and is not needed: remove it"
