"""What the live page needs of a journal, kept up to date line by line.

A line changes the items that it is about, and nothing else is computed again. Of earlier runs only findings that the last
run may take over are kept, and of findings only what the page shows.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from sys import intern

from pytest_deploygate.decision import incident_log, incidents, standing
from pytest_deploygate.decision.compose import ItemResult
from pytest_deploygate.decision.frame import Frame, frame
from pytest_deploygate.decision.incidents import Incident
from pytest_deploygate.journal import CONDENSED, Entry, decision_from_json, readable
from pytest_deploygate.journal.typed import made, text, texts
from pytest_deploygate.model import Decision, Finding, Item
from pytest_deploygate.report import gone_back
from pytest_deploygate.report.record import Contact, GoneBack

#: Kinds of lines that are kept: an incident and a rollback are computed from all of theirs.
_TOLD = gone_back.KINDS - {"circumstances"}


class State:
    """A change as its lines say, added in the order of the journal. Not for several threads.

    `about` is the frame of the last run, None without one. `results` are the items in its scope by id, in the order of the
    checklist; `whole` are the phases all of whose items are in it. `head` and `lines` are the hash and the number of the
    last line. `stopped` says that the latest rollback stopped at a step that failed.
    """

    def __init__(self) -> None:
        self.about: Frame | None = None
        self.started: datetime
        self.latest: datetime
        self.contacts: tuple[Contact, ...] = ()
        self.results: dict[str, ItemResult] = {}
        self.decision: Decision | None = None
        self.running = self.stopped = False
        self.whole: frozenset[str] = frozenset()
        self.head, self.lines = "", 0
        self._items: dict[str, Item] = {}
        self._tests_of: defaultdict[str, list[str]] = defaultdict(list)
        self._found: defaultdict[str, list[Finding]] = defaultdict(list)
        self._mine: dict[str, tuple[Finding, ...]] = {}
        self._older: dict[str, tuple[Finding, ...]] = {}
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

    def settle(self) -> None:
        """Compose again the items that the lines since the last call were about. Raises JournalError."""
        if self.about is None:
            return
        with readable():
            for item in self._touched & self.results.keys():
                self.results[item] = self._composed(self.about, item)
            self._touched.clear()

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
        self._older = self._older | self._mine if resumes else {}
        self._mine = {}
        self.about, self.results = None, {}

    def _begin(self, entry: Entry) -> None:
        begin = entry.body
        about = frame(begin)
        self._enter(resumes=bool(begin.get("resumes")))
        scope = set(about.scope)
        # Items outside of the scope are not shown: only those inside are kept.
        self._items = {intern(item.id): _shared(item) for item in about.items if item.id in scope}
        outside = {item.phase for item in about.items if item.id not in scope}
        self.whole = frozenset({item.phase for item in about.items} - outside)
        self.about = dataclasses.replace(about, items=(), scope=(), values=None)
        self.started, self.decision, self.running = entry.at, None, True
        self.contacts = tuple(made(Contact, contact) for contact in begin.get("contacts", ()))
        self._computed = (-1, None, None)  # the policy may have other times
        self._tests_of.clear()
        self._found.clear()
        for test in about.kept:
            self._index(self._older.get(test, ()))
        self.results = {item: self._composed(self.about, item) for item in self._items}
        self._touched.clear()

    def _take(self, entry: Entry) -> None:
        test = intern(text(entry.body["test"]))
        found = tuple(map(_slim, entry.findings))
        self._mine[test] = self._mine.get(test, ()) + found
        if self.about and entry.body.get("run") == self.about.run:
            self._index(found)

    def _index(self, found: Iterable[Finding]) -> None:
        for finding in found:
            self._found[finding.item].append(finding)
            self._touched.add(finding.item)

    def _of_run(self, entry: Entry) -> None:
        if entry.kind == "bound":
            self._tests_of.clear()
            for test, items in entry.body["tests"]:
                for item in texts(items):
                    self._tests_of[intern(item)].append(intern(text(test)))
            self._touched.update(self._items)
        elif entry.kind == "decision":
            self.decision = decision_from_json(entry.body["decision"])
        elif entry.kind == "end":
            self.running = False

    def _composed(self, about: Frame, item: str) -> ItemResult:
        found = self._found.get(item, ())
        return standing.composed(
            (self._items[item],), (item,), about, self.started, found, self._tests_of, {}
        )[0]


def _shared(item: Item) -> Item:
    """Return an item whose id and phase are the same objects as those of other values: thousands of them are kept."""
    return dataclasses.replace(item, id=intern(item.id), phase=intern(item.phase))


def _slim(finding: Finding) -> Finding:
    """Return a finding without what the page does not show."""
    return Finding(
        intern(finding.item),
        intern(finding.target),
        finding.verdict,
        finding.reason,
        intern(finding.test),
        finding.at,
        finding.duration_s,
        deferred_to=finding.deferred_to,
    )
