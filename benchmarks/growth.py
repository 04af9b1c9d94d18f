"""200 runs of one change: how the time of a run and of `deploygate decide` grows with the journal.

    python benchmarks/growth.py
    python benchmarks/growth.py --runs 200 --items 60

Each run is a process of its own, as in use. The last five runs take turns with first runs of other changes, so that other
work on the machine affects both alike. Printed are medians of the processor time (user and system), and how many lines of
the journal are parsed. The values that the tests measure move from run to run, and some items fail in some runs.
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
from collections.abc import Sequence
from pathlib import Path

from pytest_deploygate.journal import read

EACH = 5
RUN = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--inventory", "prod")
DECIDE = (sys.executable, "-m", "pytest_deploygate", "decide")
HEAD = """\
import os
import pytest
from pytest_deploygate.model import Judgement, Reading, Verdict

RUN = int(os.environ["GROWTH_RUN"])

def judge(measured, limit):
    verdict = Verdict.PASS if measured <= limit else Verdict.FAIL
    return Judgement(verdict, f"{measured} of at most {limit}",
                     (Reading("lag_s", measured, "s", limit=str(limit), ok=measured <= limit),))
"""
TEST = """
@pytest.mark.item("b.item-{item}")
def test_{item}(gate):
    gate.judge(judge, {item} + RUN % 7, {limit})
"""


def main() -> None:
    """Run the change, and print the figures of its beginning and its end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--items", type=int, default=60)
    parser.add_argument("--keep", type=Path, help="the folder to work in, which stays")
    said = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = said.keep or Path(temporary)
        prepare(root, said.items)
        journal = root / "deploygate-out" / "chg" / "journal.jsonl"
        for number in range(1, said.runs - EACH + 1):
            cpu_s((*RUN, "--change", "chg"), root, number)
        timed: dict[str, list[float]] = {
            name: [] for name in ("first run", "last run", "first decide", "last decide")
        }
        for number in range(said.runs - EACH + 1, said.runs + 1):
            for when, change in (("first", f"chg-{number}"), ("last", "chg")):
                timed[f"{when} run"].append(cpu_s((*RUN, "--change", change), root, number))
                timed[f"{when} decide"].append(cpu_s((*DECIDE, "--change", change), root, number))
        size, lines = journal.stat().st_size, journal.read_bytes().count(b"\n")
        parsed = len(read(journal.parent)[0])
    print(
        f"{said.runs} runs of {said.items} items: journal {size / 1e6:.1f} MB, {lines} lines, of which {parsed} are parsed"
    )
    for what in ("run", "decide"):
        first, last = (statistics.median(timed[f"{when} {what}"]) for when in ("first", "last"))
        print(f"{what:7} first {first:5.2f} s  last {last:5.2f} s of CPU, {last / first:.2f} times")
    print(json.dumps({"load": [round(n, 1) for n in os.getloadavg()], "cpus": os.cpu_count()}))


def prepare(root: Path, items: int) -> None:
    """Write a checklist, an inventory and the tests."""
    for name in ("suites", "inventories"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "pytest.ini").write_text("[pytest]\ntestpaths = suites\n")
    (root / "inventories" / "prod.yml").write_text("name: prod\n")
    (root / "suites" / "checklist.md").write_text(
        "# Release\n\n## Database {#phase2 .database}\n"
        + "".join(f"- [ ] Item {n} {{#b.item-{n} .automated .critical}}\n" for n in range(items))
    )
    (root / "suites" / "test_suite.py").write_text(
        HEAD + "".join(TEST.format(item=n, limit=n + (5 if n % 20 == 0 else 9)) for n in range(items))
    )


def cpu_s(command: Sequence[str], root: Path, number: int) -> float:
    """Run a command and return its processor time in seconds; a mistake in it ends the benchmark."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        command,
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"GROWTH_RUN": str(number)},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 1, 21):
        sys.exit(f"exit status {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
