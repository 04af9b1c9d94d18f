"""A million log lines to signatures, through the whole probe, with the one-liner of the trade and drain3 beside it.

    python benchmarks/error_logs.py                  # 1,000,000 lines, all of them errors
    python benchmarks/error_logs.py 200000 --errors 0.05
    python benchmarks/error_logs.py --drain3         # needs drain3 (MIT): pip install drain3

The lines are those of the latest night and of the one a week before, half each, in 50 templates, every tenth with a stack
trace in its place of four lines. Each part runs in a process of its own; prints wall time, processor time, memory, and
how many signatures were found. Exits with 1 if ours takes 30 s of processor time or more, or 200 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

NOW = datetime(2026, 11, 29, 9, 0, tzinfo=UTC)
BEGIN = datetime(2026, 11, 28, 22, 0, tzinfo=UTC)
_LIMIT_S, _LIMIT_MB = 30.0, 200
_TRACE = (
    'Traceback (most recent call last):\n  File "/srv/app/m{n}.py", line {line}, in run\n    self.step()\n'
    "app.errors.Conflict{n}: object {number} exists"
)
_PIPE = r"grep -F ERROR {file} | cut -c26- | sed -E 's/[0-9a-f]{{8,}}|[0-9]+/*/g' | sort | uniq -c | sort -rn | wc -l"


def write(file: Path, lines: int, errors: float) -> None:
    """Write the log."""
    draw = random.Random(1)
    with file.open("w") as out:
        for half, begin in enumerate((BEGIN - timedelta(days=7), BEGIN)):
            entry, written = 0, 0
            while written < lines // 2:
                at = begin + timedelta(seconds=written * 28_000 / (lines // 2))
                n = draw.randrange(50)
                level = "ERROR" if draw.random() < errors else "INFO"
                text = (
                    f"app.module{n}: request {draw.getrandbits(32):08x} of user {draw.randrange(10**6)} failed"
                    f" with code {4000 + n}"
                )
                out.write(f"{at:%Y-%m-%dT%H:%M:%S}.{entry % 1000:03d}Z {level} {text}\n")
                written += 1
                if n == 0 and written + 4 <= lines // 2:
                    out.write(
                        _TRACE.format(n=n, line=draw.randrange(99), number=draw.randrange(10**6)) + "\n"
                    )
                    written += 4
                entry += half + 1


def ours(file: Path) -> str:
    """Read the log with the probe, and judge it."""
    from pytest_deploygate.checks.error_logs import judge, probe  # noqa: PLC0415 (only in its own process)
    from pytest_deploygate.checks.error_logs.section import ErrorLogs  # noqa: PLC0415

    section = ErrorLogs.model_validate(
        {"sources": [{"name": "app", "connection": "local://", "file": str(file)}], "within": "10m"}
    )
    found = probe.compare(section, {}, NOW)
    judged = judge.judge(found, section)
    return f"{found.sources[0].places[0].lines} lines, {found.sources[0].distinct} signatures, {judged.verdict.value}"


def drain3(file: Path) -> str:
    """Let drain3 learn the templates of the errors' first lines, without masks."""
    from drain3 import TemplateMiner  # noqa: PLC0415 (only where it is installed)

    miner = TemplateMiner()
    with file.open() as lines:
        for line in lines:
            if " ERROR " in line[:40]:
                miner.add_log_message(line[25:].rstrip())
    return f"{len(miner.drain.clusters)} templates"


def pipe(file: Path) -> str:
    """Run the one-liner that people use."""
    done = subprocess.run(["sh", "-c", _PIPE.format(file=file)], capture_output=True, text=True, check=True)
    return f"{done.stdout.strip()} texts"


def measured(part: str, file: Path) -> tuple[float, float, float, str]:
    """Run a part in a process of its own; return wall time, processor time (s), memory (MB) and what it found."""
    began = time.monotonic()
    child = subprocess.Popen(
        [sys.executable, __file__, "--part", part, "--file", str(file)], stdout=subprocess.PIPE, text=True
    )
    said = child.stdout.read() if child.stdout else ""
    _, status, used = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"{part} ended with status {status}: {said}")
    return time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, said.strip()


def main() -> int:
    """Measure all parts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("lines", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--errors", type=float, default=1.0)
    parser.add_argument("--drain3", action="store_true")
    parser.add_argument("--part", choices=["ours", "pipe", "drain3"])
    parser.add_argument("--file", type=Path)
    given = parser.parse_args()
    if given.part:
        print(globals()[given.part](given.file))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "app.log"
        write(file, given.lines, given.errors)
        found = {}
        for part in ("ours", "pipe", *(["drain3"] if given.drain3 else [])):
            wall_s, cpu_s, mb, said = found[part] = measured(part, file)
            print(f"{part}: {wall_s:.1f} s, {cpu_s:.1f} s of processor time, {mb:.0f} MB; {said}")
        print(json.dumps({"bytes": file.stat().st_size, "load": os.getloadavg()[0]}))
        print(f"ours / pipe: {found['ours'][1] / found['pipe'][1]:.2f} of the processor time")
    _, cpu_s, mb, _ = found["ours"]
    return int(cpu_s >= _LIMIT_S or mb >= _LIMIT_MB)


if __name__ == "__main__":
    raise SystemExit(main())
