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


@dataclass(frozen=True, slots=True)
class Details:
    """What has no limit, and is in the evidence for people. `not_told` are the names of those that the host cannot tell.

    `pressure_percent` is the share of the last 10 s in which something waited for processors, memory and disks. Of `sshd` are
    the settings that bear on access, as its configuration files have them: what is left out has its default, and of several the
    first counts. `conntrack` is used of all.
    """

    login: str | None = None
    init: str | None = None
    architecture: str | None = None
    processor: str | None = None
    virtualisation: str | None = None
    cgroup: str | None = None
    newest_kernel: str | None = None
    load: tuple[float, ...] | None = None
    pressure_percent: tuple[float, ...] | None = None
    processes: int | None = None
    memory_available_kb: int | None = None
    swap_kb: int | None = None
    swap_free_kb: int | None = None
    out_of_memory_kills: int | None = None
    open_files: int | None = None
    open_files_limit: str | None = None
    listening: int | None = None
    established: int | None = None
    conntrack: tuple[int, ...] | None = None
    addresses: tuple[str, ...] | None = None
    default_route: str | None = None
    name_servers: tuple[str, ...] | None = None
    time_zone: str | None = None
    packages: int | None = None
    failed_units: tuple[str, ...] | None = None
    degraded_arrays: tuple[str, ...] | None = None
    security_module: str | None = None
    sshd: tuple[str, ...] | None = None
    accounts_of_root: tuple[str, ...] | None = None
    logged_in: int | None = None
    kernel_settings: tuple[str, ...] | None = None
    huge_pages: str | None = None
    not_told: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Machine:
    """What one host says of itself. `systemd_silent`: it has systemd, which did not list its failed mounts.

    `not_looked_at` are mounts that `df` may not look at.
    """

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
    not_looked_at: tuple[str, ...] = ()
    details: Details = Details()


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
