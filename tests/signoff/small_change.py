"""A small change, run for real, with keys and allowed-signers files for its roles."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import forked

from pytest_deploygate import journal
from pytest_deploygate.signoff import folder as folders

CHECKLIST = """\
## Phase 1 {#phase1 .database}
- [ ] Servers are up {#phase1.servers}
- [ ] Logs are clean {#phase1.log-lines .minor}
## Final sign-off {.sign-off}
- [ ] Deployment lead: ____
- [ ] Technical lead: ____
- [ ] Operations manager: ____
"""
SUITE = """\
import os
import pytest
from pytest_deploygate.model import Judgement, Reading, Verdict


def judge(measurement, criterion):
    good = measurement <= criterion
    reading = Reading("errors", measurement, limit=f"at most {criterion}", ok=good)
    return Judgement(Verdict.PASS if good else Verdict.FAIL, f"{measurement} errors", (reading,), confirmed=True)


@pytest.mark.item("phase1.servers")
def test_servers(gate):
    gate.judge(judge, int(os.environ.get("ERRORS", "0")), 1)


@pytest.mark.item("phase1.log-lines")
def test_logs(gate):
    gate.judge(judge, 0, 1)
"""
ROLES = ("deployment-lead", "technical-lead", "operations-manager")


def run_gate(project: Path, change: str, *, errors: int = 0) -> Path:
    """Run the small suite for real and return the change's folder."""
    forked.run(
        "pytest",
        ["-q", "-m", "phase1", "--inventory", "small", "--change", change],
        cwd=project,
        env={"PATH": "/usr/bin:/bin", "ERRORS": str(errors), "HOME": str(project)},
    )
    return project / "deploygate-out" / change


def make_key(place: Path, name: str, *options: str) -> Path:
    key = place / name
    subprocess.run(
        ["ssh-keygen", "-q", "-N", "", "-C", name, "-f", key, *(options or ("-t", "ed25519"))], check=True
    )
    return key


def public(key: Path) -> str:
    return " ".join(Path(f"{key}.pub").read_text().split()[:2])


def allow(file: Path, keys: dict[str, Path], options: str = 'namespaces="deploygate-signoff"') -> Path:
    """Write an allowed-signers file: each role with its key."""
    file.write_text("".join(f"{role} {options} {public(key)}\n" for role, key in keys.items()))
    return file


@dataclass(frozen=True)
class Signed:
    """A project with a change that every role has signed."""

    project: Path
    folder: Path
    keys: dict[str, Path]
    allowed: Path


def results_again(folder: Path) -> None:
    """Write the results computed from the journal, as a careful forger would."""
    for name, raw in folders.rendered((folder / journal.FILE).read_bytes(), folder / journal.FILE).items():
        (folder / name).write_bytes(raw)


def rewrite(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Rewrite the whole journal with a change in it, recompute every hash, and rewrite the results."""
    entries, _ = journal.read(folder)
    (folder / journal.FILE).unlink()
    writer = journal.Writer(folder)
    for entry in entries:
        body = json.loads(json.dumps(dict(entry.body)))
        change(body)
        writer.append(
            entry.kind, {k: v for k, v in body.items() if k not in ("seq", "prev", "at", "kind", "own")}
        )
    writer.close()
    results_again(folder)
