"""The lab's crontab: writing it, switching single lines off and on, and finding what is due."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from cronsim import CronSim, CronSimError

from pytest_deploygate.lab import services
from pytest_deploygate.lab.state import Lab, LabError

#: The jobs of the cluster and when they run. The commands are those of `jobs.py`; the services have jobs of their own.
JOBS = {
    "full-backup": "30 2 * * *",
    "refresh-readings-hourly": "* * * * *",
    "ensure-partitions": "* * * * *",
    "apply-retention": "20 3 * * *",
}
_OFF = "#off# "


def command(lab: Lab, job: str) -> str:
    """Return the command line of a job."""
    return shlex.join([sys.executable, "-m", "pytest_deploygate.lab.jobs", str(lab.folder), job])


def write(lab: Lab) -> None:
    """Write the crontab with every job on."""
    jobs = JOBS | {job: how.when for job, how in services.jobs(lab).items()}
    lines = [f"{when} {command(lab, job)}" for job, when in jobs.items()]
    lab.crontab.write_text(
        "# The platform's scheduled jobs. The lab's supervisor runs them.\n" + "\n".join(lines) + "\n"
    )


def switch_off(lab: Lab, job: str) -> None:
    """Comment out a job's line."""
    _rewrite(lab, job, lambda line: line if line.startswith(_OFF) else _OFF + line)


def switch_on(lab: Lab, job: str) -> None:
    """Enable a job's line again."""
    _rewrite(lab, job, lambda line: line.removeprefix(_OFF))


def move(lab: Lab, job: str, when: str) -> None:
    """Give a job's line other time fields."""
    _rewrite(lab, job, lambda line: f"{when} {line.split(None, 5)[5]}")


def _rewrite(lab: Lab, job: str, change: Callable[[str], str]) -> None:
    lines = lab.crontab.read_text().splitlines()
    if not any(line.endswith(f" {job}") for line in lines):
        raise LabError(f"{lab.crontab} has no line for {job}")
    text = "\n".join(change(line) if line.endswith(f" {job}") else line for line in lines)
    beside = lab.crontab.with_name(".crontab")
    beside.write_text(text + "\n")
    beside.replace(lab.crontab)


def next_minute() -> datetime:
    """Return the start of the minute after this one, in local time, as cron counts."""
    return datetime.now().astimezone().replace(second=0, microsecond=0) + timedelta(minutes=1)


def due(crontab: Path, minute: datetime) -> list[str]:
    """Return the commands whose time is `minute`. A missing file has none.

    Raises ValueError for a line with invalid time fields.
    """
    if not crontab.exists():
        return []
    return [what for when, what in entries(crontab.read_text()) if _matches(when, minute)]


def entries(text: str) -> list[tuple[str, str]]:
    """Return (time fields, command) of each line that is not blank, a comment or a setting."""
    found = []
    for line in text.splitlines():
        fields = line.split(None, 5)
        if len(fields) == 6 and not line.lstrip().startswith("#") and "=" not in fields[0]:
            found.append((" ".join(fields[:5]), fields[5]))
    return found


def _matches(when: str, minute: datetime) -> bool:
    try:
        return next(CronSim(when, minute - timedelta(seconds=1))) == minute
    except (CronSimError, StopIteration) as error:
        raise ValueError(f"{when!r} is not a time: {error}") from None
