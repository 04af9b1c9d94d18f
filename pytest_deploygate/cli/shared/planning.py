"""What a run would do, derived from files alone: no probe runs and no connection is made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pytest_deploygate import journal
from pytest_deploygate.checklist import windows
from pytest_deploygate.checklist.attestations import attestable, roles_of
from pytest_deploygate.checklist.parser import Checklist
from pytest_deploygate.checklist.vocabulary import roles_asked
from pytest_deploygate.checks.people.judge import attestations as judge_attestations
from pytest_deploygate.checks.people.probe import attestations as probe_attestations
from pytest_deploygate.decision.compose import NO_CHECK
from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.journal import JournalError
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Item, Judgement, Phase, Verdict
from pytest_deploygate.session import needs
from pytest_deploygate.session.declared import Function
from pytest_deploygate.session.records import Records

OUT = "deploygate-out"


@dataclass(frozen=True)
class PlannedTest:
    """A test function: how many targets it has (0: it cannot run), and what the inventory lacks for it."""

    test: str
    targets: int
    missing: tuple[str, ...]
    disruptive: bool
    otherwise: str

    @property
    def name(self) -> str:
        """The function without its file."""
        return self.test.partition("::")[2]


@dataclass(frozen=True)
class Attesting:
    """A person's half of an item: the roles that must attest it (all or any of them), and its present state.

    `log` is the issue log that takes the place of an attestation for some items; it is written during the phase.
    """

    roles: tuple[str, ...]
    all_of_them: bool
    verdict: Verdict
    reason: str
    log: str = ""

    @property
    def done(self) -> bool:
        """True if nothing is to be done before the phase: the attestation lasts until the phase ends."""
        return self.verdict is Verdict.ATTESTED or bool(self.log)


@dataclass(frozen=True)
class PlannedItem:
    """What will happen for one item. `last_s` is how long its tests took in their last run; None if there was none."""

    item: Item
    tests: tuple[PlannedTest, ...]
    attesting: Attesting | None
    last_s: float | None
    not_applicable: str = ""
    waived: str = ""

    @property
    def disruptive(self) -> bool:
        """True if one of its tests is disruptive."""
        return any(test.disruptive for test in self.tests)

    @property
    def checked(self) -> bool:
        """True if tests decide it, or the issue log or the signatures when the run closes."""
        return bool(self.tests) or self.item.closing is not None

    @property
    def missing(self) -> tuple[str, ...]:
        """What keeps it from being green, as far as is known before a run."""
        if self.not_applicable:
            return ()
        lacks = [words for test in self.tests for words in test.missing]
        if not self.checked and not (self.attesting and self.item.kind.value == "manual"):
            lacks.append(NO_CHECK)
        if self.attesting and not self.attesting.done:
            lacks.append(self.attesting.reason)
        return tuple(dict.fromkeys(lacks))


@dataclass(frozen=True)
class PlannedPhase:
    """A phase with its items in scope and its window; `problem` says why its window cannot be read."""

    phase: Phase
    items: tuple[PlannedItem, ...]
    window: windows.Window | None
    problem: str = ""


@dataclass(frozen=True)
class LastTimes:
    """How long each test took in its last run, in seconds, and in which change. Empty: nothing is known."""

    change: str = ""
    at: datetime | None = None
    seconds: tuple[tuple[str, str, float], ...] = ()  # test, item, seconds
    problem: str = ""

    def of(self, item: str, tests: Iterable[str]) -> float | None:
        """Return the time that an item's test functions took in total."""
        functions = set(tests)
        found = [s for test, of, s in self.seconds if of == item and test.partition("[")[0] in functions]
        return sum(found) if found else None


@dataclass(frozen=True)
class Situation:
    """Everything that a plan is derived from."""

    root: Path
    checklist: Checklist
    inventory: Inventory
    change: str
    functions: Sequence[Function]
    records: Records
    last: LastTimes
    now: datetime


