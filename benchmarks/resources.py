"""How long thousands of series take: a real Prometheus with six hours of disks, read and judged.

PYTHONPATH=tests .venv/bin/python benchmarks/resources.py [SERIES]
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

from prometheus_server import running

from pytest_deploygate.checks.resources import judge, probe
from pytest_deploygate.checks.resources.section import Resources
from pytest_deploygate.lab.services.monitoring_history import samples

LONG_S, APART_S = 6 * 3600, 180


def lines(series: int) -> list[str]:
    """Return six hours of disks; each has rotated logs, and the first one is full in nine hours."""
    now = time.time()
    times = [now - LONG_S + n * APART_S for n in range(LONG_S // APART_S + 1)]
    found = []
    for n in range(series):
        labels = {"instance": f"host{n}:9100", "mountpoint": "/", "fstype": "ext4"}
        grown = 4e9 if n == 0 else 1e6
        free = [(at, 40e9 - grown * (at - now) / 3600 - 2e9 * ((at + 97 * n) % 2400) / 2400) for at in times]
        found += samples("node_filesystem_avail_bytes", labels, free)
        found += samples("node_filesystem_size_bytes", labels, [(at, 100e9) for at in times])
    return found


def main(series: int) -> None:
    """Print the seconds of the probe and of the judge, and the most memory of this process."""
    wanted = Resources.model_validate({"every": "180s", "watched": [{"name": "disks", "kind": "disk"}]})
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder), lines(series)) as server,
    ):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.monotonic()
        found = probe.course(server.settings, wanted, wanted.watched[0])
        read = time.monotonic()
        judged = judge.judge_use(found, judge.of_use(wanted, wanted.watched[0]))
        done = time.monotonic()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{series} series, {len(found.uses[0].points)} steps: read in {read - start:.1f} s, judged in {done - read:.1f} s,"
    )
    print(
        f"memory before {before / 1024:.0f} MB, at most {most / 1024:.0f} MB; {judged.verdict.value}: {judged.reason[:200]}"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
