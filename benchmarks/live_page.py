"""The live page with many items: from a line of the journal to the event in a client, and the memory of the server.

    python benchmarks/live_page.py
    python benchmarks/live_page.py --items 5000 --clients 5

Another process is `deploygate serve`; this one writes the journal as a run does and follows the page as browsers do. A
first update is measured with all items found but one, so nothing is left out. In the same run, for comparison: what one
change costs if the whole journal is read and composed anew (`journal.read`, `from_journal.build`), and the memory of a
process that only imports what the server needs. VmHWM is the most that a process ever had, VmRSS what it has at the end.

To measure an older version, run its source with this file: only `deploygate serve` and `/events` are used.
"""

from __future__ import annotations

import argparse
import dataclasses
import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_deploygate import journal
from pytest_deploygate.journal import Writer, utcnow
from pytest_deploygate.model import Finding, Item, Kind, Phase, Reading, Severity, Verdict

PHASES = ("phase1", "phase2", "phase3", "phase4", "golive")
WHOLE = """
import time, sys
from pathlib import Path
from pytest_deploygate.journal import read
from pytest_deploygate.report import from_journal
began = time.perf_counter()
from_journal.build(read(Path(sys.argv[1]))[0])
print(time.perf_counter() - began)
"""
IMPORTS = (
    "import pytest_deploygate.cli.commands.serve, pytest_deploygate.report.live.server, time; time.sleep(60)"
)


