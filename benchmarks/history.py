"""`deploygate history` over 200 changes with 50 runs each: its time, its memory, and the size of what it writes.

    python benchmarks/history.py
    python benchmarks/history.py --changes 200 --runs 50 --items 20 --keep /tmp/records

The journals have the form of real ones: chained lines, a checklist in each run, two targets for each item with three
numbers and a text each, decisions, and for every tenth change an incident. They are written first, which is not counted.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pytest_deploygate.journal.lines import FILE, GENESIS, own_digest, sealed

START = datetime(2026, 1, 1, tzinfo=UTC)
PHASES = ("phase2", "golive")
COMMANDS = {
    "table": (),
    "page": ("--html", "history.html"),
    "metrics": ("--openmetrics", "history.prom"),
    "json": ("--json",),
}


def main() -> None:
    """Write the records, read them, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--changes", type=int, default=200)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--items", type=int, default=20)
    parser.add_argument("--keep", type=Path, help="the folder to write to, which stays")
    said = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = said.keep or Path(temporary)
        out = root / "deploygate-out"
        for number in range(said.changes):
            if not (out / f"CHG-{number:04}" / FILE).exists():
                write(out / f"CHG-{number:04}", number, said.runs, said.items)
        size = sum(file.stat().st_size for file in out.glob(f"*/{FILE}"))
        print(
            f"{said.changes} changes of {said.runs} runs of {said.items} items on 2 targets: {size / 1e6:,.0f} MB"
        )
        for name, options in COMMANDS.items():
            seconds, cpu_s, memory_mb = measured(root, options)
            written = sum((root / file).stat().st_size for file in options if (root / file).is_file()) / 1e3
            print(
                f"{name:8} {seconds:6.1f} s, {cpu_s:6.1f} s of CPU, {memory_mb:5.0f} MB of memory, {written:6.0f} kB written"
            )
    print(json.dumps({"load": [round(n, 1) for n in os.getloadavg()], "cpus": os.cpu_count()}))


