"""A run of many findings against plain pytest with as many empty tests, alone and with workers.

    python benchmarks/findings.py
    python benchmarks/findings.py --findings 20000 --runs 5

All runs take turns, so that other work on the machine affects all of them alike. Printed are medians of wall and
processor time (user and system), with the ratio to plain pytest without workers.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from timing import PYTEST, Timed, print_machine, print_ratios, take_turns

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
        empty = (*PYTEST, "-p", "no:cacheprovider")
        run = (*empty, "--inventory", "prod", "--fresh")
        timed = [
            Timed("plain pytest, empty tests", empty, plain),
            Timed(f"{said.findings} findings", run, gate),
            Timed(f"{said.findings} findings, -n 4", (*run, "-n", "4"), gate),
            Timed("plain pytest, -n 4", (*empty, "-n", "4"), plain),
        ]
        take_turns(timed, said.runs)
    print_ratios(timed)
    print_machine(said.runs)


if __name__ == "__main__":
    main()