class Follower(threading.Thread):
    """A client of the events that notes when each came."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._connection.request("GET", "/events")
        self._answer = self._connection.getresponse()
        self.arrived: list[tuple[float, str, int]] = []

    def run(self) -> None:
        """Read until the server ends."""
        while line := self._answer.readline().decode():
            if line.startswith("data: ") and len(line) > 40:
                self.arrived.append((time.perf_counter(), line, len(line)))

    def when(self, text: str) -> tuple[float, int]:
        """Wait for an event with a text; return when it came and its size."""
        end = time.perf_counter() + 60
        while time.perf_counter() < end:
            for at, line, size in self.arrived:
                if text in line:
                    return at, size
            time.sleep(0.002)
        raise SystemExit(f"no event with {text!r} came in 60 s")


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--items", type=int, default=5000)
    parser.add_argument("--clients", type=int, default=5)
    parser.add_argument("--updates", type=int, default=20)
    parser.add_argument("--runs", type=int, default=1, help="runs one after another")
    said = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        writer = Writer(folder)
        items = begin(writer, "run-1", said.items)
        with served(folder) as (server, port):
            followers = [Follower(port) for _ in range(said.clients)]
            for follower in followers:
                follower.start()
            flow = written(writer, items[: -said.updates], followers[0])
            found = [update(writer, item, followers) for item in items[-said.updates :]]
            print(f"  run 1: {memory(server)}")
            for number in range(2, said.runs + 1):
                end(writer, f"run-{number - 1}")
                begin(writer, f"run-{number}", said.items)
                written(writer, items, followers[0], f"run-{number}")
                print(f"  run {number}: {memory(server)}", flush=True)
            size = (folder / journal.FILE).stat().st_size
            print(
                f"{said.items} items, {said.clients} clients, journal {size / 1e6:.1f} MB, while a run writes"
            )
            print(
                f"  from a line to its event: {words([at for at, _ in found])}, {found[-1][1] / 1024:.1f} kB sent"
            )
            print(
                f"  all lines at once ({len(items) - said.updates}): the page has the last one after {flow:.2f} s"
            )
            print(f"  server: {memory(server)}, {cpu_s(server):.2f} s of CPU")
        with served(folder) as (server, port):
            began = time.perf_counter()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("GET", "/")
            page = connection.getresponse().read()
            took = time.perf_counter() - began
            print(
                f"started on the whole journal: {memory(server)}; its page of {len(page) / 1024:.0f} kB in {took:.3f} s"
            )
        whole = [float(output(WHOLE, str(folder))) for _ in range(3)]
    print(f"reading and composing the whole journal anew: {words(whole)}")
    print(f"only imports: {idle()}")
    print(json.dumps({"load": [round(n, 1) for n in os.getloadavg()], "cpus": os.cpu_count()}))


def begin(writer: Writer, run: str, number: int) -> list[str]:
    """Begin a run of so many items; return their ids."""
    ids = [f"{PHASES[n % len(PHASES)]}.item-{n}" for n in range(number)]
    items = [
        dataclasses.asdict(Item(i, f"Item {i} works", i.partition(".")[0], Severity.CRITICAL, Kind.AUTOMATED))
        for i in ids
    ]
    writer.append("run", {
        "run": run, "change": "CHG-1", "scope": "", "scope_items": ids,
        "inventory": {"name": "prod", "description": "", "sha256": "1" * 64},
        "checklist": {
            "file": "checklist.md", "sha256": "3" * 64, "items": items, "roles": ["Release manager"],
            "phases": [dataclasses.asdict(Phase(p, p)) for p in PHASES],
        },
        "not_applicable": {}, "policy": {"rollback_from": "golive", "decision_valid_s": 86400.0},
        "waived_exit": False, "kept": [], "resumes": False, "waivers": [], "weakenings": [], "windows": {},
        "chained": False, "who": "deployer", "host": "runner", "versions": {"pytest-deploygate": "0"},
    })  # fmt: skip
    writer.append("bound", {"run": run, "tests": [(f"test_{i}", [i]) for i in ids]})
    return ids


def end(writer: Writer, run: str) -> None:
    """End a run."""
    writer.append("end", {"run": run, "interrupted": False})


def finds(writer: Writer, item: str, reason: str, *, run: str = "run-1", wait: bool = False) -> None:
    """Write a finding; some are red, all have readings and evidence as those of a run."""
    verdict = Verdict.FAIL if item.endswith("7") else Verdict.PASS
    reading = Reading("lag_s", 0.2, "s", limit="5 s", ok=verdict is Verdict.PASS)
    found = Finding(
        item,
        "db1",
        verdict,
        reason,
        f"test_{item}",
        utcnow(),
        0.1,
        (reading,) * 3,
        "at most 5 s",
        ("a note",),
    )
    body = {"run": run, "test": found.test, "findings": [journal.finding_to_json(found)]}
    writer.append("test", body, wait=wait)


def written(writer: Writer, items: list[str], follower: Follower, run: str = "run-1") -> float:
    """Write many findings as fast as the journal takes them; return how long after the last the page has it."""
    for item in items[:-1]:
        finds(writer, item, "db1 lags 0.2 s behind db0, which is within the limit of 5 s", run=run)
    last = items[-1]
    follower.arrived.clear()
    finds(writer, last, "the last of many", run=run)
    wrote = time.perf_counter()
    return follower.when(f"{last}<")[0] - wrote


def update(writer: Writer, item: str, followers: list[Follower]) -> tuple[float, int]:
    """Write one finding; return how long it takes to the last client, and the size of the event."""
    wrote = time.perf_counter()
    finds(writer, item, "now", wait=True)
    came = [follower.when(f"{item}<") for follower in followers]
    return max(at for at, _ in came) - wrote, came[0][1]


@contextmanager
def served(folder: Path) -> Iterator[tuple[int, int]]:
    """Run `deploygate serve` on a folder; yield its process id and port."""
    command = (sys.executable, "-m", "pytest_deploygate", "serve", "--out", str(folder), "--port", "0")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    line = process.stdout.readline()
    try:
        yield process.pid, int(line.split(":")[2].split("/")[0])
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


def memory(process: int) -> str:
    """Return the memory of a process, the most and the present."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    found = dict(line.split(":", 1) for line in lines if line.startswith(("VmHWM", "VmRSS")))
    return ", ".join(f"{name} {int(value.split()[0]) / 1024:.1f} MB" for name, value in found.items())


def cpu_s(process: int) -> float:
    """Return the processor time of a process so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def idle() -> str:
    """Return the memory of a process that only imports."""
    process = subprocess.Popen((sys.executable, "-c", IMPORTS))
    try:
        time.sleep(3)
        return memory(process.pid)
    finally:
        process.kill()
        process.wait()


def output(program: str, *arguments: str) -> str:
    """Run a program in a process of its own; return what it prints."""
    return subprocess.run(
        (sys.executable, "-c", program, *arguments), capture_output=True, text=True, check=True
    ).stdout


def words(seconds: list[float]) -> str:
    """Return the median, the least and the most of some times."""
    return f"{statistics.median(seconds):.3f} s ({min(seconds):.3f} to {max(seconds):.3f})"


if __name__ == "__main__":
    main()
