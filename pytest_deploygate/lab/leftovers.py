"""Finding and ending the processes of a lab without its supervisor, which may be dead, and without its state."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from pytest_deploygate.lab import services
from pytest_deploygate.lab.processes import send, wake_family
from pytest_deploygate.lab.state import LabError
from pytest_deploygate.lazy import dataclass

#: Programs of the cluster and its backups. Those of a service are named in its module.
_PROGRAMS = ("postgres", "initdb", "pg_basebackup", "pgbackrest")
#: The same for `python -m`: the scheduled jobs, and commands of ours that work on a lab.
_MODULES = ("pytest_deploygate", "pytest_deploygate.lab.jobs")
_SUPERVISOR = "pytest_deploygate.lab.supervisor"
#: The kernel cuts the name of a process to so many bytes.
_LONGEST_NAME = 15


@dataclass(frozen=True)
class Found:
    """A process with the lab's folder in its command line. `supervisor` is true for the one that holds the others."""

    pid: int
    what: str
    supervisor: bool


def belonging_to(folder: Path) -> list[Found]:
    """Return the processes of the lab in `folder`, found without its state.

    They name the folder in their command line, or (children of servers, whose titles change) work in it.
    """
    everything = services.all_services()
    programs = {*_PROGRAMS, *(name for s in everything for name in (*s.programs, *s.processes))}
    modules = {*_MODULES, *(module for service in everything for module in service.modules)}
    names = {name[:_LONGEST_NAME] for name in programs}
    found = (_look(entry, str(folder), names, modules) for entry in Path("/proc").iterdir())
    return [process for process in found if process is not None and process.pid != os.getpid()]


def _look(entry: Path, folder: str, names: set[str], modules: set[str]) -> Found | None:
    if not entry.name.isdigit():
        return None
    try:
        words = (entry / "cmdline").read_bytes().rstrip(b"\0").decode(errors="replace").split("\0")
        name = (entry / "comm").read_text().strip()
    except OSError:
        return None
    if len(words) == 1:  # a title that the server wrote over its arguments, as sshd does
        words = words[0].split()
    named = any(_within(word, folder) for word in words)
    supervisor = named and _SUPERVISOR in words
    module = named and not modules.isdisjoint(words)
    server = name in names and (named or _works_in(entry, folder))
    return Found(int(entry.name), name, supervisor) if supervisor or module or server else None


def _works_in(process: Path, folder: str) -> bool:
    try:
        return _within(str((process / "cwd").readlink()), folder)
    except OSError:
        return False


def _within(word: str, folder: str) -> bool:
    value = word.rpartition("=")[2]
    return value == folder or value.startswith(folder + "/")


def end_all(folder: Path, *, patience_s: float = 5.0) -> list[Found]:
    """End every process of the lab in `folder`, politely first; return those that there were. Raises LabError.

    Servers hold nothing that outlives the lab, so SIGQUIT (end at once) is the polite way here.
    """
    first = belonging_to(folder)
    for number in (signal.SIGQUIT, signal.SIGKILL):
        deadline = time.monotonic() + patience_s
        for process in belonging_to(folder):
            wake_family(process.pid)
            send(process.pid, signal.SIGCONT)
            send(process.pid, number)
        while belonging_to(folder):
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        else:
            return first
    raise LabError(f"processes of the lab in {folder} do not end: {[p.pid for p in belonging_to(folder)]}")
