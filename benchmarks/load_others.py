"""The other load tools, as load.py runs them: wrk, hey and Locust's FastHttpUser. Missing tools are None."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).parent
_LOCUST = _HERE / ".locust" / "bin" / "locust"
_MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
HOW = {
    "wrk": "apt install wrk",
    "hey": "apt install hey",
    "Locust": "python -m venv benchmarks/.locust && benchmarks/.locust/bin/pip install locust",
}


@dataclass(frozen=True, slots=True)
class Said:
    """What a tool reports: its p99 in milliseconds and requests per second."""

    p99_ms: float
    rate: float


def wrk(port: int, seconds: int, connections: int) -> Said | None:
    """Run wrk with one thread, flat out: it has no rate."""
    if not shutil.which("wrk"):
        return None
    text = _run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "5s", "--latency", _url(port)],
        seconds,
    )
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s|m)", text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    assert p99, text
    assert rate, text
    return Said(float(p99[1]) * _MILLISECONDS[p99[2]], float(rate[1]))


def hey(port: int, seconds: int, connections: int, rate: int = 0) -> Said | None:
    """Run hey on one core; `rate` requests per second in total, 0: flat out."""
    if not shutil.which("hey"):
        return None
    each = ["-q", f"{rate / connections:g}"] if rate else []
    text = _run(
        ["hey", "-cpus", "1", "-c", str(connections), "-z", f"{seconds}s", *each, _url(port)], seconds
    )
    p99 = re.search(r"99% in ([\d.]+) secs", text)
    achieved = re.search(r"Requests/sec:\s+([\d.]+)", text)
    assert p99, text
    assert achieved, text
    return Said(float(p99[1]) * 1000, float(achieved[1]))


def locust(port: int, seconds: int, users: int, rate: int = 0) -> Said | None:
    """Run one process of Locust (one core); `rate` requests per second in total, 0: flat out."""
    if not _LOCUST.is_file():
        return None
    command = [
        str(_LOCUST),
        "-f",
        str(_HERE / "locustfile.py"),
        "--headless",
        "--json",
        "--skip-log",
        "--host",
    ]
    command += [_url(port).rstrip("/"), "-u", str(users), "-r", str(users), "-t", f"{seconds}s"]
    text = _run(command, seconds, BENCHMARK_RATE=f"{rate / users:g}")
    (found,) = json.loads(text[text.index("[") :])
    times = sorted((float(ms), count) for ms, count in found["response_times"].items())
    rank, seen = math.ceil(0.99 * found["num_requests"]), 0
    for ms, count in times:
        seen += count
        if seen >= rank:
            return Said(ms, found["num_requests"] / seconds)
    raise AssertionError(text)


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}/"


def _run(command: list[str], seconds: int, **environment: str) -> str:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.stdout, f"{command[0]} printed nothing: {done.stderr}"
    return done.stdout
