"""Killed before and after each request that the server handles, the next try mends the ticket without a second attachment."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys

import pytest
from ticket_desk import SYSTEMS, Desk
from tickets_servers import TOKEN, running

#: Forks a command for each line that it reads, and prints its pid, then its exit code: all modules are loaded once.
FORKS = """
import os, sys
from pytest_deploygate.cli import main
import pytest_deploygate.cli.commands.attach, pytest_deploygate.clients.tickets.opening
from pytest_deploygate.clients.tickets import github, gitlab, jira, servicenow
from pytest_deploygate.report import html
for line in sys.stdin:
    pid = os.fork()
    if not pid:
        sys.stdout = open("last.txt", "w")
        sys.stderr = sys.stdout
        os.dup2(sys.stdout.fileno(), 1), os.dup2(sys.stdout.fileno(), 2)
        os.kill(os.getpid(), 19)
        try:
            main(line.split(), prog_name="deploygate")
        except SystemExit as end:
            sys.stdout.flush()
            os._exit(end.code or 0)
        os._exit(99)
    os.waitpid(pid, 2)
    print(pid, flush=True)
    os.kill(pid, 18)
    print(os.waitpid(pid, 0)[1], flush=True)
"""


@pytest.fixture(params=["servicenow", "jira-cloud", "github", "gitlab"])
def killed(request, change_that_ran, tmp_path, monkeypatch):
    kind, key = SYSTEMS[request.param]
    monkeypatch.setenv("TICKET_TOKEN", TOKEN)
    project = shutil.copytree(change_that_ran, tmp_path / "project")
    env = {"PATH": "/usr/bin:/bin", "HOME": str(project), "TICKET_TOKEN": TOKEN}
    forks = subprocess.Popen(
        [sys.executable, "-c", FORKS],
        cwd=project,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield kind, key, project, forks
    forks.stdin.close()
    forks.stdout.close()
    forks.wait(60)


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.long)], ids=["writes", "all"])
def test_killed_at_any_request(killed, every):
    """`writes`: killed at requests that change something; `all`: also at those that look."""
    kind, key, project, forks = killed
    at = 0
    while True:
        with running(kind()) as system:
            shutil.rmtree(project / "deploygate-out" / "CHG-1" / "tickets", ignore_errors=True)
            desk = Desk(project, system, key)
            moments = iter(range(10_000))
            running_now: dict[str, int] = {}

            def kill(moment, moments=moments, at=at, running_now=running_now):
                if (every or not moment.endswith("GET")) and next(moments) == at:
                    os.kill(running_now["pid"], signal.SIGKILL)

            def go(command=f"attach --change CHG-1 --ticket {desk.ticket}\n", running_now=running_now):
                forks.stdin.write(command)
                forks.stdin.flush()
                running_now["pid"] = int(forks.stdout.readline())
                return int(forks.stdout.readline())

            system.watch = kill
            first = go()
            system.watch = None
            if first == 0:
                desk.whole()
                break  # no request is left to be killed at
            assert first == signal.SIGKILL, (project / "last.txt").read_text()
            assert go() == 0, (project / "last.txt").read_text()
            desk.whole()
        at += 1
    assert at >= (14 if every else 6)  # before and after each request; GitLab has the fewest
