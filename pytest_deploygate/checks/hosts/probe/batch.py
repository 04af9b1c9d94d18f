"""One script asks a host for everything, and its output is read back by name.

It is written for a POSIX shell with the tools of Debian, RHEL or busybox (Alpine). A fact that a host cannot tell is
missing from the answer. Each part begins with a line of a mark and its name, so that banners and messages of login
scripts are not mistaken for facts; without the last part the answer was cut off.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

BEGIN, END = "begin", "end"
#: What may hang (a file system whose server is gone) ends after this time, where the host has `timeout`.
_EACH_S = 5

CLOCK = "date -u +%s.%N"
#: Name of the fact and the command that prints it. `$T` ends a command that hangs.
COMMANDS = {
    "clock": CLOCK,
    "boot_id": "cat /proc/sys/kernel/random/boot_id",
    "machine_id": "cat /etc/machine-id",
    "instance_id": "cat /var/lib/cloud/data/instance-id || cat /sys/class/dmi/id/product_uuid",
    "hostname": "uname -n",
    "system": "uname -s",
    "kernel": "uname -r",
    "release": "cat /etc/os-release || cat /usr/lib/os-release",
    "cpus": "getconf _NPROCESSORS_ONLN || nproc",
    "cpu_limit": "cat /sys/fs/cgroup/cpu.max",
    "memory": "cat /proc/meminfo",
    "memory_limit": "cat /sys/fs/cgroup/memory.max",
    "space": "$T df -P -k; echo ended $?",
    "inodes": "$T df -P -i; echo ended $?",
    "mounts": "cat /proc/mounts",
    "fstab": "cat /etc/fstab",
    "failed_mounts": (
        "[ -d /run/systemd/system ] && echo systemd && $T systemctl list-units --type=mount --state=failed --plain --no-legend && echo ."
    ),
    "synchronised": "[ -d /run/systemd/system ] && $T timedatectl show -p NTPSynchronized",
    "uptime": "cat /proc/uptime",
    "reboot": (
        "if [ -e /run/reboot-required ] || [ -e /var/run/reboot-required ]; then echo yes; "
        "elif command -v needs-restarting >/dev/null; then $T needs-restarting -r >/dev/null; "
        "case $? in 0) echo no;; 1) echo yes;; esac; "
        "elif [ -e /etc/debian_version ]; then echo no; fi"
    ),
    "clock_after": CLOCK,
}


def script(mark: str) -> str:
    """Return the script, which prints `MARK NAME` before each part."""
    lines = [
        # Messages and numbers in their C form; the directories of system tools; nothing is read from a terminal.
        "LC_ALL=C; LANG=C; export LC_ALL LANG; PATH=$PATH:/usr/sbin:/sbin; exec </dev/null",
        f"T=; if timeout {_EACH_S} true 2>/dev/null; then T='timeout {_EACH_S}'; fi",
        f"say() {{ echo; echo {shlex.quote(mark)} $1; }}",
        f"say {BEGIN}",
    ]
    lines += [f"say {name}; {{ {command}; }} 2>/dev/null" for name, command in COMMANDS.items()]
    return "\n".join([*lines, f"say {END}"])


@dataclass(frozen=True, slots=True)
class Answered:
    """The parts of an answer by name; empty ones are left out. `whole` is false if it was cut off.

    `began` is false if the script did not run at all; `before` is then what the host printed instead.
    """

    parts: Mapping[str, str]
    whole: bool
    began: bool
    before: str


def parts(output: str, mark: str) -> Answered:
    """Read the output of the script."""
    before: list[str] = []
    found: dict[str, list[str]] = {}
    current = before
    for line in output.replace("\r\n", "\n").split("\n"):
        if line.startswith(f"{mark} "):
            current = found.setdefault(line[len(mark) + 1 :].strip(), [])
        else:
            current.append(line)
    kept = {name: text for name, lines in found.items() if (text := "\n".join(lines).strip())}
    return Answered(kept, END in found, BEGIN in found, " ".join(" ".join(before).split()))
