"""Try the stop: processes of our own wait as probes do, and a stop file in the change's folder ends them.

They reach nothing but this machine. The stop file is one of their own, beside the run's.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from pathlib import Path

from pytest_deploygate.checks.blast_radius.facts import StopSeen, Tried
from pytest_deploygate.checks.blast_radius.probe.waiting import WAYS
from pytest_deploygate.clients import own_lag, stopping

#: Starting Python may take seconds on a busy machine.
_START_S, _GIVE_UP_S = 60.0, 5.0


def try_stop(folder: Path) -> StopSeen:
    """Start one process whose probes wait in each way, stop them, and return how long each took to end.

    A process that could not be started or did not answer is a value, too.
    """
    file = folder / f".try-stop-{secrets.token_hex(4)}"
    command = [sys.executable, "-m", "pytest_deploygate.checks.blast_radius.probe.waiting", str(file)]
    with (
        own_lag.watching() as lag,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
    ):
        try:
            return _stopped(process, file, lag)
        except OSError as error:
            return StopSeen(
                (),
                f"the stop was not tried: {file.name} cannot be made in {folder}: {error.strerror}; make the folder writable",
            )
        finally:
            file.unlink(missing_ok=True)
            process.kill()


def _stopped(process: subprocess.Popen[str], file: Path, lag: own_lag.Lag) -> StopSeen:
    if _line(process, time.monotonic(), _START_S).strip() != "waiting":
        return StopSeen((), "the stop was not tried: a process of our own did not start; run it again")
    began = time.monotonic()
    stopping.stop(file, "a trial of the stop")
    ended: dict[str, float] = {}
    while len(ended) < len(WAYS) and (line := _line(process, began, _GIVE_UP_S)):
        told = json.loads(line)
        ended[told["way"]] = told["at"] - began
    seen = lag.since(began)
    return StopSeen(tuple(Tried(way, round(ended[way], 3) if way in ended else None, seen) for way in WAYS))


def _line(process: subprocess.Popen[str], began: float, within_s: float) -> str:
    """Return the next line of the process; nothing if it ended, or none came in time."""
    import selectors  # noqa: PLC0415 (with its own module)

    if process.stdout is None:
        return ""
    with selectors.DefaultSelector() as waits:
        waits.register(process.stdout, selectors.EVENT_READ)
        left_s = began + within_s - time.monotonic()
        return process.stdout.readline() if left_s > 0 and waits.select(left_s) else ""
