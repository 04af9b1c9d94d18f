"""Commands that take turns, and their times: what the benchmarks of whole runs share."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

#: pytest without Hypothesis' plugin, which imports Hypothesis at the end of every run and makes each ratio smaller.
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:hypothesispytest")


@dataclass
class Timed:
    """A command, and the times of its runs in seconds: wall, and processor time (user and system)."""

    name: str
    command: Sequence[str]
    folder: Path
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def run(self, env: Mapping[str, str]) -> None:
        """Run it once more and record both times. Ends the benchmark if it fails: its time is meaningless then."""
        before, began = _used(), time.perf_counter()
        done = subprocess.run(
            self.command, cwd=self.folder, env=env, capture_output=True, text=True, check=False
        )
        self.wall.append(time.perf_counter() - began)
        self.cpu.append(_used() - before)
        if done.returncode:
            sys.exit(
                f"{self.name} exited with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
            )


def take_turns(commands: Sequence[Timed], runs: int) -> None:
    """Run all commands in turn, so that other work on the machine affects all of them alike.

    The first turn is not counted: it writes the compiled modules.
    """
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for turn in range(runs + 1):
        for one in commands:
            one.run(env)
            if turn == 0:
                one.wall.clear()
                one.cpu.clear()


def print_ratios(
    commands: Sequence[Timed],
    *,
    limit: float | None = None,
    of: Callable[[Sequence[float]], float] = statistics.median,
) -> None:
    """Print the medians of each command with its ratio to the first; `limit` is the highest ratio of processor time.

    `of` is another figure of the runs than the median. On a busy machine the lowest says most.
    """
    first = commands[0]
    width = max(len(one.name) for one in commands)
    print(f"{'':{width}} {'CPU':>8} {'ratio':>6} {'wall':>8} {'ratio':>6}")
    for one in commands:
        cpu, wall = of(one.cpu), of(one.wall)
        by_cpu, by_wall = cpu / of(first.cpu), wall / of(first.wall)
        over = f"  over {limit:g} times" if limit and by_cpu > limit else ""
        print(f"{one.name:{width}} {cpu:6.2f} s {by_cpu:6.2f} {wall:6.2f} s {by_wall:6.2f}{over}")


def print_machine(runs: int) -> None:
    """Print how many runs there were, and how busy the machine was."""
    load = [round(n, 1) for n in os.getloadavg()]
    print(json.dumps({"runs": runs, "load": load, "cpus": os.cpu_count()}))


def _used() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
