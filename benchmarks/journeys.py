"""Ten journeys of five steps in one browser: `python benchmarks/journeys.py`.

Prints the seconds of each journey and of all, with the start of the browser, and how busy the machine was. Needs Chromium,
the extra `browser`, and a lab: `deploygate lab up --with application`.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from pathlib import Path

from pytest_deploygate.checks.journeys import judge, probe
from pytest_deploygate.checks.journeys.section import Journey, Keys
from pytest_deploygate.clients import own_lag
from pytest_deploygate.clients.browser.running import Browser
from pytest_deploygate.clients.budget import unrecorded
from pytest_deploygate.inventory.loader import load

_LIMIT_S = 20.0
#: With the login five steps each.
_STEPS = [
    {"open": "/dashboards", "sees": "Dashboards"},
    {"click": "Plant overview", "sees": "readings today", "lacks": "No data"},
    {"open": "/alerts", "sees": "Alerts"},
    {"open": "/reports", "sees": "Daily report"},
]


def _of_children() -> float:
    """Return the processor seconds of all processes below this one."""
    parents, used = {}, {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            words = entry.read_text().rpartition(")")[2].split()
            pid = int(entry.parent.name)
            parents[pid], used[pid] = (
                int(words[1]),
                (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK"),
            )

    def ours(pid: int) -> bool:
        while pid in parents:
            pid = parents[pid]
            if pid == os.getpid():
                return True
        return False

    return sum(seconds for pid, seconds in used.items() if ours(pid))


def main() -> None:
    """Go through the journeys and print what they took."""
    keys = load("lab-application", Path.cwd()).inventory.of(Keys)
    if keys.browser is None or keys.journeys is None:
        raise SystemExit("lab-application has no `browser` and `journeys`")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, own_lag.watching() as lag:
        browser = Browser(keys.browser, Path(folder))
        for number in range(10):
            journey = Journey(name=f"journey {number + 1}", user="viewer", steps=_STEPS)
            at = time.monotonic()
            found = probe.walked(browser, keys.journeys, journey, unrecorded("phase3.smoke"))
            judged = judge.judge(found, judge.Walk.of(keys.journeys, journey))
            print(
                f"{journey.name}: {time.monotonic() - at:.2f} s, {len(found.steps)} steps, {judged.verdict.value}"
            )
        took_s = time.monotonic() - began
        cpu_s = time.process_time() + _of_children()
        browser.close()
        print(
            f"all: {took_s:.1f} s, limit {_LIMIT_S:g} s; {lag.since().slower:.1f} tasks wanted each processor;"
            f" {cpu_s:.1f} s of processors used here and by the browser"
        )


if __name__ == "__main__":
    main()
