"""A small project for tests of the plugin: a checklist of six items, an inventory, and a suite written by the test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import forked
import pytest

CHECKLIST = """\
# Release

## Before {#preflight}

### Infrastructure {#preflight .infrastructure}
- [ ] Servers {#a.servers .automated}

### Security {#preflight .security}
- [ ] Certificates {#a.tls .automated .critical}

## Database {#phase2 .database}
- [ ] Migrations {#b.migrations .automated .critical}
- [ ] Tables {#b.tables .automated}
- [ ] Notes {#b.notes .automated .minor}

## Go-live {#golive}
- [ ] Errors {#c.errors .automated .critical}
"""

PRELUDE = """\
import os, signal, sys, time
import pytest
from pytest_deploygate.model import CannotTell, Judgement, NotCovered, Reading, Verdict

def judge(measurement, criterion):
    return Judgement(Verdict(measurement["verdict"]), measurement["reason"], (Reading("n", measurement["n"]),))

def says(gate, verdict="pass", reason="as wanted", n=1, **more):
    gate.judge(judge, {"verdict": verdict, "reason": reason, "n": n}, {"limit": 1}, **more)

"""

#: A suite in which every item of phase2 passes.
GOOD = """
@pytest.mark.item("b.migrations")
def test_migrations(gate):
    says(gate)

@pytest.mark.item("b.tables")
@pytest.mark.parametrize("name", ["users", "alerts"])
def test_table(gate, name):
    says(gate)

@pytest.mark.item("b.notes")
def test_notes(gate):
    says(gate)
"""


@dataclass(frozen=True)
class Ran:
    """The result of a run: its exit code and its output (standard output and error)."""

    code: int
    text: str


class Project:
    """A folder with pytest.ini, suites/, inventories/ and the results of its runs."""

    def __init__(self, path: Path, pytester: pytest.Pytester) -> None:
        self.path = path
        self._pytester = pytester
        (path / "pytest.ini").write_text("[pytest]\ntestpaths = suites\naddopts = -p no:cacheprovider\n")
        (path / "suites").mkdir()
        (path / "inventories").mkdir()
        self.inventory("name: prod\n")
        (path / "suites" / "checklist.md").write_text(CHECKLIST)
        self.out = path / "deploygate-out" / "local"

    def inventory(self, text: str, name: str = "prod") -> None:
        (self.path / "inventories" / f"{name}.yml").write_text(text)

    def checklist_with(self, phase: str) -> None:
        """Add a phase to the checklist, before go-live."""
        head, golive, rest = CHECKLIST.partition("## Go-live")
        (self.path / "suites" / "checklist.md").write_text(f"{head}{phase}\n{golive}{rest}")

    def suite(self, text: str, name: str = "test_suite.py") -> None:
        (self.path / "suites" / name).write_text(PRELUDE + textwrap.dedent(text))

    def run(self, *args: str, gate: bool = True) -> Ran:
        """Run pytest in this process."""
        done = self._pytester.runpytest_inprocess(*(["--inventory", "prod"] if gate else []), *args)
        return Ran(int(done.ret), f"{done.stdout}\n{done.stderr}")

    def start(self, *args: str, **more: str) -> subprocess.Popen[str]:
        """Start pytest in a new process."""
        command = [sys.executable, "-m", "pytest", *args]
        return subprocess.Popen(
            command,
            cwd=self.path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **more},
        )

    def run_process(self, *args: str, gate: bool = True, **more: str) -> Ran:
        """Run pytest in a new process and wait for it to exit."""
        words = [*(["--inventory", "prod"] if gate else []), *args]
        done = forked.run("pytest", words, cwd=self.path, env={**os.environ, **more})
        text = done.stdout + done.stderr
        sys.stdout.write(text)  # shown where a test fails before it looks at the text
        return Ran(done.returncode, text)

    def verdicts(self, out: Path | None = None) -> dict[str, Any]:
        return json.loads(((out or self.out) / "verdicts.json").read_text())

    def verdict(self, item: str) -> str:
        return next(entry["verdict"] for entry in self.verdicts()["items"] if entry["id"] == item)

    def reason(self, item: str) -> str:
        return next(entry["reason"] for entry in self.verdicts()["items"] if entry["id"] == item)

    def because(self) -> str:
        """Return the reasons of all rules of the decision."""
        return " | ".join(rule["because"] for rule in self.verdicts()["decision"]["rules"])
