"""Faults of the servers."""

from __future__ import annotations

import shlex
import uuid

from pytest_deploygate.lab import client
from pytest_deploygate.lab.faults import Change, Fault
from pytest_deploygate.lab.services import hosts
from pytest_deploygate.lab.state import Lab

_ITEMS = {"infra.servers": "fail"}
_NEEDS = hosts.NAMES
_FILL = f"{hosts.DATA}/fill"
_SMALL_FILES = f"{hosts.DATA}/small"
_NOT_THERE = "LABEL=archive /archive ext4 defaults 0 2\n"


def _stop(lab: Lab) -> None:
    hosts.stop(lab, "host4")


def _start(lab: Lab) -> None:
    client.start(lab, "host4")


def _same(file: str) -> tuple[Change, Change]:
    def copy(lab: Lab) -> None:
        hosts.write(lab, "host3", file, hosts.read(lab, "host2", file))

    def renew(lab: Lab) -> None:
        if hosts.read(lab, "host3", file) == hosts.read(lab, "host2", file):
            new = uuid.uuid4()
            hosts.write(lab, "host3", file, f"{new.hex if file == 'machine-id' else new}\n")

    return copy, renew


def _clock_ahead(lab: Lab) -> None:
    """Put a `date` that is 3 s ahead in place of the host's: its clock is that of this machine."""
    own = hosts.folder(lab, "host1")
    hosts.inside(lab, "host1", f"cp /bin/date {shlex.quote(str(own / 'date'))}")
    wrapper = own / "date-ahead"
    wrapper.write_text(f"#!/bin/sh\nexec {shlex.quote(str(own / 'date'))} -d '3 seconds' \"$@\"\n")
    wrapper.chmod(0o755)
    hosts.inside(lab, "host1", f"mount --bind {shlex.quote(str(wrapper))} /bin/date")


def _clock_right(lab: Lab) -> None:
    hosts.inside(lab, "host1", "while umount /bin/date 2>/dev/null; do :; done")


def _asked_for(lab: Lab) -> None:
    hosts.write(lab, "host2", "fstab", hosts.read(lab, "host2", "fstab") + _NOT_THERE)


def _not_asked_for(lab: Lab) -> None:
    hosts.write(lab, "host2", "fstab", hosts.read(lab, "host2", "fstab").replace(_NOT_THERE, ""))


def _inodes(lab: Lab) -> None:
    script = f"mkdir -p {_SMALL_FILES} && cd {_SMALL_FILES} && i=0; while [ $i -lt 1000 ] && true >$i; do i=$((i+1)); done 2>/dev/null; true"
    hosts.inside(lab, "host3", script)


DOWN = Fault(
    "host-down",
    "the SSH server of host4 is stopped",
    {**_ITEMS, "sec.secrets": "inconclusive"},
    _stop,
    _start,
    says="host4",
    tests=("test_servers_show_no_secret",),
    needs=_NEEDS,
)
TWO_NAMES = Fault(
    "host-two-names",
    "host2 and host3 are one machine: they have the same boot id",
    _ITEMS,
    *_same("boot_id"),
    says="host2 and host3 are one machine",
    needs=_NEEDS,
)
CLONED = Fault(
    "host-cloned",
    "host3 was cloned from host2: they have the same machine id",
    _ITEMS,
    *_same("machine-id"),
    says="copies of one image",
    needs=_NEEDS,
)
DISK_FULL = Fault(
    "host-disk-full",
    f"{hosts.DATA} of host3 is full",
    _ITEMS,
    lambda lab: hosts.inside(
        lab, "host3", f"umask 077; head -c 9000000 /dev/zero >{_FILL} 2>/dev/null || true"
    ),
    lambda lab: hosts.inside(lab, "host3", f"rm -f {_FILL}"),
    says="free space",
    needs=_NEEDS,
)
INODES = Fault(
    "host-inodes",
    f"{hosts.DATA} of host3 has many small files: its space is free, its inodes are used up",
    _ITEMS,
    _inodes,
    lambda lab: hosts.inside(lab, "host3", f"rm -rf {_SMALL_FILES}"),
    says="free inodes",
    needs=_NEEDS,
)
READ_ONLY = Fault(
    "host-read-only",
    f"{hosts.DATA} of host1 was mounted again read-only, as after an error of its disk",
    _ITEMS,
    lambda lab: hosts.inside(lab, "host1", f"mount -o remount,ro {hosts.DATA}"),
    lambda lab: hosts.inside(lab, "host1", f"mount -o remount,rw {hosts.DATA}"),
    says="read-only",
    needs=_NEEDS,
)
NOT_MOUNTED = Fault(
    "host-not-mounted",
    "/etc/fstab of host2 has a file system that is not mounted",
    _ITEMS,
    _asked_for,
    _not_asked_for,
    says="/archive",
    needs=_NEEDS,
)
CLOCK = Fault(
    "host-clock",
    "the clock of host1 is 3 s ahead",
    _ITEMS,
    _clock_ahead,
    _clock_right,
    says="ahead of ours",
    needs=_NEEDS,
)
