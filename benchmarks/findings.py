"""A run of many findings against plain pytest with as many empty tests, alone and with workers.

    python benchmarks/findings.py
    python benchmarks/findings.py --findings 20000 --runs 5
    TMPDIR=/dev/shm python benchmarks/findings.py

All runs take turns, so that other work on the machine affects all of them alike. Printed are the lowest wall and processor
time (user and system, of all processes), with the ratio to plain pytest without workers. In the second series each
test waits, as a check does for its server. Files are written below the folder for temporary files: creating them takes
longer where many were deleted lately.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from timing import PYTEST, Timed, print_machine, print_ratios, take_turns

ITEMS = 50
HEAD = """\
import time
import pytest
from pytest_deploygate.model import Judgement, Reading, Verdict

def judge(measured, limit):
    return Judgement(Verdict.PASS, f"{measured} of at most {limit}", (Reading("n", measured, limit=str(limit), ok=True),))
"""
TEST = """
@pytest.mark.item("b.item-{item}")
@pytest.mark.parametrize("n", range({each}))
def test_{item}(gate, n):
    {wait}
    gate.judge(judge, n, {each})
"""
EMPTY = """
@pytest.mark.parametrize("n", range({each}))
def test_{item}(n):
    {wait}
"""


def main() -> None:
    """Measure both series."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--findings", type=int, default=5000)
    parser.add_argument(
        "--waiting", type=int, default=1000, help="tests of the second series; 0 leaves it out"
    )
    parser.add_argument("--wait-ms", type=int, default=10)
    parser.add_argument("--runs", type=int, default=3)
    said = parser.parse_args()
    series(said.findings, 0, said.runs)
    if said.waiting:
        series(said.waiting, said.wait_ms, said.runs)
    print_machine(said.runs)


def series(findings: int, wait_ms: int, runs: int) -> None:
    """Let all commands take turns, then print the lowest times, their ratios and what a finding takes more than a test."""
    with tempfile.TemporaryDirectory() as temporary:
        plain, gate = _projects(Path(temporary), findings, wait_ms)
        empty = (*PYTEST, "-p", "no:cacheprovider")
        run = (*empty, "--inventory", "prod", "--fresh")
        timed = [
            Timed("plain pytest", empty, plain),
            Timed("findings", run, gate),
            Timed("plain pytest, -n 4", (*empty, "-n", "4"), plain),
            Timed("findings, -n 4", (*run, "-n", "4"), gate),
        ]
        take_turns(timed, runs)
    print(f"{findings} tests, each waits {wait_ms} ms" if wait_ms else f"{findings} empty tests")
    print_ratios(timed, of=min)
    for without, with_findings in (timed[:2], timed[2:]):
        print(
            f"{with_findings.name}: {_each(with_findings, without, findings)} more for each than {without.name}"
        )


def _each(one: Timed, other: Timed, count: int) -> str:
    cpu, wall = min(one.cpu) - min(other.cpu), min(one.wall) - min(other.wall)
    return f"{1000 * cpu / count:.2f} ms of CPU time, {1000 * wall / count:.2f} ms of wall time"


def _projects(folder: Path, findings: int, wait_ms: int) -> Sequence[Path]:
    """Write a project of plain tests and one with the gate."""
    plain, gate = folder / "plain", folder / "gate"
    for place in (plain, gate / "suites", gate / "inventories"):
        place.mkdir(parents=True)
    wait = f"time.sleep({wait_ms / 1000})" if wait_ms else "pass"
    numbers = [{"item": item, "each": findings // ITEMS, "wait": wait} for item in range(ITEMS)]
    (plain / "pytest.ini").write_text("[pytest]\n")
    (plain / "test_empty.py").write_text(
        "import time\nimport pytest\n" + "".join(EMPTY.format(**one) for one in numbers)
    )
    (gate / "pytest.ini").write_text("[pytest]\ntestpaths = suites\n")
    (gate / "inventories" / "prod.yml").write_text("name: prod\n")
    (gate / "suites" / "checklist.md").write_text(
        "# Release\n\n## Database {#phase2 .database}\n"
        + "".join(f"- [ ] Item {item} {{#b.item-{item} .automated .critical}}\n" for item in range(ITEMS))
    )
    (gate / "suites" / "test_suite.py").write_text(HEAD + "".join(TEST.format(**one) for one in numbers))
    return plain, gate


if __name__ == "__main__":
    main()
