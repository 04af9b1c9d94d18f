"""Runs of a change, written line by line by the journal's own writer."""

from __future__ import annotations

import dataclasses
import threading
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from pytest_deploygate import journal, moments
from pytest_deploygate.decision import rules, standing
from pytest_deploygate.journal import Writer, utcnow
from pytest_deploygate.model import Finding, Item, Kind, Phase, Severity, Verdict
from pytest_deploygate.report.live.server import Server

PHASES = ("phase2", "golive")


class Change:
    def __init__(self, folder: Path, items: int = 4) -> None:
        self.folder, self.run = folder, ""
        self.items = [f"{PHASES[n % 2]}.item-{n}" for n in range(items)]
        self.writer: Writer

    def begin(self, run: str = "run-1", valid_s: float = 86400.0) -> Change:
        self.run = run
        self.writer = Writer(self.folder)
        items = [
            dataclasses.asdict(
                Item(i, f"Item {i} works", i.partition(".")[0], Severity.CRITICAL, Kind.AUTOMATED)
            )
            for i in self.items
        ]
        body = {
            "run": run, "change": "CHG-1", "scope": "phase2 or golive", "scope_items": self.items,
            "inventory": {"name": "prod", "description": "", "sha256": "1" * 64},
            "checklist": {
                "file": "checklist.md", "sha256": "3" * 64, "items": items, "roles": ["Release manager"],
                "phases": [dataclasses.asdict(Phase(p, p)) for p in PHASES],
            },
            "not_applicable": {}, "policy": {"rollback_from": "golive", "decision_valid_s": valid_s},
            "waived_exit": False, "kept": [], "resumes": False, "waivers": [], "weakenings": [], "windows": {},
            "chained": False, "who": "deployer", "host": "runner", "versions": {"pytest-deploygate": "0"},
            "contacts": [{"role": "Release manager", "name": "", "phone": "", "mail": "release@example.com"}],
        }  # fmt: skip
        self.writer.append("run", body)
        self.writer.append("bound", {"run": run, "tests": [(f"test_{i}", [i]) for i in self.items]})
        return self

    def finds(self, item: str, verdict: Verdict = Verdict.PASS, reason: str = "0.2 s") -> None:
        found = Finding(item, "", verdict, reason, f"test_{item}", utcnow() - timedelta(seconds=1), 0.1)
        body = {"run": self.run, "test": found.test, "findings": [journal.finding_to_json(found)]}
        self.writer.append("test", body, wait=False)

    def incident(self) -> None:
        self.writer.append("incident", {
            "incident": "INC-1", "what": "opened", "moment": moments.to_json(moments.present()), "by": "gate",
            "outcome": "", "reason": "an item failed", "name": "", "items": [self.items[0]], "late_s": 0.0,
        })  # fmt: skip

    def ends(self) -> None:
        decision = rules.decide(standing.question(self.writer.entries, [], utcnow()))
        self.writer.append("decision", {"run": self.run, "decision": journal.decision_to_json(decision)})
        self.writer.append("end", {"run": self.run, "interrupted": False})
        self.writer.close()


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
