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
import statistics
import sys
import tempfile
from pathlib import Path

from timing import PYTEST, Timed, print_machine, print_ratios, take_turns

LIMIT = 2.5

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
        take_turns((*timed, judges, python), said.runs)
    print_ratios(timed, limit=LIMIT)
    imported = statistics.median(judges.cpu) - statistics.median(python.cpu)
    print(f"{judges.name}: {imported:.2f} s CPU on top of Python's own start (limit 0.3 s)")
    print_machine(said.runs)


if __name__ == "__main__":
    main()
