"""A run killed at any moment leaves a readable journal with its evidence, and `--resume` ends with the verdicts of an undisturbed run."""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import signal
import subprocess
import sys
from pathlib import Path

from pytest_deploygate import journal
from pytest_deploygate.session.evidence import intact

#: With `bin/test --long` a hundred.
KILLS = 100 if os.environ.get("DEPLOYGATE_LONG") else 25
SUITE = """
import time
import pytest
from pytest_deploygate.model import Judgement, Reading, Verdict

ENDS = ["pass", "fail", "pass", "inconclusive", "pass", "pass", "not_covered", "pass"]
ITEMS = ["one", "two", "three", "four", "five", "six", "seven", "eight"]

def judge(measured, end):
    return Judgement(Verdict(end), f"it is {end}", (Reading("number", measured, ok=end == "pass"),))
""" + "".join(
    f"""
@pytest.mark.item("phase2." + ITEMS[{n}])
def test_{n}(gate):
    time.sleep(0.02)
    gate.judge(judge, {n}, ENDS[{n}], target="first")
    gate.judge(judge, {n}, "pass", target="second")
"""
    for n in range(8)
)
CHECKLIST = "# Release\n\n## Database {#phase2}\n" + "".join(
    f"- [ ] The {name} {{#phase2.{name} .automated}}\n"
    for name in ("one", "two", "three", "four", "five", "six", "seven", "eight")
)


def _project(folder: Path) -> Path:
    (folder / "suites").mkdir(parents=True)
    (folder / "inventories").mkdir()
    (folder / "pytest.ini").write_text("[pytest]\ntestpaths = suites\n")
    (folder / "inventories" / "x.yml").write_text("name: x\n")
    (folder / "suites" / "test_small.py").write_text(SUITE)
    (folder / "suites" / "checklist.md").write_text(CHECKLIST)
    return folder


#: Runs `undisturbed` and prints its exit code, then forks a run for each line `CHANGE` that it reads and prints its pid
#: and exit code. A fork has all modules loaded, so that the kills hit the run itself and not the start of Python.
FORKS = """
import os, sys
import pytest
from pytest_deploygate.session import evidence

evidence.FILES = 8  # what follows is in the journal
GATE = ["-m", "phase2", "--inventory", "x", "--resume", "-p", "no:cacheprovider"]
said = os.fdopen(os.dup(1), "w")
null = os.open(os.devnull, os.O_RDWR)
os.dup2(null, 1)
print(int(pytest.main([*GATE, "--deploygate-out=out/undisturbed"])), file=said, flush=True)
for line in sys.stdin:
    pid = os.fork()
    if not pid:
        os.dup2(null, 0)
        os._exit(pytest.main([*GATE, "--deploygate-out=out/" + line.strip()]))
    print(pid, file=said, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), file=said, flush=True)
"""


class _Forks:
    """Runs of the project, one at a time, each a process of its own."""

    def __init__(self, project: Path) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-c", FORKS],
            cwd=project,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )

    def undisturbed(self) -> int:
        """Return the exit code of the undisturbed run."""
        assert self._server.stdout
        return int(self._server.stdout.readline())

    def run(self, change: str, kill_after_s: float | None = None) -> int:
        """Run a change, killed after a while or undisturbed; return its exit code, -9 if the kill was in time."""
        assert self._server.stdin
        assert self._server.stdout
        self._server.stdin.write(f"{change}\n")
        self._server.stdin.flush()
        pid = int(self._server.stdout.readline())
        if kill_after_s is not None and not select.select([self._server.stdout], [], [], kill_after_s)[0]:
            # A run that ends at this moment stays unreaped at most until the next line is read: its pid is not
            # reused yet, or does not exist.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return int(self._server.stdout.readline())

    def close(self) -> None:
        self._server.communicate(timeout=30)


def _verdicts(project: Path, change: str) -> dict[str, tuple[str, str]]:
    items = json.loads((project / "out" / change / "verdicts.json").read_text())["items"]
    return {item["id"]: (item["verdict"], item["reason"]) for item in items if item["in_scope"]}


def _until_done(project: Path, forks: _Forks, change: str, dice: random.Random) -> int:
    """Run a change, killed at random moments, until a run finishes; return how often it was killed."""
    kills = 0
    # Some runs are not killed, or it would never finish.
    while (code := forks.run(change, None if dice.random() < 0.15 else dice.uniform(0.01, 0.5))) != 1:
        assert code == -signal.SIGKILL
        kills += 1
        folder = project / "out" / change
        entries, _ = journal.read(folder)
        findings = [finding for entry in entries if entry.kind == "test" for finding in entry.findings]
        assert all(intact(folder, one) for finding in findings for one in finding.evidence)
    return kills


def test_a_journal_survives_kills(tmp_path: Path) -> None:
    """Each journal is readable after each kill, and each change ends like the undisturbed one."""
    project = _project(tmp_path / "project")
    forks = _Forks(project)
    seed = random.SystemRandom().randrange(2**32)
    dice = random.Random(seed)
    kills = number = 0
    try:
        assert forks.undisturbed() == 1
        expected = _verdicts(project, "undisturbed")
        assert len({verdict for verdict, _ in expected.values()}) == 4
        while kills < KILLS:
            change = f"change-{number}"
            kills += _until_done(project, forks, change, dice)
            assert _verdicts(project, change) == expected, f"seed {seed}, {change}"
            number += 1
    finally:
        forks.close()
