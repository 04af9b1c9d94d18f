"""Runs of changes, written line by line by the journal's own writer, at the times that a test says."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pytest_deploygate import journal, moments
from pytest_deploygate.decision import incident_log, rules, standing
from pytest_deploygate.decision.incidents import Event, What
from pytest_deploygate.history import folders, reading
from pytest_deploygate.history.reading import History
from pytest_deploygate.journal import Writer
from pytest_deploygate.journal import writer as writing
from pytest_deploygate.model import Finding, Item, Kind, Phase, Reading, Severity, Verdict
from pytest_deploygate.moments import Moment

PHASES = ("phase2", "golive")
ITEMS = ("phase2.tables", "phase2.lag", "golive.errors", "golive.p99")
START = datetime(2026, 3, 2, 8, tzinfo=UTC)
GO, HOLD = rules.Outcome.GO, rules.Outcome.HOLD


class Records:
    """The folder of all changes."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def change(self, name: str, day: float = 0, **about: Any) -> Change:
        return Change(self.out / about.pop("folder", name), name, START + timedelta(days=day), **about)

    def read(self) -> History:
        return reading.read(folders.below(self.out))


class Change:
    """One change. Each line is ten seconds after the one before."""

    def __init__(
        self, folder: Path, name: str, at: datetime, inventory: str = "prod", commit: str = "c0ffee"
    ) -> None:
        self.folder, self.name, self.at, self.inventory, self.commit = folder, name, at, inventory, commit
        self.committed: str | None = (at - timedelta(hours=3)).isoformat()
        self.dirty: list[str] = []
        self.more: dict[str, Any] = {}
        self.count = 0

    def write(self, kind: str, body: Mapping[str, Any]) -> None:
        """Write one line with the journal's writer, whose clock is ours."""
        self.at += timedelta(seconds=10)
        before, writing.utcnow = writing.utcnow, lambda: self.at  # type: ignore[assignment]
        try:
            self.writer.append(kind, body, wait=False)
        finally:
            writing.utcnow = before

    def later(self, **span: float) -> Change:
        self.at += timedelta(**span)
        return self

    @property
    def run_id(self) -> str:
        return f"{self.name}-{self.inventory}-{self.count}"

    def run(
        self,
        scope: str = "golive",
        verdicts: Mapping[str, Verdict] | None = None,
        *,
        items: tuple[str, ...] | None = None,
        lag: float = 2.0,
        seconds: float = 1.0,
        ends: bool = True,
        reason: str = "as wanted",
        target: str = "db1",
    ) -> Change:
        """Add a run that measures every item of its scope, and decides as the rules do; with `items` only those."""
        self.writer = Writer(self.folder)
        self.count += 1
        mine = items or tuple(item for item in ITEMS if item.partition(".")[0] in (scope or item))
        self.write("run", self._begin(scope, mine))
        self.write("bound", {"run": self.run_id, "tests": [(f"test_{item}", [item]) for item in mine]})
        for item in mine:
            verdict = (verdicts or {}).get(item, Verdict.PASS)
            found = Finding(
                item, target, verdict, reason, f"test_{item}", self.at + timedelta(seconds=10), seconds,
                (Reading("lag", lag, "MB", "16 MB", True), Reading("state", "streams")),
            )  # fmt: skip
            self.write(
                "test", {"run": self.run_id, "test": found.test, "findings": [journal.finding_to_json(found)]}
            )
        if ends:
            decision = rules.decide(standing.question(self.writer.entries, [], self.at))
            self.write("decision", {"run": self.run_id, "decision": journal.decision_to_json(decision)})
            self.write("end", {"run": self.run_id, "interrupted": False})
        self.writer.close()
        return self

    def incident(self, what: What, says: str = "", by: str = "gate", name: str = "incident-1") -> Change:
        """Add an event of an incident."""
        self.writer = Writer(self.folder)
        at = Moment(self.at + timedelta(seconds=10))
        event = Event(name, what, at, by, says, "because", items=("golive.errors",))
        self.write(incident_log.KIND, incident_log.to_json(event))
        self.writer.close()
        return self

    def rollback(self, mark: str = "begun") -> Change:
        """Add a line of a rollback."""
        self.writer = Writer(self.folder)
        moment = moments.to_json(Moment(self.at))
        body = {
            "rollback": "incident-1 of x",
            "mark": mark,
            "moment": moment,
            "step": "",
            "said": "",
            "took_s": 0.0,
        }
        self.write("rollback", {**body, "after_crash": False})
        self.writer.close()
        return self

    def _begin(self, scope: str, mine: tuple[str, ...]) -> dict[str, Any]:
        items = [
            dataclasses.asdict(Item(i, f"{i} works", i.partition(".")[0], Severity.CRITICAL, Kind.AUTOMATED))
            for i in ITEMS
        ]
        source = {"commit": self.commit, "branch": "main", "dirty": self.dirty, "problem": ""}
        return {
            "run": self.run_id, "change": self.name, "scope": scope, "scope_items": list(mine),
            "inventory": {"name": self.inventory, "description": "", "sha256": "1" * 64},
            "checklist": {
                "file": "checklist.md", "sha256": "3" * 64, "items": items, "roles": [],
                "phases": [dataclasses.asdict(Phase(p, p)) for p in PHASES],
            },
            "source": source if self.committed is None else source | {"committed": self.committed},
            "not_applicable": {}, "policy": {"rollback_from": "golive", "decision_valid_s": 86400.0},
            "waived_exit": False, "kept": [], "resumes": False, "waivers": [], "weakenings": [], "windows": {},
            "chained": False, "who": "deployer", "host": "runner", "versions": {},
            **self.more,
        }  # fmt: skip


FAILED = {"golive.errors": Verdict.FAIL}


def many(records: Records, count: int = 8) -> None:
    """Write changes that go live one after the other, a week apart; the third one fails, and is restored in 100 s."""
    for number in range(count):
        change = records.change(f"CHG-{number}", 7 * number, commit=f"c{number}").run(
            "phase2", lag=2.0 + number
        )
        if number == 2:
            change.run(verdicts=FAILED).incident(What.OPENED, "HOLD").later(seconds=20).run()
            change.incident(What.OBSERVED, "GO")
        else:
            change.run(seconds=1.0 + number)
