"""Merging the shards of a large run: 20,000 targets or items over 8 shards, against verifying their journals.

    python benchmarks/merge.py
    python benchmarks/merge.py --items 20000

The first shard is a real run of empty tests (a minute; not counted). The others are written in the same form, with findings
of the items that are left. `deploygate merge` is then run three times, each into a new folder, in turns with `deploygate
verify` of one merged record, which reads as much. Limit: 5 s.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from timing import PYTEST, print_machine

from pytest_deploygate.journal import Writer, read

TEST = """
@pytest.mark.item("b.item-{item}")
@pytest.mark.parametrize("n", range({each}))
def test_{item}(gate, n):
    gate.judge(judge, n, {each})
"""
HEAD = """\
import pytest
from pytest_deploygate.model import Judgement, Reading, Verdict

def judge(measured, limit):
    return Judgement(Verdict.PASS, f"{measured} as wanted", (Reading("n", measured, limit=str(limit), ok=True),))
"""
DEPLOYGATE = (sys.executable, "-m", "pytest_deploygate")
FILES = 50
#: What the writer adds to each line.
CHAINED = ("at", "kind", "own", "prev", "seq")


def project(path: Path, items: int, each: int) -> None:
    """Write a repository with a test for each item of its checklist, of so many targets each."""
    (path / "suites").mkdir(parents=True)
    (path / "inventories").mkdir()
    (path / "pytest.ini").write_text("[pytest]\ntestpaths = suites\naddopts = -p no:cacheprovider\n")
    (path / "inventories" / "prod.yml").write_text("name: prod\n")
    lines = [f"- [ ] Item {item} {{#b.item-{item} .automated}}" for item in range(items)]
    (path / "suites" / "checklist.md").write_text(
        "\n".join(["# Many", "", "## Database {#phase2}", *lines, ""])
    )
    for number in range(FILES):
        tests = [TEST.format(item=item, each=each) for item in range(number, items, FILES)]
        (path / "suites" / f"test_{number}.py").write_text(HEAD + "".join(tests))


def others(first: Path, items: int, each: int, shards: int) -> None:
    """Write the other shards as if they had run: the lines of the first, with the tests that it did not run."""
    entries, _ = read(first)
    begin, bound, *tests, decision, end = entries
    mine = {test for test, _ in bound.body["tests"]}
    left = [
        (f"suites/test_{item % FILES}.py::test_{item}[{n}]", f"b.item-{item}")
        for item in range(items)
        for n in range(each)
    ]
    left = [(test, item) for test, item in left if test not in mine]
    template = tests[-1].body
    for index in range(2, shards + 1):
        theirs = left[index - 2 :: shards - 1]
        writer = Writer(first.parent / f"{index}-of-{shards}")
        run = {"run": f"{begin.body['run']}-{index}"}
        plain = {
            name: {key: value for key, value in one.body.items() if key not in CHAINED}
            for name, one in (("run", begin), ("bound", bound), ("decision", decision), ("end", end))
        }
        writer.append("run", {**plain["run"], **run, "shard": {**begin.body["shard"], "index": index}})
        writer.append("bound", {**plain["bound"], **run, "tests": [(test, [item]) for test, item in theirs]})
        for test, item in theirs:
            target = test.partition("[")[2].rstrip("]")
            found = [{**template["findings"][0], "test": test, "item": item, "target": target}]
            writer.append("test", {**run, "test": test, "findings": found}, wait=False)
        writer.append("decision", {**plain["decision"], **run})
        writer.append("end", {**plain["end"], **run})
        writer.close()


def timed(command: list[str], path: Path) -> tuple[float, float, int]:
    """Run a command; return its wall time and processor time in seconds, and its exit code."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    done = subprocess.run(command, cwd=path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    wall = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if done.stderr:
        print(done.stderr.decode()[-500:])
    return wall, used, done.returncode


def main() -> None:
    """Make the shards, merge them, print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=int, default=20_000, help="targets of all items")
    parser.add_argument("--items", type=int, default=50)
    parser.add_argument("--shards", type=int, default=8)
    given = parser.parse_args()
    print_machine(3)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "project")
        each = given.results // given.items
        project(path, given.items, each)
        command = [*PYTEST, "--inventory", "prod", "-m", "phase2", "-q"]
        wall, used, code = timed([*command, f"--shard=1/{given.shards}"], path)
        print(f"shard 1: {wall:.1f} s, processor {used:.1f} s, exit code {code}", flush=True)
        shards = path / "deploygate-out" / "local" / "shards"
        others(shards / f"1-of-{given.shards}", given.items, each, given.shards)
        merges, verifies = [], []
        for turn in range(3):
            out = path / f"merged-{turn}"
            merges.append(timed([*DEPLOYGATE, "merge", str(shards), f"--out={out}"], path))
            verifies.append(timed([*DEPLOYGATE, "verify", str(out)], path))
            size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file()) / 1e6
            shutil.rmtree(out)
        wall, used, code = min(merges)
        other, other_used, _ = min(verifies)
        print(f"merge:  {wall:.2f} s, processor {used:.2f} s, exit code {code}, {size:.0f} MB written")
        print(
            f"verify: {other:.2f} s, processor {other_used:.2f} s; merge takes {wall / other:.1f} times as long"
        )
        most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"most memory of any process: {most:.0f} MB; processors: {os.cpu_count()}")


if __name__ == "__main__":
    main()
