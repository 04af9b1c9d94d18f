"""A machine for each member of Patroni: a network of its own, whose cable can be pulled, and a disk that can be full.

    here (etcd, HAProxy) ── bridge ── patroni1, patroni2, patroni3

Only root can make them. They are namespaces that processes of the lab hold, so nothing is left of them after `lab down` or
`kill -9`. Without them all members share loopback and one disk.
"""

from __future__ import annotations

import os
import pwd
import shlex
import signal
import subprocess
from pathlib import Path

from pytest_deploygate.lab import client, nodes, processes, sql
from pytest_deploygate.lab.programs import tool
from pytest_deploygate.lab.services.patroni_config import BRIDGE, MEMBERS, data, machine, where
from pytest_deploygate.lab.services.patroni_config import address as address_of
from pytest_deploygate.lab.state import Lab, LabError
from pytest_deploygate.lab.supervisor import Program

_PROGRAMS = ("ip", "unshare", "nsenter", "setpriv", "mount")
#: The size of a disk. It takes memory only for what is on it.
_DISK = "1g"
_HOLD = "exec sleep infinity"
_ATTEMPTS = 20


def lacking() -> str:
    """Return why there can be no machines; empty if there can."""
    if os.getuid() != 0:
        return "the lab does not run as root, so its nodes share one network and one disk"
    if missing := [name for name in _PROGRAMS if tool(name) is None]:
        return f"{', '.join(missing)} is not installed, so the lab's nodes share one network and one disk"
    script = "ip link set lo up && ip link add eth0 type veth peer name port && ip link add lab type bridge && mount -t tmpfs x /mnt"
    words = ["unshare", "--net", "--mount", "/bin/sh", "-c", script]
    if subprocess.run(words, capture_output=True, check=False, timeout=10).returncode:
        return "root may make no namespaces here, so the lab's nodes share one network and one disk"
    return ""


def start(lab: Lab) -> None:
    """Make the bridge, join this machine to it, then a machine for each member. Raises LabError."""
    bridge = ["ip link set lo up", "ip link add lab type bridge", "ip link set lab up"]
    _hold(lab, BRIDGE, bridge, "--net")
    here = interface(lab)
    lines = [
        f"ip link delete {here} 2>/dev/null || true",
        f"ip link add {here} type veth peer name here netns {_pid(lab, BRIDGE)}",
        _inside(lab, BRIDGE, "ip", "link", "set", "here", "master", "lab", "up"),
        f"ip address add {address_of(lab)}/24 dev {here}",
        f"ip link set {here} up",
    ]
    processes.run(["/bin/sh", "-ec", "\n".join(lines)], user=None)
    for name in MEMBERS:
        _start(lab, name)


def _start(lab: Lab, name: str) -> None:
    place = data(lab, name)
    processes.run(["/bin/mkdir", "-p", "-m", "700", str(place)], user=lab.user)
    owner = pwd.getpwnam(lab.user) if lab.user else pwd.getpwuid(os.getuid())
    lines = [
        "ip link set lo up",
        f"ip link add eth0 type veth peer name {_port(name)} netns {_pid(lab, BRIDGE)}",
        _inside(lab, BRIDGE, "ip", "link", "set", _port(name), "master", "lab", "up"),
        f"ip address add {address_of(lab, name)}/24 dev eth0",
        "ip link set eth0 up",
        f"mount -t tmpfs -o size={_DISK},mode=700,uid={owner.pw_uid},gid={owner.pw_gid} tmpfs {shlex.quote(str(place))}",
    ]
    _hold(lab, machine(name), lines, "--net", "--mount")


def interface(lab: Lab) -> str:
    """Return the name of this machine's interface to the members' network."""
    return f"dgpat{address_of(lab).split('.')[2]}"


def entering(lab: Lab, name: str, words: list[str]) -> Program:
    """Return how a program is started on a member's machine, as the servers' user."""
    held = _pid(lab, machine(name))
    enter = [_program("nsenter"), f"--net=/proc/{held}/ns/net", f"--mount=/proc/{held}/ns/mnt"]
    owner = pwd.getpwnam(lab.user) if lab.user else pwd.getpwuid(os.getuid())
    # A change of user clears the request for a signal when the parent ends, so it is made again after that.
    enter += [_program("setpriv"), f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]
    return Program([*enter, "--pdeathsig=SIGTERM", *words], None)


def seen_data(lab: Lab, name: str) -> Path:
    """Return a member's data folder as it is seen from here."""
    return Path(f"/proc/{_pid(lab, machine(name))}/root{data(lab, name)}")


def cable(lab: Lab, name: str, *, plugged: bool) -> None:
    """Pull a member's cable, or put it back: what it sends is lost, and nothing reaches it. Raises LabError."""
    way = "up" if plugged else "down"
    processes.run(shlex.split(_inside(lab, BRIDGE, "ip", "link", "set", _port(name), way)), user=None)


def disk(lab: Lab, name: str, *, full: bool) -> None:
    """Leave a member's disk no free block, or give it its size back. Raises LabError."""
    if not full:
        _resize(lab, name, _DISK)
        return
    for attempt in range(_ATTEMPTS):
        there = os.statvfs(seen_data(lab, name))
        try:
            # Its server writes meanwhile, and no disk can be made smaller than what is on it.
            _resize(lab, name, str((there.f_blocks - there.f_bfree) * there.f_frsize))
        except LabError:
            if attempt == _ATTEMPTS - 1:
                raise
        else:
            return


def _resize(lab: Lab, name: str, size: str) -> None:
    change = ["mount", "-o", f"remount,size={size}", str(data(lab, name))]
    enter = [_program("nsenter"), f"--mount=/proc/{_pid(lab, machine(name))}/ns/mnt"]
    processes.run([*enter, *change], user=None)


def _hold(lab: Lab, name: str, lines: list[str], *kinds: str) -> None:
    """Start the process that holds the namespaces, and wait until they are furnished. Raises LabError."""
    ready = where(lab) / f"{name}.ready"
    # The folder is an argument by itself, so that `lab down` finds it without the supervisor.
    script = ["set -e", *lines, f"touch {shlex.quote(str(ready))}", _HOLD]
    argv = [_program("unshare"), *kinds, "/bin/sh", "-c", "\n".join(script), name, str(where(lab))]
    client.start(lab, name, Program(argv, None, death_signal=signal.SIGKILL))
    try:
        sql.wait_until(f"the machine {name}", ready.exists, 20.0)
    except LabError as error:
        raise LabError(f"{error}: {nodes.log_end(lab, name)}") from None


def _inside(lab: Lab, name: str, *command: str) -> str:
    return shlex.join([_program("nsenter"), f"--net=/proc/{_pid(lab, name)}/ns/net", *command])


def _pid(lab: Lab, name: str) -> int:
    running = client.status(lab.folder)["servers"].get(name)
    if running is None or running["exit_code"] is not None:
        raise LabError(f"{name} is not running: {nodes.log_end(lab, name)}")
    return int(running["pid"])


def _port(name: str) -> str:
    return f"port-{name}"


def _program(name: str) -> str:
    found = tool(name)
    if found is None:
        raise LabError(f"there is no {name} here")
    return found
