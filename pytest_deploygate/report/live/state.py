"""What the live page needs of a journal, kept up to date line by line.

A line changes the items that it is about, and nothing else is computed again. Of earlier runs only findings that the last
run may take over are kept, and of findings only what the page shows: with thousands of items each value counts.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from sys import intern

from pytest_deploygate.decision import incident_log, incidents, standing
from pytest_deploygate.decision.frame import Frame, read_frame
from pytest_deploygate.decision.incidents import Incident
from pytest_deploygate.journal import CONDENSED, Entry, decision_from_json, readable
from pytest_deploygate.journal.typed import made, text, texts
from pytest_deploygate.model import Decision, Finding, Item, Severity, Verdict
from pytest_deploygate.report import gone_back
from pytest_deploygate.report.record import Contact, GoneBack

#: Kinds of lines that are kept: an incident and a rollback are computed from all of theirs.
_TOLD = gone_back.KINDS - {"circumstances"}


@dataclass(frozen=True, slots=True)
class Shown:
    """An item as the page shows it. `reason` is empty if the verdict is good, `at` is the time of its newest finding."""

    id: str
    text: str
    phase: str
    severity: Severity
    verdict: Verdict
    reason: str
    at: datetime | None
    deferred: bool


@dataclass(frozen=True, slots=True)
class _Found:
    """A finding, as far as it is kept. `of` is the test whose line it came with; empty if another run's was taken over."""

    of: str
    test: str
    target: str
    verdict: Verdict
    reason: str
    at: datetime
    deferred_to: str


@dataclass(slots=True)
class _Held:
    """An item in scope, its tests, what they found, and what the page shows of it."""

    item: Item
    tests: tuple[str, ...] = ()
    found: tuple[_Found, ...] = ()
    shown: Shown | None = None


#: What each test of earlier runs found, with the item.
_ByTest = dict[str, list[tuple[str, _Found]]]


