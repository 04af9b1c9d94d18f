"""A run killed at any moment leaves a journal that reads, and `--resume` ends with the verdicts of an undisturbed run."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pytest_deploygate import journal

KILLS = 100
SIDE_BY_SIDE = 2
SUITE = """
import time
import pytest
from pytest_deploygate.model import Judgement, Reading, Verdict

ENDS = ["pass", "fail", "pass", "inconclusive", "pass", "pass", "not_covered", "pass"]
ITEMS = ["migrations", "tables", "indexes", "aggregates", "partitioning", "replication", "backup-jobs", "validation"]

def judge(measured, end):
    return Judgement(Verdict(end), f"it is {end}", (Reading("number", measured, ok=end == "pass"),))
""" + "".join(
    f"""
@pytest.mark.item("phase2." + ITEMS[{n}])
def test_{n}(gate):
    time.sleep(0.04)
    gate.judge(judge, {n}, ENDS[{n}], target="first")
    gate.judge(judge, {n}, "pass", target="second")
"""
    for n in range(8)
)


def _project(folder: Path) -> Path:
    (folder / "suites").mkdir(parents=True)
    (folder / "inventories").mkdir()
    (folder / "pytest.ini").write_text("[pytest]\ntestpaths = suites\n")
    (folder / "inventories" / "x.yml").write_text("name: x\n")
    (folder / "suites" / "test_small.py").write_text(SUITE)
    return folder


def _start(project: Path, change: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "pytest",
            "-m",
            "phase2",
            "--inventory",
            "x",
            "--resume",
            "-p",
            "no:cacheprovider",
            f"--deploygate-out={project / 'out' / change}",
        ],
        cwd=project,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )


def _verdicts(project: Path, change: str) -> dict[str, tuple[str, str]]:
    items = json.loads((project / "out" / change / "verdicts.json").read_text())["items"]
    return {item["id"]: (item["verdict"], item["reason"]) for item in items if item["in_scope"]}


def _until_done(project: Path, change: str, dice: random.Random) -> int:
    """Run a change, killed at random moments, until a run comes to its end; return how often it was killed."""
    kills = 0
    while True:
        run = _start(project, change)
        try:
            # Now and then a run is let alone, or it would never end.
            run.wait(timeout=60 if dice.random() < 0.15 else dice.uniform(0.2, 1.5))
        except subprocess.TimeoutExpired:
            run.send_signal(signal.SIGKILL)
            run.wait()
            kills += 1
            journal.read(project / "out" / change)
            continue
        assert run.returncode == 1
        return kills


def test_a_hundred_kills(tmp_path: Path) -> None:
    """Each journal reads after each kill, and each change ends as the undisturbed one did."""
    project = _project(tmp_path / "project")
    assert _start(project, "undisturbed").wait(timeout=60) == 1
    expected = _verdicts(project, "undisturbed")
    assert len({verdict for verdict, _ in expected.values()}) == 4
    seed = random.SystemRandom().randrange(2**32)

    def changes(lane: int) -> int:
        dice = random.Random(seed + lane)
        kills = number = 0
        while kills < KILLS // SIDE_BY_SIDE:
            change = f"lane{lane}-{number}"
            kills += _until_done(project, change, dice)
            assert _verdicts(project, change) == expected, f"seed {seed}, {change}"
            number += 1
        return kills

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        assert sum(pool.map(changes, range(SIDE_BY_SIDE))) >= KILLS
