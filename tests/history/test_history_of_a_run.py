"""A real run of the gate in a repository: its record gives the lead time, and its trace has its findings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from receiver import receiving

from pytest_deploygate.cli import main

CHECKLIST = """\
# Release

## Database {#phase2 .database}
- [ ] Tables {#b.tables .automated}

## Go-live {#golive}
- [ ] Errors {#c.errors .automated .critical}
"""
SUITE = """\
import pytest
from pytest_deploygate.model import Judgement, Reading, Verdict

def judge(measured, limit):
    return Judgement(Verdict.PASS, "few errors", (Reading("errors", measured, "%", "0.1 %", True),))

@pytest.mark.item("b.tables")
@pytest.mark.item("c.errors")
def test_errors(gate):
    gate.judge(judge, 0.05, 0.1)
"""
COMMITTED = "2026-01-05T08:00:00+01:00"


def git(*words: str) -> None:
    identity = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
    around = os.environ | {"GIT_COMMITTER_DATE": COMMITTED}
    subprocess.run(["git", *identity, *words], check=True, capture_output=True, env=around)


def test_the_record_of_a_run_gives_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for file, text in {
        "pytest.ini": "[pytest]\ntestpaths = suites\naddopts = -p no:cacheprovider\n",
        "inventories/prod.yml": "name: prod\n",
        "suites/checklist.md": CHECKLIST,
        "suites/test_own.py": SUITE,
        ".gitignore": "deploygate-out/\n__pycache__/\n",
    }.items():
        Path(file).parent.mkdir(exist_ok=True)
        Path(file).write_text(text)
    git("init", "-q", ".")
    git("add", ".")
    git("commit", "-q", "-m", "release")
    command = [sys.executable, "-m", "pytest", "-q", "--inventory", "prod", "--change", "CHG-1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(CliRunner().invoke(main, ["history", "--json"]).stdout)
    assert told["folders"] == {"counted": 1, "notes": []}
    (change,) = told["changes"]
    one = change["deployment"]
    assert (one["state"], one["outcome"], one["decided_by"], one["lead_unknown"]) == (
        "succeeded",
        "GO",
        "gate",
        "",
    )
    assert one["lead_s"] > 0
    assert {item["item"]: item["verdicts"] for item in told["items"]} == {
        "b.tables": {"pass": 1},
        "c.errors": {"pass": 1},
    }
    with receiving() as (there, url):
        assert CliRunner().invoke(main, ["trace", "--change", "CHG-1", "--endpoint", url]).exit_code == 0
    assert {span.name for span in there.spans} == {"deploygate the whole checklist", "b.tables", "c.errors"}
