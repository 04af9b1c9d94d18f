"""Reads a control group and those above it on hosts, twice, in one script each. Version 1 and 2 of Linux' cgroups.

A limit of a slice holds for all that is in it, so the files of every group up to the root are read.
https://docs.kernel.org/admin-guide/cgroup-v2.html and …/cgroup-v1/
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from pytest_deploygate.checks.hosts.section import Host, Hosts, chosen
from pytest_deploygate.checks.resources.facts import Bound, Group
from pytest_deploygate.checks.resources.section import ControlGroup
from pytest_deploygate.clients.host.asking import ask
from pytest_deploygate.clients.host.batch import Lines
from pytest_deploygate.clients.host.side_by_side import side_by_side
from pytest_deploygate.judging.silent_hosts import Failure
from pytest_deploygate.model import CannotTell

_AT_ONCE = 16
#: From here on, version 1 means "unlimited": the largest number of pages.
_UNLIMITED = 2.0**60
#: Part of the answer, and where version 2 and version 1 have it.
_FILES = {
    "memory": ("memory.current", "memory/memory.usage_in_bytes"),
    "memory-limit": ("memory.max", "memory/memory.limit_in_bytes"),
    "memory-stat": ("memory.stat", "memory/memory.stat"),
    "pids": ("pids.current", "pids/pids.current"),
    "pids-limit": ("pids.max", "pids/pids.max"),
    "cpu-limit": ("cpu.max", "cpu/cpu.cfs_quota_us"),
    "cpu-period": ("", "cpu/cpu.cfs_period_us"),
}
_COUNTERS = {
    "cpu-stat": ("cpu.stat", "cpu/cpu.stat"),
    "kills": ("memory.events", "memory/memory.oom_control"),
}


def control_groups(group: ControlGroup, hosts: Hosts | None) -> tuple[Group, ...]:
    """Read the group on each of its hosts, side by side. Raises CannotTell where it has none."""
    where = chosen(group.hosts, hosts)
    if not where:
        raise CannotTell(
            f"no server in `hosts` is named, or has the role, {', '.join(group.hosts)}: correct `hosts` of"
            f" {group.name}, or the section `hosts`"
        )
    return tuple(side_by_side(lambda host: _group(host, group), where, _AT_ONCE))


def _group(host: Host, group: ControlGroup) -> Group:
    paths = above(group.path)
    told = ask(
        host.connection,
        host.run_as,
        commands(group.mount.rstrip("/"), paths, group.watch.total_seconds()),
        group.timeout.total_seconds() + group.watch.total_seconds(),
        host.run_as_password,
    )
    if isinstance(told, Failure):
        return Group(host.name, 0, problem=told.said)
    return parse(host.name, paths, told.parts)


def above(path: str) -> list[str]:
    """Return the path and those of the groups above it, the nearest first, without the root."""
    names = path.strip("/").split("/")
    return ["/" + "/".join(names[: len(names) - n]) for n in range(len(names))]


def commands(mount: str, paths: Sequence[str], watch_s: float) -> dict[str, str | Lines]:
    """Return what is asked: the files of each group, and its counters before and after a while."""
    asked: dict[str, str | Lines] = {"version": Lines((f"{mount}/cgroup.controllers",))}
    for number, path in enumerate(paths):
        for part, (second, first) in _FILES.items():
            form = r"^(total_)?inactive_file " if part == "memory-stat" else ""
            asked[f"{part}-{number}"] = Lines(_places(mount, path, second, first), form)
    for when in ("before", "after"):
        for number, path in enumerate(paths):
            for part, (second, first) in _COUNTERS.items():
                asked[f"{part}-{when}-{number}"] = f"cat {shlex.join(_places(mount, path, second, first))}"
        if when == "before":
            asked["pause"] = f"sleep {watch_s:g}"
    return asked


def _places(mount: str, path: str, second: str, first: str) -> tuple[str, ...]:
    controller, _, file = first.partition("/")
    old = f"{mount}/{controller}{path}/{file}"
    return (f"{mount}{path}/{second}", old) if second else (old,)


def parse(host: str, paths: Sequence[str], parts: Mapping[str, str]) -> Group:
    """Read what a host printed."""
    version = 2 if "version" in parts else 1
    if not any(f"{part}-0" in parts for part in _FILES) and "cpu-stat-before-0" not in parts:
        return Group(
            host,
            version,
            problem=f"there is no control group {paths[0]}, or its files cannot be read: check its path (`systemctl show"
            " -p ControlGroup UNIT`), and that the service runs",
        )
    bounds, cores, counts = [], [], []
    for number, path in enumerate(paths):
        said = {part: parts.get(f"{part}-{number}", "") for part in _FILES}
        memory = _number(said["memory"])
        if memory is not None:
            kept = memory - _field(
                said["memory-stat"], "total_inactive_file" if version == 1 else "inactive_file"
            )
            bounds.append(Bound(path, "memory", max(0.0, kept), _limit(said["memory-limit"])))
        processes = _number(said["pids"])
        if processes is not None:
            bounds.append(Bound(path, "processes", processes, _limit(said["pids-limit"])))
        cores.append(_cores(said["cpu-limit"], said["cpu-period"]))
        counts.append(_rise(parts, "cpu-stat", number, ("nr_periods", "nr_throttled")))
    known = [each for each in counts if each is not None]
    periods, throttled = max(
        known, key=lambda each: each[1] / each[0] if each[0] else 0.0, default=(None, None)
    )
    kills = _rise(parts, "kills", 0, ("oom_kill", "oom_kill"))
    return Group(
        host,
        version,
        tuple(bounds),
        min((each for each in cores if each is not None), default=None),
        periods,
        throttled,
        kills and kills[0],
        round(_field(parts.get("kills-before-0", ""), "oom_kill")),
    )


def _rise(
    parts: Mapping[str, str], part: str, number: int, fields: tuple[str, str]
) -> tuple[int, int] | None:
    """Return by how much two counters of a file rose; None if it is missing, or if the group was made anew meanwhile."""
    before, after = (parts.get(f"{part}-{when}-{number}", "") for when in ("before", "after"))
    if fields[0] not in before or fields[0] not in after:
        return None
    first, second = (round(_field(after, field) - _field(before, field)) for field in fields)
    return (first, second) if first >= 0 and second >= 0 else None


def _number(text: str) -> float | None:
    words = text.split()
    return float(words[0]) if words and words[0].lstrip("-").isdigit() else None


def _limit(text: str) -> float | None:
    limit = _number(text)
    return None if limit is None or limit >= _UNLIMITED or limit < 0 else limit


def _field(text: str, name: str) -> float:
    for line in text.splitlines():
        words = line.split()
        if len(words) == 2 and words[0] == name and words[1].isdigit():
            return float(words[1])
    return 0.0


def _cores(limit: str, period: str) -> float | None:
    """Return a limit of processors: `200000 100000` (version 2), or a quota and its period (version 1)."""
    words = [*limit.split(), *period.split()][:2]
    quota, each = (_number(word) for word in words) if len(words) == 2 else (None, None)
    return quota / each if quota is not None and each and quota > 0 else None