def measured(root: Path, options: tuple[str, ...]) -> tuple[float, float, float]:
    """Run the command in a process of its own; return its seconds, those of the CPU, and its memory."""
    code = (
        "import json, resource, sys\n"
        "from pytest_deploygate.cli import main\n"
        "try:\n    main()\nfinally:\n"
        "    said = resource.getrusage(resource.RUSAGE_SELF)\n"
        "    print(json.dumps([said.ru_utime + said.ru_stime, said.ru_maxrss / 1024]), file=sys.stderr)\n"
    )
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code, "history", *options],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - began
    if done.returncode != 0:
        sys.exit(f"exit status {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    cpu_s, memory_mb = json.loads(done.stderr.splitlines()[-1])
    return seconds, cpu_s, memory_mb


class Lines:
    """A journal under way: its lines with their chain."""

    def __init__(self, at: datetime) -> None:
        self.at, self.raw, self._previous, self._count = at, bytearray(), GENESIS, 0

    def add(self, kind: str, body: dict[str, object], seconds: float = 0.1) -> None:
        """Append a line some time after the one before."""
        self.at += timedelta(seconds=seconds)
        self._count += 1
        plain = {**body, "at": self.at.isoformat(), "kind": kind, "seq": self._count, "prev": self._previous}
        line = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        line = line[:-1] + sealed(own_digest(line))
        self._previous = hashlib.sha256(line).hexdigest()
        self.raw += line + b"\n"


def write(folder: Path, number: int, runs: int, items: int) -> None:
    """Write one change: its last third of runs is of the go-live."""
    lines = Lines(START + timedelta(days=number * 1.1))
    ids = [f"{PHASES[n % 2]}.item-{n}" for n in range(items)]
    for run in range(runs):
        phase = PHASES[run >= runs * 2 // 3]
        scope = [item for item in ids if item.startswith(phase)]
        _run(lines, number, f"{number}-{run}", phase, ids, scope)
        bad = [item for n, item in enumerate(scope) if (number + run + n) % 47 == 0]
        if number % 10 == 0 and run == runs * 2 // 3:
            bad = scope[:1]
            _incident(lines, "opened", bad)
        for n, item in enumerate(scope):
            _test(lines, f"{number}-{run}", item, 0.2 + n / 50 + number / 500 + run % 5 / 20, item in bad)
        if number % 10 == 0 and run == runs * 2 // 3 + 1:
            _incident(lines, "observed", [], "GO")
        _decision(lines, f"{number}-{run}", phase, bad)
        lines.add("end", {"run": f"{number}-{run}", "interrupted": False})
        lines.at += timedelta(minutes=9)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_bytes(lines.raw)


def _run(lines: Lines, number: int, run: str, phase: str, ids: list[str], scope: list[str]) -> None:
    known = [
        {
            "id": item, "text": f"The part {item} works as required", "phase": item.partition(".")[0], "severity": "critical",
            "kind": "automated", "area": "", "line": 0, "waivable": True, "role": "", "closing": None, "check": "",
        }
        for item in ids
    ]  # fmt: skip
    lines.add("run", {
        "run": run, "change": f"CHG-{number:04}", "scope": phase, "scope_items": scope,
        "inventory": {"name": "prod", "description": "", "sha256": "1" * 64},
        "checklist": {"file": "checklist.md", "sha256": "3" * 64, "items": known, "roles": [], "phases": []},
        "policy": {"rollback_from": "golive"},
        "source": {
            "commit": f"{number:040x}", "branch": "main", "dirty": [], "problem": "",
            "committed": (START + timedelta(days=number * 1.1, hours=-5)).isoformat(),
        },
    })  # fmt: skip


def _test(lines: Lines, run: str, item: str, seconds: float, failed: bool) -> None:
    findings = [
        {
            "item": item, "target": target, "verdict": "fail" if failed else "pass", "test": f"test_{item}[{target}]",
            "reason": f"{target} is within its limits; the median of 12 attempts is {seconds:.3f} s, the limit 5 s",
            "at": lines.at.isoformat(), "duration_s": round(seconds / 2, 3), "criterion": "every attempt is within 5 s",
            "readings": [
                {"name": "median", "value": round(seconds * 1000, 1), "unit": "ms", "limit": "5000 ms", "ok": not failed},
                {"name": "lag", "value": round(seconds * 3, 2), "unit": "MB", "limit": "16 MB", "ok": True},
                {"name": "attempts", "value": 12, "unit": "", "limit": "", "ok": None},
                {"name": "state", "value": "streaming", "unit": "", "limit": "", "ok": None},
            ],
            "notes": [], "evidence": [{"path": f"evidence/{item}/{target}.json", "sha256": "5" * 64, "title": "measurement"}],
            "deferred_to": "", "confirmed": False, "figures": [],
        }
        for target in ("db1", "db2")
    ]  # fmt: skip
    lines.add("test", {"run": run, "test": f"test_{item}", "findings": findings}, seconds)


def _incident(lines: Lines, what: str, items: list[str], outcome: str = "") -> None:
    moment = {"wall": lines.at.isoformat(), "boot": "", "up_s": 0.0}
    lines.add("incident", {
        "incident": "incident-1", "what": what, "moment": moment, "by": "gate", "outcome": outcome, "reason": "", "name": "",
        "items": items, "late_s": 0.0,
    })  # fmt: skip


def _decision(lines: Lines, run: str, phase: str, bad: list[str]) -> None:
    rule = {
        "name": "a failed critical or major item holds",
        "says": "HOLD",
        "because": "failed",
        "items": bad,
    }
    decision = {
        "outcome": "HOLD" if bad else "GO", "scope": phase, "exit_code": 1 if bad else 0, "counts": {},
        "rules": [rule] if bad else [], "at": lines.at.isoformat(),
    }  # fmt: skip
    lines.add("decision", {"run": run, "decision": decision})


if __name__ == "__main__":
    main()
