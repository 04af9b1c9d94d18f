"""Processes of a host by name, from /proc: which of them run, since when, and whether their program was replaced.

A name in /proc has at most 15 characters. Source: proc(5).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence

from pytest_deploygate.checks.stack.facts import Seen, State
from pytest_deploygate.lazy import dataclass

_LONGEST = 15
_STAT = re.compile(r"(\d+) \((.*)\) (\S)((?: -?\d+)+)")
#: Fields of stat after the state, which is the 3rd: the parent is the 4th, the start the 22nd.
_PARENT, _START = 0, 18
_DELETED = " (deleted)"


@dataclass(frozen=True)
class Process:
    """A process. `state` is the letter of /proc: Z has ended and was not collected, T was stopped by a signal.

    `program` is empty where we may not see it. `start_ticks` is since the host's start.
    """

    pid: int
    parent: int
    name: str
    state: str
    start_ticks: int
    program: str = ""
    arguments: str = ""

    @property
    def replaced(self) -> str:
        """The path of its program, if that file was replaced or removed since."""
        return self.program.removesuffix(_DELETED) if self.program.endswith(_DELETED) else ""


def command(names: Iterable[str]) -> str:
    """Return the command that prints the processes with these names."""
    forms = "|".join(sorted({re.escape(name[:_LONGEST]).replace(r"\-", "-") for name in names}))
    return (
        f"cat /proc/[0-9]*/stat | grep -E {shlex.quote(rf'^[0-9]+ [(]({forms})[)] ')} | while read -r PID REST; do "
        'echo "stat $PID $REST"; echo "exe $(readlink /proc/$PID/exe)"; '
        "echo \"args $(tr '\\0\\n' '  ' </proc/$PID/cmdline)\"; done; "
        'echo "ticks $(getconf CLK_TCK || echo 100)"'
    )


def listed(text: str) -> tuple[list[Process], int]:
    """Read what the command printed: the processes, and how many ticks a second has. No `ticks` is no answer: 0."""
    found: list[Process] = []
    program, ticks = "", 0
    current: re.Match[str] | None = None
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "stat":
            current, program = _STAT.fullmatch(rest.strip()), ""
        elif kind == "exe":
            program = rest
        elif kind == "args" and current:
            numbers = [int(each) for each in current[4].split()]
            found.append(
                Process(
                    int(current[1]),
                    numbers[_PARENT],
                    current[2],
                    current[3],
                    numbers[_START],
                    program,
                    rest.strip(),
                )
            )
            current = None
        elif kind == "ticks" and rest.strip().isdigit():
            ticks = int(rest)
    return found, ticks


def of(name: str, arguments: str, found: Sequence[Process]) -> list[Process]:
    """Return the processes of a component."""
    return [each for each in found if each.name == name[:_LONGEST] and arguments in each.arguments]


def seen(name: str, arguments: str, least: int, text: str | None, uptime_s: float | None) -> Seen:
    """Return what one read saw: up with at least so many that run."""
    found, ticks = listed(text or "")
    if not ticks:
        return Seen(State.UNKNOWN, "the host does not show its processes (/proc)")
    mine = of(name, arguments, found)
    good = [each for each in mine if each.state not in "ZXTt"]
    words = f"{len(good)} running, at least {least} expected"
    if ended := [each for each in mine if each.state in "ZX"]:
        words += f", {len(ended)} ended and were not collected"
    if stopped := [each for each in mine if each.state in "Tt"]:
        words += f", {len(stopped)} stopped by a signal"
    if mine and not any(each.arguments for each in good) and arguments:
        return Seen(State.UNKNOWN, "the host does not show the command lines of its processes")
    # Servers start processes of their name for each client, which end with it: only those that others started count.
    pids = {each.pid for each in mine}
    first = [each for each in good if each.parent not in pids] or good
    newest = max((each.start_ticks for each in first), default=0)
    since_s = uptime_s - newest / ticks if good and uptime_s is not None else None
    identity = ",".join(sorted(f"{each.pid}@{each.start_ticks}" for each in first))
    return Seen(State.UP if len(good) >= least else State.DOWN, words, identity, None, since_s)
