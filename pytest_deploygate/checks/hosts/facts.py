"""Measurements of servers, as frozen values: no I/O, no limits. A field is None if the host could not tell."""

from __future__ import annotations

from pytest_deploygate.judging.silent_hosts import Failure
from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class FileSystem:
    """A mounted file system that has a size. `inodes` is None if it does not count them.

    `read_only` is true if it is mounted so; `writable_by_fstab` if /etc/fstab asks for a writable one.
    """

    mount: str
    kind: str
    size_kb: int
    free_kb: int
    inodes: int | None = None
    free_inodes: int | None = None
    read_only: bool = False
    writable_by_fstab: bool = False

    @property
    def free_percent(self) -> float:
        """Free space for ordinary users."""
        return 100.0 * self.free_kb / self.size_kb

    @property
    def free_inodes_percent(self) -> float | None:
        """Free inodes; None if they are not counted."""
        return 100.0 * (self.free_inodes or 0) / self.inodes if self.inodes else None


@dataclass(frozen=True)
class Offset:
    """Bounds of a clock's offset from ours, in seconds; positive: the host's clock is ahead.

    The host read its clock at some time between our question and its answer, so the offset is known only within that
    time, and within the resolution of what the host printed.
    """

    low_s: float
    high_s: float

    @property
    def middle_s(self) -> float:
        """The middle of the bounds."""
        return (self.low_s + self.high_s) / 2

    @property
    def within_s(self) -> float:
        """Half the distance of the bounds: the uncertainty."""
        return (self.high_s - self.low_s) / 2


@dataclass(frozen=True)
class Machine:
    """What one host says of itself. `systemd_silent`: it has systemd, which did not list its failed mounts."""

    boot_id: str | None = None
    machine_id: str | None = None
    instance_id: str | None = None
    hostname: str | None = None
    system: str | None = None
    kernel: str | None = None
    release: str | None = None
    cpus: int | None = None
    memory_kb: int | None = None
    file_systems: tuple[FileSystem, ...] | None = None
    not_mounted: tuple[str, ...] | None = None
    failed_mounts: tuple[str, ...] | None = None
    inodes_told: bool = True
    systemd_silent: bool = False
    clock: Offset | None = None
    clock_synchronised: bool | None = None
    since_boot_s: float | None = None
    reboot_pending: bool | None = None


@dataclass(frozen=True)
class Answer:
    """One host of the inventory: what it said, or why it did not."""

    name: str
    roles: tuple[str, ...]
    failure_domain: str | None
    machine: Machine | None
    failure: Failure | None = None


@dataclass(frozen=True)
class Fleet:
    """All hosts of the inventory, in its order."""

    answers: tuple[Answer, ...]
