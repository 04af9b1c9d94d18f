"""A run of many findings against plain pytest with as many empty tests, alone and with workers.

    python benchmarks/findings.py
    python benchmarks/findings.py --findings 20000 --runs 5

All runs take turns, so that other work on the machine affects all of them alike. Printed are medians of wall and
processor time (user and system), with the ratio to plain pytest without workers.
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
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:hypothesispytest", "-p", "no:cacheprovider")
ITEMS = 50
HEAD = """\
import pytest
from pytest_deploygate.model import Judgement, Reading, Verdict

def judge(measured, limit):
    return Judgement(Verdict.PASS, f"{measured} of at most {limit}", (Reading("n", measured, limit=str(limit), ok=True),))
"""
TEST = """
@pytest.mark.item("b.item-{item}")
@pytest.mark.parametrize("n", range({each}))
def test_{item}(gate, n):
    gate.judge(judge, n, {each})
"""
EMPTY = """
@pytest.mark.parametrize("n", range({each}))
def test_{item}(n):
    pass
"""


@dataclass
class Timed:
    """A command, and the times of its runs in seconds."""

    name: str
    command: Sequence[str]
    folder: Path
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def run(self) -> None:
        """Run it once more."""
        before, began = _used(), time.perf_counter()
        done = subprocess.run(self.command, cwd=self.folder, capture_output=True, text=True, check=False)
        self.wall.append(time.perf_counter() - began)
        self.cpu.append(_used() - before)
        if done.returncode:
            sys.exit(
                f"{self.name} exited with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
            )


def _used() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Let all commands take turns, then print the medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--findings", type=int, default=5000)
    parser.add_argument("--runs", type=int, default=3)
    said = parser.parse_args()
    each = said.findings // ITEMS
    with tempfile.TemporaryDirectory() as temporary:
        plain, gate = Path(temporary) / "plain", Path(temporary) / "gate"
        for folder in (plain, gate / "suites", gate / "inventories"):
            folder.mkdir(parents=True)
        items = range(ITEMS)
        (plain / "pytest.ini").write_text("[pytest]\n")
        (plain / "test_empty.py").write_text(
            "import pytest\n" + "".join(EMPTY.format(item=item, each=each) for item in items)
        )
        (gate / "pytest.ini").write_text("[pytest]\ntestpaths = suites\n")
        (gate / "inventories" / "prod.yml").write_text("name: prod\n")
        (gate / "suites" / "checklist.md").write_text(
            "# Release\n\n## Database {#phase2 .database}\n"
            + "".join(f"- [ ] Item {item} {{#b.item-{item} .automated .critical}}\n" for item in items)
        )
        (gate / "suites" / "test_suite.py").write_text(
            HEAD + "".join(TEST.format(item=item, each=each) for item in items)
        )
        run = (*PYTEST, "--inventory", "prod", "--fresh")
        timed = [
            Timed("plain pytest, empty tests", PYTEST, plain),
            Timed(f"{said.findings} findings", run, gate),
            Timed(f"{said.findings} findings, -n 4", (*run, "-n", "4"), gate),
            Timed("plain pytest, -n 4", (*PYTEST, "-n", "4"), plain),
        ]
        for one in timed:
            one.run()  # writes the compiled modules
            one.wall.clear()
            one.cpu.clear()
        for _ in range(said.runs):
            for one in timed:
                one.run()
    wall, cpu = statistics.median(timed[0].wall), statistics.median(timed[0].cpu)
    print(f"{'':28} {'wall':>9} {'ratio':>6} {'CPU':>9} {'ratio':>6}")
    for one in timed:
        its_wall, its_cpu = statistics.median(one.wall), statistics.median(one.cpu)
        print(f"{one.name:28} {its_wall:7.2f} s {its_wall / wall:6.2f} {its_cpu:7.2f} s {its_cpu / cpu:6.2f}")
    print(
        json.dumps(
            {"runs": said.runs, "load": [round(n, 1) for n in os.getloadavg()], "cpus": os.cpu_count()}
        )
    )


if __name__ == "__main__":
    main()
