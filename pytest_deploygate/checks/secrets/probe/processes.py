"""Reads the processes of a host: name, parent, arguments and environment, as far as the host shows them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from pytest_deploygate.checks.secrets.probe.frames import Frame
from pytest_deploygate.lazy import dataclass

_HEADER = re.compile(r"(?:\A|\n)==> (?:/proc/\d+/)?(stat|cgroup|cmdline|environ|/dev/null) <==\n")
#: Identifier, name, state, parent; the name may contain parentheses.
_STAT = re.compile(r"(\d+) \((.*)\) (\S) (\d+) (.*)", re.DOTALL)
#: Position of the start time among the fields after the parent. Source: proc_pid_stat(5), field 22.
_START = 17
_ZOMBIE = "Z"
_CONTAINER = re.compile(r"docker|libpod|podman|crio|containerd|kubepods|lxc")


@dataclass(frozen=True)
class Process:
    """A process with a program. `started` is in ticks since the start of the host; None: the host does not show it.

    `longest` is the size of its arguments or its environment in bytes, the larger of both.
    """

    pid: int
    parent: int
    name: str
    started: int
    arguments: str | None
    environment: str | None
    contained: bool = False
    longest: int = 0


def read(frames: Iterable[Frame]) -> list[Process]:
    """Return the processes; threads of the kernel, and those that have ended, have neither arguments nor environment."""
    return [process for frame in frames if frame.kind == "P" and (process := _process(frame.content))]


def _process(content: str) -> Process | None:
    headers = list(_HEADER.finditer(content))
    parts: dict[str, str] = {}
    states: list[re.Match[str] | None] = []
    for number, header in enumerate(headers):
        end = headers[number + 1].start() if number + 1 < len(headers) else len(content)
        text = content[header.end() : end]
        parts.setdefault(header[1], text)
        if header[1] == "stat":
            states.append(_STAT.match(text))
    stat = states[-1] if len(states) > 1 else None
    if stat is None or stat[3] == _ZOMBIE:
        return None
    arguments, environment = parts.get("cmdline"), parts.get("environ")
    # A thread of the kernel, or a process that is about to end and has given up its memory.
    if arguments == "" and (environment is None or 2 in (int(stat[1]), int(stat[4]))):
        return None
    after = stat[5].split()
    return Process(
        int(stat[1]),
        int(stat[4]),
        stat[2],
        int(after[_START]) if len(after) > _START and after[_START].isdigit() else 0,
        arguments.rstrip("\0").replace("\0", " ") if arguments is not None else None,
        environment.replace("\0", "\n") if environment is not None else None,
        _CONTAINER.search(parts.get("cgroup", "")) is not None,
        max(len(arguments or ""), len(environment or "")),
    )


def own() -> tuple[int, int] | None:
    """Return our own identifier and start time; None on a system without /proc."""
    try:
        stat = _STAT.match(Path("/proc/self/stat").read_text(errors="replace"))
    except OSError:
        return None
    return (os.getpid(), int(stat[5].split()[_START])) if stat else None


def lineage(processes: Sequence[Process], mine: tuple[int, int] | None) -> tuple[set[int], set[int]]:
    """Return who our ancestors are, and who we and our descendants are, if we run on this host.

    The secrets of a run are in our environment, often by way of our ancestors'. Identifier and start time together are
    those of one process only.
    """
    by_pid = {process.pid: process for process in processes}
    me = by_pid.get(mine[0]) if mine else None
    if me is None or mine is None or me.started != mine[1]:
        return set(), set()
    ancestors: set[int] = set()
    parent = me.parent
    while parent in by_pid and parent not in ancestors:
        ancestors.add(parent)
        parent = by_pid[parent].parent
    ours = {me.pid}
    while more := {process.pid for process in processes if process.parent in ours} - ours:
        ours |= more
    return ancestors, ours