class State:
    """A change as its lines say, added in the order of the journal. Not for several threads.

    `about` is the frame of the last run, None without one. `whole` are the phases all of whose items are in its scope.
    `head` and `lines` are the hash and the number of the last line. `stopped` says that the latest rollback stopped at a
    step that failed.
    """

    def __init__(self) -> None:
        self.about: Frame | None = None
        self.started: datetime
        self.latest: datetime
        self.contacts: tuple[Contact, ...] = ()
        self.decision: Decision | None = None
        self.running = self.stopped = False
        self.whole: frozenset[str] = frozenset()
        self.head, self.lines = "", 0
        self._held: dict[str, _Held] = {}
        self._outside: list[tuple[str, _Found]] = []
        self._older: _ByTest = {}
        self._short: list[tuple[int, bool]] = []
        self._touched: set[str] = set()
        self._told: list[Entry] = []
        self._computed: tuple[int, Incident | None, GoneBack | None] = (-1, None, None)

    @readable()
    def add(self, entry: Entry) -> None:
        """Take a line into account. Raises JournalError if this version cannot read it."""
        if entry.seq > self.lines:  # a checkpoint comes before the lines that it names
            self.head, self.lines, self.latest = entry.sha256, entry.seq, entry.at
        if entry.kind == CONDENSED:
            self._short = [(run["seq"], bool(run["begin"].get("resumes"))) for run in entry.body["runs"]]
            self._short.sort(reverse=True)
            return
        # Runs that the checkpoint has in short have no line of their own here.
        while self._short and self._short[-1][0] <= entry.seq:
            self._enter(resumes=self._short.pop()[1])
        if entry.kind == "run":
            self._begin(entry)
        elif entry.kind == "test":
            self._take(entry)
        elif entry.kind in _TOLD:
            self._told.append(entry)
            if entry.kind == "rollback":
                self.stopped = entry.body.get("mark") == "stopped"
        elif self.about and entry.body.get("run") == self.about.run:
            self._of_run(entry)

    def items(self) -> tuple[Shown, ...]:
        """Return the items in the scope of the last run, in the checklist's order. Raises JournalError."""
        if self.about:
            with readable():
                for item in self._touched & self._held.keys():
                    self._held[item].shown = _shown(self._held[item], self.about, self.started)
            self._touched.clear()
        return tuple(held.shown for held in self._held.values() if held.shown)

    def incident(self) -> Incident | None:
        """Return the incident that is not over. Raises JournalError."""
        return self._compute()[1]

    def gone_back(self) -> GoneBack | None:
        """Return the latest rollback. Raises JournalError."""
        return self._compute()[2]

    @readable()
    def _compute(self) -> tuple[int, Incident | None, GoneBack | None]:
        if self.about and self._computed[0] != len(self._told):
            times = self.about.times
            incident = incidents.standing(incident_log.events(self._told), times)
            self._computed = len(self._told), incident, gone_back.newest(self._told, times)
        return self._computed

    def _enter(self, *, resumes: bool) -> None:
        """Begin another run: what the one before found is kept if this one goes on with it."""
        if resumes:
            self._older |= self._by_test()
        else:
            self._older = {}
        self.about = None
        self._held, self._outside = {}, []

    def _by_test(self) -> _ByTest:
        """Return what each test found in this run, without what was taken over."""
        found: defaultdict[str, list[tuple[str, _Found]]] = defaultdict(list)
        mine = ((item, one) for item, held in self._held.items() for one in held.found)
        for item, one in (*mine, *self._outside):
            if one.of:
                found[one.of].append((item, one))
        return dict(found)

    def _begin(self, entry: Entry) -> None:
        begin = entry.body
        self._enter(resumes=bool(begin.get("resumes")))
        about = read_frame(begin)
        scope = set(about.scope)
        # Items outside of the scope are not shown: only those inside are kept.
        self._held = {intern(item.id): _Held(_shared(item)) for item in about.items if item.id in scope}
        outside = {item.phase for item in about.items if item.id not in scope}
        # A shard is about no phase as a whole.
        self.whole = frozenset() if about.shard else frozenset({item.phase for item in about.items} - outside)
        self.about = dataclasses.replace(about, items=(), scope=(), values=None)
        self.started, self.decision, self.running = entry.at, None, True
        self.contacts = tuple(made(Contact, contact) for contact in begin.get("contacts", ()))
        self._computed = (-1, None, None)  # the policy may have other times
        for test in about.kept:
            self._index((item, dataclasses.replace(one, of="")) for item, one in self._older.get(test, ()))
        self._touched = set(self._held)

    def _take(self, entry: Entry) -> None:
        test = intern(text(entry.body["test"]))
        self._index((finding.item, _slim(finding, test)) for finding in entry.findings)

    def _index(self, found: Iterable[tuple[str, _Found]]) -> None:
        for item, one in found:
            if held := self._held.get(item):
                held.found += (one,)
                self._touched.add(held.item.id)
            else:
                self._outside.append((item, one))

    def _of_run(self, entry: Entry) -> None:
        if entry.kind == "bound":
            tests_of: defaultdict[str, list[str]] = defaultdict(list)
            for test, items in entry.body["tests"]:
                for item in texts(items):
                    tests_of[item].append(intern(text(test)))
            if self.about and self.about.shard:  # it is asked about the items of its own tests
                self._held = {item: held for item, held in self._held.items() if item in tests_of}
            for item, held in self._held.items():
                held.tests = tuple(tests_of.get(item, ()))
            self._touched = set(self._held)
        elif entry.kind == "decision":
            self.decision = decision_from_json(entry.body["decision"])
        elif entry.kind == "end":
            self.running = False


def _shown(held: _Held, about: Frame, started: datetime) -> Shown:
    """Compose an item as the report does, and keep what the page shows of it."""
    item = held.item
    found = [
        Finding(item.id, f.target, f.verdict, f.reason, f.test, f.at, 0.0, deferred_to=f.deferred_to)
        for f in held.found
    ]
    (result,) = standing.composed((item,), (item.id,), about, started, found, {item.id: held.tests}, {})
    return Shown(
        item.id,
        item.text,
        item.phase,
        item.severity,
        result.verdict,
        "" if result.verdict.good else result.reason,
        max((finding.at for finding in found), default=None),
        bool(result.deferred_to),
    )


def _shared(item: Item) -> Item:
    """Return an item whose id and phase are the same objects as those of other values."""
    return dataclasses.replace(item, id=intern(item.id), phase=intern(item.phase))


def _slim(finding: Finding, test: str) -> _Found:
    return _Found(
        test,
        intern(finding.test),
        intern(finding.target),
        finding.verdict,
        "" if finding.verdict.good else finding.reason,
        finding.at,
        finding.deferred_to,
    )
