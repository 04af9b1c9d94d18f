"""A scheduler: it runs the platform's small jobs again and again, and leaves each run in the database.

Run as `python -m pytest_deploygate.lab.application.scheduler FOLDER SIDE`. The old side's one stands still since the cutover:
it is there, and runs nothing, unless the switch `scheduler_old_runs` is on; `scheduler_stopped` stops the new side's one.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import psycopg

from pytest_deploygate.lab.application import settings

EVERY_S = 1.0
#: What it does: the work is a statement.
JOBS = {
    "end-sessions": "DELETE FROM application.sessions WHERE expires_at < now()",
    "end-refresh-tokens": "DELETE FROM application.refresh_tokens WHERE expires_at < now()",
}


def run(folder: Path, side: str) -> None:
    """Run jobs until the process is ended."""
    own = settings.load(folder)
    switches = own.switches()
    while True:
        time.sleep(EVERY_S)
        works = switches.on("scheduler_old_runs") if side == "old" else not switches.on("scheduler_stopped")
        if not works:
            continue
        try:
            _once(own.conninfo(), side)
        except psycopg.Error as error:
            sys.stderr.write(f"{' '.join(str(error).split())}\n")


def _once(conninfo: str, side: str) -> None:
    with psycopg.connect(conninfo, autocommit=True, connect_timeout=5) as connection:
        for job, statement in JOBS.items():
            connection.execute(statement.encode())
            connection.execute(
                "INSERT INTO application.scheduler_runs (side, scheduler, job) VALUES (%s, %s, %s)",
                (side, f"scheduler-{side}", job),
            )


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2])
