"""What a folder of a host is stored on: `findmnt`, `lsblk` and `zfs` say it. Their output is read as util-linux 2.38 has it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

from pytest_deploygate.checks.encryption import facts
from pytest_deploygate.checks.encryption.section import Volume
from pytest_deploygate.checks.hosts.section import Host, Hosts, chosen
from pytest_deploygate.clients.host.asking import ask
from pytest_deploygate.clients.host.side_by_side import side_by_side
from pytest_deploygate.judging.silent_hosts import Failure

_AT_ONCE = 16


def read(volume: Volume, hosts: Hosts | None, timeout_s: float) -> Iterator[facts.Volume]:
    """Ask each of its hosts. What cannot be read is a value (`problem`)."""
    where = chosen(volume.hosts, hosts)
    if not where:
        named = ", ".join(volume.hosts)
        yield facts.Volume(
            named,
            volume.path,
            problem="no server in `hosts` is named so, or has such a role: correct `hosts`",
        )
    yield from side_by_side(lambda host: _volume(host, volume.path, timeout_s), where, _AT_ONCE)


def _volume(host: Host, path: str, timeout_s: float) -> facts.Volume:
    told = ask(host.connection, host.run_as, commands(path), timeout_s, host.run_as_password)
    if isinstance(told, Failure):
        return facts.Volume(host.name, path, problem=told.said)
    return parse(host.name, path, told.parts)


def commands(path: str) -> dict[str, str]:
    """Return what a host is asked: the file system, the devices below it, and ZFS' property."""
    # btrfs writes a subvolume behind its device: /dev/sda2[/home].
    source = f"$(findmnt -n -o SOURCE --target {shlex.quote(path)} | sed 's/\\[.*//')"
    return {
        "mount": f"findmnt -n -r -o SOURCE,FSTYPE --target {shlex.quote(path)}",
        "devices": f'lsblk -s -n -r -o TYPE "{source}"',
        "zfs": f'zfs get -H -o value encryption "{source}"',
    }


def parse(host: str, path: str, parts: Mapping[str, str]) -> facts.Volume:
    """Read what a host printed."""
    mount = parts.get("mount", "").split()
    if len(mount) != 2:
        return facts.Volume(
            host,
            path,
            problem=f"findmnt does not say what {path} is on: check that it is there, and that util-linux is installed",
        )
    return facts.Volume(
        host, path, mount[0], mount[1], tuple(parts.get("devices", "").split()), parts.get("zfs", "").strip()
    )
