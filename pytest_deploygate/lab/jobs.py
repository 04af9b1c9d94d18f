"""The platform's scheduled jobs: `python -m pytest_deploygate.lab.jobs FOLDER JOB`, as the crontab has it.

Each writes the result of its run to `jobs/JOB.json` in the lab's folder: `{"job", "started", "finished", "exit_code"}` (times
ISO 8601 in UTC), with `"error"` where it failed.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from pytest_deploygate.lab import backups, client, processes, schedule, services, sql
from pytest_deploygate.lab.state import Lab, LabError, load, write_whole


def _call(function: str) -> Callable[[Lab], None]:
    def call(lab: Lab) -> None:
        with sql.connect(lab, role="platform_jobs") as connection:
            connection.execute(f"SELECT {function}".encode())

    return call


#: Those of the cluster; the services have their own.
_JOBS: dict[str, Callable[[Lab], None]] = {
    "full-backup": backups.take,
    "refresh-readings-hourly": _call("platform.refresh_readings_hourly()"),
    "ensure-partitions": _call("platform.ensure_partitions()"),
    "apply-retention": _call("platform.apply_retention()"),
}


def run(lab: Lab, job: str) -> int:
    """Run a job here and write its status file. Returns its exit code; the reason of a failure goes to stderr."""
    started = datetime.now(UTC)
    error = ""
    try:
        (_JOBS.get(job) or services.jobs(lab)[job].run)(lab)
    except (LabError, psycopg.Error) as reason:
        error = " ".join(str(reason).split())
        print(f"{started.isoformat()} {job}: {error}", file=sys.stderr)  # noqa: T201 (to its log)
    status = {
        "job": job,
        "started": started.isoformat(),
        "finished": datetime.now(UTC).isoformat(),
        "exit_code": 1 if error else 0,
    }
    write_whole(lab.job_status(job), status | ({"error": error} if error else {}))
    return 1 if error else 0


def run_now(lab: Lab, job: str, timeout_s: float = 120.0) -> None:
    """Run a job now, as its line in the crontab does. Raises LabError when it fails."""
    processes.run(shlex.split(schedule.command(lab, job)), user=None, timeout_s=timeout_s)


def run_soon(lab: Lab, job: str) -> None:
    """Have the supervisor run a job in the background, as the crontab would. Raises LabError when the supervisor cannot be reached."""
    client.run(lab, schedule.command(lab, job))


if __name__ == "__main__":
    sys.exit(run(load(Path(sys.argv[1]), up=False), sys.argv[2]))