def phases(situation: Situation, scope: Sequence[str]) -> list[PlannedPhase]:
    """Return the phases that have items in scope, in the checklist's order."""
    found = []
    for phase in situation.checklist.phases:
        mine = [i for i in situation.checklist.items if i.phase == phase.id and i.id in scope]
        if not mine:
            continue
        window, problem = _window(phase, situation.inventory)
        found.append(
            PlannedPhase(phase, tuple(_item(item, situation, window) for item in mine), window, problem)
        )
    return found


def last_times(root: Path, change: str) -> LastTimes:
    """Read how long tests took, from this change's journal or else the newest one. Never raises."""
    own = root / OUT / change / journal.FILE
    others = sorted((root / OUT).glob(f"*/{journal.FILE}"), key=_modified, reverse=True)
    path = own if own.is_file() else next(iter(others), None)
    if path is None:
        return LastTimes()
    try:
        runs = journal.segments(journal.read(path.parent)[0])
    except JournalError as error:
        return LastTimes(path.parent.name, problem=str(error))
    newest = {record.test: record for run in runs for record in run.tests}
    seconds = tuple((f.test, f.item, f.duration_s) for record in newest.values() for f in record.findings)
    return LastTimes(path.parent.name, runs[-1].started if runs else None, seconds)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _window(phase: Phase, inventory: Inventory) -> tuple[windows.Window | None, str]:
    if inventory.timetable is None:
        return None, ""
    t0, zone = inventory.timetable.t0, inventory.timetable.zone
    return windows.planned(phase, t0, zone), windows.problem(phase, t0, zone)


def _item(item: Item, situation: Situation, window: windows.Window | None) -> PlannedItem:
    inventory = situation.inventory
    left = needs.left_to_others(situation.functions, inventory)
    tests = tuple(
        PlannedTest(
            test=function.test,
            targets=needs.targets(function.arguments, inventory),
            missing=needs.missing(function.arguments, inventory),
            disruptive=function.disruptive,
            otherwise=function.otherwise,
        )
        for function in situation.functions
        if item.id in function.items and function.test not in left
    )
    waived = [w for w in situation.records.waivers if w.active(situation.now) and w.item == item.id]
    ours = [w for w in waived if w.inventory in ("", inventory.name) and w.change in ("", situation.change)]
    return PlannedItem(
        item=item,
        tests=tests,
        attesting=_attesting(item, situation, window),
        last_s=situation.last.of(item.id, (test.test for test in tests)),
        not_applicable=next((n.reason for n in inventory.not_applicable if n.item == item.id), ""),
        waived=", ".join(f"{w.target or 'whole item'} until {_day(w.expires)} ({w.ticket})" for w in ours),
    )


def _attesting(item: Item, situation: Situation, window: windows.Window | None) -> Attesting | None:
    """Return the state of the person's half of an item, now and at the end of the phase."""
    if not attestable(item):
        return None
    asked = roles_asked(item)
    roles, every = asked or roles_of(situation.checklist), bool(asked)
    if item.about_the_log:
        file = f"issues/{situation.change}.yml"
        return Attesting(
            roles, every, Verdict.NOT_COVERED, f"an entry in {file} for everything that is not green", file
        )
    now = _judged(item, situation, situation.now)
    if now.verdict is Verdict.ATTESTED and window is not None and window[1] > situation.now:
        later = _judged(item, situation, window[1])
        if later.verdict is not Verdict.ATTESTED:
            reason = f"attested now, but no longer when the phase ends: {later.reason}"
            return Attesting(roles, every, later.verdict, reason)
    return Attesting(roles, every, now.verdict, now.reason)


def _judged(item: Item, situation: Situation, at: datetime) -> Judgement:
    """Judge the attestations of an item with the evidence files that are here. Fetches nothing."""
    seen = probe_attestations.measure(
        situation.root,
        item.id,
        situation.records.attestations,
        change=situation.change,
        inventory=situation.inventory.name,
        signers_aside=situation.records.signers_aside,
        aside=tuple(a.words for a in situation.records.aside if a.item == item.id and a.attestation),
        now=at,
    )
    signed = situation.inventory.policy.signed_records
    return judge_attestations.judge(seen, judge_attestations.Needed.by(item, signed=signed))


def _day(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%d}"
