"""The overhead of a run besides its checks: one item against an empty pytest run, and the import of all judges.

    python benchmarks/start.py
    python benchmarks/start.py --inventory lab --items db.cluster --items infra.certificates

Without an inventory the item is a test of a small generated project, which judges a number without network access. All
runs take turns, so that other work on the machine affects all of them alike; figures are medians of processor time
(user and system) and of wall time, with the ratio to the empty run. Hypothesis' plugin is disabled everywhere:
it imports Hypothesis at the end of every run, which makes an empty run slower and each ratio smaller.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

LIMIT = 2.5
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:hypothesispytest")

CHECKLIST = """\
# Release

## Database {#phase2 .database}
- [ ] Migrations {#b.migrations .automated .critical}
"""
SUITE = """\
import pytest
from pytest_deploygate.model import Judgement, Reading, Verdict

def judge(measured, limit):
    return Judgement(Verdict.PASS, f"{measured} of at most {limit}", (Reading("n", measured),))

@pytest.mark.item("b.migrations")
def test_migrations(gate):
    gate.judge(judge, 1, 2)
"""
JUDGES = """\
import importlib, json, pkgutil, resource, sys
from pytest_deploygate import checks
for subject in checks.subjects():
    module = checks.part(subject, "judge")
    for inner in pkgutil.walk_packages(getattr(module, "__path__", []), f"{checks.__name__}.{subject}.judge."):
        importlib.import_module(inner.name)
unwanted = {"psycopg", "requests", "testinfra", "OpenSSL"} & set(sys.modules)
assert not unwanted, unwanted
"""


@dataclass
class Timed:
    """A command, and the times of its runs."""

    name: str
    command: Sequence[str]
    folder: Path
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    def run(self, env: Mapping[str, str]) -> None:
        """Run it once more and record both times."""
        before, began = _children(), time.perf_counter()
        done = subprocess.run(
            self.command, cwd=self.folder, env=env, capture_output=True, text=True, check=False
        )
        self.wall.append(time.perf_counter() - began)
        self.cpu.append(_children() - before)
        if done.returncode:
            sys.exit(
                f"{self.name} exited with {done.returncode}, so its time is meaningless:\n{done.stdout[-2000:]}"
            )


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _project(folder: Path) -> Path:
    (folder / "suites").mkdir(parents=True)
    (folder / "inventories").mkdir()
    (folder / "pytest.ini").write_text("[pytest]\ntestpaths = suites\n")
    (folder / "suites" / "checklist.md").write_text(CHECKLIST)
    (folder / "suites" / "test_suite.py").write_text(SUITE)
    (folder / "inventories" / "prod.yml").write_text("name: prod\n")
    return folder


def main() -> None:
    """Let all commands take turns, then print the medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--inventory", help="an inventory of this folder; its platform must be up")
    parser.add_argument(
        "--items", action="append", default=[], help="an item to run by itself; may be repeated"
    )
    parser.add_argument("--runs", type=int, default=9)
    said = parser.parse_args()
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "empty").mkdir()
        (folder / "empty" / "pytest.ini").write_text("[pytest]\n")
        (folder / "empty" / "test_empty.py").write_text("def test_empty():\n    pass\n")
        project = _project(folder / "project")
        timed = [
            Timed("empty run", PYTEST, folder / "empty"),
            Timed("the same without our plugin", (*PYTEST, "-p", "no:deploygate"), folder / "empty"),
            Timed("one item without network access", (*PYTEST, "--inventory", "prod", "--fresh"), project),
        ]
        for item in said.items if said.inventory else ():
            words = (
                "--inventory",
                said.inventory,
                "--items",
                item,
                "--fresh",
                f"--deploygate-out={folder}/out",
            )
            timed.append(Timed(f"{item} of {said.inventory}", (*PYTEST, *words), Path.cwd()))
        judges = Timed("importing all judges", (sys.executable, "-c", JUDGES), folder)
        python = Timed("python itself", (sys.executable, "-c", ""), folder)
        for one in (*timed, judges, python):
            one.run(env)  # writes the compiled modules
            one.cpu.clear()
            one.wall.clear()
        for _ in range(said.runs):
            for one in (*timed, judges, python):
                one.run(env)
    _print(timed, judges, python)


def _print(timed: Sequence[Timed], judges: Timed, python: Timed) -> None:
    empty = timed[0]
    print(f"{'':30} {'CPU':>8} {'ratio':>6} {'wall':>8} {'ratio':>6}")
    for one in timed:
        cpu, wall = statistics.median(one.cpu), statistics.median(one.wall)
        by_cpu, by_wall = cpu / statistics.median(empty.cpu), wall / statistics.median(empty.wall)
        over = f"  over {LIMIT:g} times" if by_cpu > LIMIT else ""
        print(f"{one.name:30} {cpu:6.2f} s {by_cpu:6.2f} {wall:6.2f} s {by_wall:6.2f}{over}")
    imported = statistics.median(judges.cpu) - statistics.median(python.cpu)
    print(f"{judges.name:30} {imported:6.2f} s CPU on top of Python's own start (limit 0.3 s)")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(json.dumps({"runs": len(empty.cpu), "load": load, "cpus": os.cpu_count()}))


if __name__ == "__main__":
    main()
