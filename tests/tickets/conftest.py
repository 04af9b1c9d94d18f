from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from no_secrets import no_secrets
from ticket_desk import SYSTEMS, Desk
from tickets_servers import TOKEN, running

__all__ = ["no_secrets"]  # a fixture for every test here

CHECKLIST = """\
## Phase 1 {#phase1 .database}
- [ ] Servers are up {#phase1.servers}
- [ ] Logs are clean {#phase1.log-lines .minor}
## Final sign-off {.sign-off}
- [ ] Deployment lead: ____
"""
SUITE = """\
import pytest
from pytest_deploygate.model import Judgement, Reading, Verdict


def judge(measurement, criterion):
    return Judgement(Verdict.PASS, "no errors", (Reading("errors", measurement, ok=True),))


@pytest.mark.item("phase1.servers")
def test_servers(gate):
    gate.judge(judge, 0, 1)


@pytest.mark.item("phase1.log-lines")
def test_logs(gate):
    gate.judge(judge, 0, 1)
"""


@pytest.fixture(scope="session")
def change_that_ran(tmp_path_factory) -> Path:
    """A project in which the change CHG-1 ran, with GO."""
    project = tmp_path_factory.mktemp("ran")
    for name, text in {
        "suites/checklist.md": CHECKLIST,
        "suites/test_small.py": SUITE,
        "inventories/small.yml": "name: small\n",
        "pytest.ini": "[pytest]\ntestpaths = suites\n",
    }.items():
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "phase1", "--inventory", "small", "--change", "CHG-1"],
        cwd=project,
        env={"PATH": "/usr/bin:/bin", "HOME": str(project)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    return project


@pytest.fixture(params=list(SYSTEMS))
def desk(request, change_that_ran, tmp_path, monkeypatch):
    kind, key = SYSTEMS[request.param]
    with running(kind()) as system:
        project = shutil.copytree(change_that_ran, tmp_path / "project")
        monkeypatch.chdir(project)
        monkeypatch.setenv("TICKET_TOKEN", TOKEN)
        yield Desk(project, system, key)
