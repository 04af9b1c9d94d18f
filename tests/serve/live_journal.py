"""Runs of a change, written line by line by the journal's own writer."""

from __future__ import annotations

import dataclasses
import threading
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from pytest_deploygate import journal, moments
from pytest_deploygate.decision import incident_log, rules, standing
from pytest_deploygate.decision.incidents import Event, What
from pytest_deploygate.journal import Writer, utcnow
from pytest_deploygate.model import Finding, Item, Kind, Phase, Severity, Verdict
from pytest_deploygate.report.live.server import Server
from pytest_deploygate.rollback import progress
from pytest_deploygate.rollback.progress import Line, Mark

PHASES = ("phase2", "golive")


class Change:
    def __init__(self, folder: Path, items: int = 4) -> None:
        self.folder, self.run = folder, ""
        self.items = [f"{PHASES[n % 2]}.item-{n}" for n in range(items)]
        self.writer: Writer

    def begin(
        self,
        run: str = "run-1",
        valid_s: float = 86400.0,
        scope: list[str] | None = None,
        waived_exit: bool = False,
        roles: tuple[str, ...] = ("Release manager",),
        shard: tuple[int, int] | None = None,
    ) -> Change:
        self.run = run
        self.writer = Writer(self.folder)
        items = [
            dataclasses.asdict(
                Item(i, f"Item {i} works", i.partition(".")[0], Severity.CRITICAL, Kind.AUTOMATED)
            )
            for i in self.items
        ]
        body = {
            "run": run, "change": "CHG-1", "scope": "phase2 or golive",
            "scope_items": self.items if scope is None else scope,
            "inventory": {"name": "prod", "description": "", "sha256": "1" * 64},
            "checklist": {
                "file": "checklist.md", "sha256": "3" * 64, "items": items, "roles": list(roles),
                "phases": [dataclasses.asdict(Phase(p, p)) for p in PHASES],
            },
            "not_applicable": {}, "policy": {"rollback_from": "golive", "decision_valid_s": valid_s},
            "waived_exit": waived_exit, "kept": [], "resumes": False, "waivers": [], "weakenings": [], "windows": {},
            "chained": False, "who": "deployer", "host": "runner", "versions": {"pytest-deploygate": "0"},
            "contacts": [{"role": "Release manager", "name": "", "phone": "", "mail": "release@example.com"}],
        }  # fmt: skip
        mine = self.items
        if shard:
            body["shard"] = {"index": shard[0], "of": shard[1]}
            mine = self.items[shard[0] - 1 :: shard[1]]
        self.writer.append("run", body)
        self.writer.append("bound", {"run": run, "tests": [(f"test_{i}", [i]) for i in mine]})
        return self

    def finds(self, item: str, verdict: Verdict = Verdict.PASS, reason: str = "0.2 s") -> None:
        found = Finding(item, "", verdict, reason, f"test_{item}", utcnow() - timedelta(seconds=1), 0.1)
        body = {"run": self.run, "test": found.test, "findings": [journal.finding_to_json(found)]}
        self.writer.append("test", body, wait=False)

    def passes(self, run: str = "run-1", **options) -> Change:
        """A whole run whose items all pass."""
        self.begin(run, **options)
        for item in options.get("scope") or self.items:
            self.finds(item)
        return self.ends()

    def incident(self, what: What = What.OPENED, by: str = "gate", says: str = "") -> None:
        event = Event("INC-1", what, moments.present(), by, says, "an item failed", items=(self.items[0],))
        self.writer.append("incident", incident_log.to_json(event))

    def rollback(self, mark: Mark, step: str = "", said: str = "", took_s: float = 1.5) -> None:
        line = Line("INC-1 of CHG-1", mark, moments.present(), step, said, took_s)
        self.writer.append("rollback", progress.to_json(line))

    def reopened(self) -> Change:
        """Open the journal again after a run, as a command does."""
        self.writer = Writer(self.folder)
        return self

    def ends(self) -> Change:
        decision = rules.decide(standing.question(self.writer.entries, [], utcnow()))
        self.writer.append("decision", {"run": self.run, "decision": journal.decision_to_json(decision)})
        self.writer.append("end", {"run": self.run, "interrupted": False})
        self.writer.close()
        return self


@contextmanager
def served(folder: Path, token: str = "", names: tuple[str, ...] = ()):
    """Serve a folder on a free port of loopback; yield its port."""
    server = Server(("127.0.0.1", 0), folder, "CHG-1", token, names)
    threads = [
        threading.Thread(target=server.follow),
        threading.Thread(target=server.serve_forever, args=(0.02,)),
    ]
    for thread in threads:
        thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        for thread in threads:
            thread.join(10)
