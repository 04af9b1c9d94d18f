from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from no_secrets import no_secrets
from tickets_servers import TOKEN, GitHub, GitLab, Jira, ServiceNow, running

from pytest_deploygate.cli import main

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


class DataCenter(Jira):
    cloud = False


#: Each system with the key of its ticket.
SYSTEMS = {
    "servicenow": (ServiceNow, "CHG0030001"),
    "jira-cloud": (Jira, "OPS-42"),
    "jira-data-center": (DataCenter, "OPS-42"),
    "github": (GitHub, "42"),
    "gitlab": (GitLab, "42"),
}


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


class Desk:
    """A project, a system with tickets, and the command between them."""

    def __init__(self, project: Path, system, key: str) -> None:
        self.project, self.system, self.key = project, system, key
        self.folder = project / "deploygate-out" / "CHG-1"
        self.configure()

    def configure(self, **more: object) -> None:
        entry = {**self.system.entry, "settle": "200ms", "timeout": "60s", **more}
        (self.project / "inventories" / "small.yml").write_text(
            yaml.safe_dump({"name": "small", "tickets": [entry]})
        )

    @property
    def ticket(self) -> str:
        return f"{self.system.entry['system']}:{self.key}"

    def attach(self, *words: str):
        done = CliRunner().invoke(main, ["attach", "--change", "CHG-1", "--ticket", self.ticket, *words])
        assert TOKEN not in done.output
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    def whole(self) -> None:
        """Assert that the ticket has everything once."""
        assert self.system.complaints == []
        names = sorted(self.system.attached() if hasattr(self.system, "attached") else self.system.names())
        assert [name.partition("-")[0] for name in names] == ["evidence", "signoff"], names
        assert len(self.system.comments) == 1, self.system.comments


@pytest.fixture(params=list(SYSTEMS))
def desk(request, change_that_ran, tmp_path, monkeypatch):
    kind, key = SYSTEMS[request.param]
    with running(kind()) as system:
        project = shutil.copytree(change_that_ran, tmp_path / "project")
        monkeypatch.chdir(project)
        monkeypatch.setenv("TICKET_TOKEN", TOKEN)
        yield Desk(project, system, key)
