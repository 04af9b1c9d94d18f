"""All that looks at the platform from outside and only reads: how long one run of the gate takes for it.

    deploygate lab up --with monitoring
    python benchmarks/from_outside.py            # five runs
    python benchmarks/from_outside.py --runs 10

Each run is a process, as users start it: its start, the report and the journal are included. Left out are the requests of
our own client (`golive.performance`) and the alerts that are sent (`phase1.alert-routing`). Prints wall and processor time
of each run, what held it if it was not a GO, and the load of the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
ITEMS = (
    "infra.monitoring", "db.monitoring-queries", "phase1.stack", "phase1.services", "phase1.connectivity",
    "phase1.monitoring", "phase1.logs", "golive.traffic", "golive.errors", "golive.resources", "after.overnight",
    "after.error-logs", "after.performance", "after.alerts", "stab.resources",
)  # fmt: skip
PHASES = "preflight or phase1 or golive or postdeploy or stabilization"


def run(out: Path) -> tuple[float, float, int]:
    """Run the gate; return wall and processor time, and its exit code."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-m", PHASES, "--inventory=lab-monitoring"),
            *(f"--items={','.join(ITEMS)}", f"--deploygate-out={out}", "--fresh"),
        ],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    wall_s, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall_s, cpu_s, done.returncode


def main() -> None:
    """Run the gate so many times, one after the other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        for number in range(1, runs + 1):
            wall_s, cpu_s, code = run(out)
            items = json.loads((out / "verdicts.json").read_text())["items"]
            held = [f"{i['id']}: {i['reason']}" for i in items if i["in_scope"] and i["verdict"] != "pass"]
            print(
                f"run {number}: {wall_s:.1f} s, {cpu_s:.1f} s of a processor, exit code {code}, load {os.getloadavg()[0]:.0f}"
            )
            for said in held:
                print(f"  {said}")


if __name__ == "__main__":
    main()
