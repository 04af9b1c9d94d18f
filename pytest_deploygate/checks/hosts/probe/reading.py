"""Reads the parts of a host's answer. What has another form than expected is None: the host could not tell."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pytest_deploygate.checks.hosts.facts import FileSystem, Machine, Offset
from pytest_deploygate.checks.hosts.probe.details import details
from pytest_deploygate.lazy import dataclass

_EPOCH = re.compile(r"(\d+)(?:\.(\d{1,9}))?\D*")
#: Identifiers that machines without one have in common. Source: systemd's machine-id(5), and firmware that was not set.
_NO_ID = re.compile(r"uninitialized|[0f-]+|03000200-0400-0500-0006-000700080009|not .*", re.IGNORECASE)
#: Kinds of file systems that are not storage: their free space means nothing.
_NO_STORAGE = re.compile(
    r"proc|sysfs|cgroup2?|devpts|devtmpfs|mqueue|securityfs|debugfs|tracefs|bpf|pstore|configfs|fusectl|autofs|hugetlbfs"
    r"|nsfs|binfmt_misc|rpc_pipefs|efivarfs|ramfs|squashfs|iso9660|erofs|fuse\.(lxcfs|snapfuse|portal)"
)
#: Entries that need not be mounted.
_OPTIONS_OFF = frozenset({"noauto", "x-systemd.automount", "nofail"})
#: Device, blocks or inodes in all, used and available, share, mount point.
_DF = re.compile(r"(.+?)\s+(\d+)\s+(\d+)\s+(-?\d+)\s+(?:\d+%|-)\s+(/.*)")
_ESCAPED = re.compile(r"\\([0-7]{3})")
#: Where the kernel shows itself.
_OF_THE_KERNEL = ("/proc/", "/sys/")
_UNLIMITED_KB = 1 << 50


def machine(parts: Mapping[str, str], asked_s: float, answered_s: float) -> Machine:
    """Return what a host said of itself. The times are ours (seconds of the epoch), before the question and after the answer."""
    mounts = _mounts(parts.get("mounts"))
    wanted = _fstab(parts.get("fstab"))
    return Machine(
        boot_id=_identifier(parts.get("boot_id")),
        machine_id=_identifier(parts.get("machine_id")),
        instance_id=_identifier(parts.get("instance_id")),
        hostname=parts.get("hostname"),
        system=parts.get("system"),
        kernel=parts.get("kernel"),
        release=_release(parts.get("release")),
        cpus=_cpus(parts),
        memory_kb=_memory_kb(parts),
        file_systems=_file_systems(parts, mounts, wanted),
        not_mounted=_not_mounted(mounts, wanted),
        inodes_told=_ended(parts.get("inodes")) and bool(_df(parts["inodes"])),
        failed_mounts=_failed(parts.get("failed_mounts")),
        systemd_silent="failed_mounts" in parts and _failed(parts["failed_mounts"]) is None,
        clock=offset(parts.get("clock"), parts.get("clock_after"), asked_s, answered_s),
        clock_synchronised=_flag(parts.get("synchronised"), "NTPSynchronized=yes", "NTPSynchronized=no"),
        since_boot_s=_number(parts.get("uptime", "").split(" ")[0]),
        reboot_pending=_flag(parts.get("reboot"), "yes", "no"),
        not_looked_at=_not_looked_at(parts, mounts),
        details=details(parts),
    )


def offset(first: str | None, last: str | None, asked_s: float, answered_s: float) -> Offset | None:
    """Return the bounds of the clock's offset; None if the host printed no time.

    The first reading was taken after `asked_s`, the last one before `answered_s`. A `date` without fractions of a second
    (busybox) shows the second in which it was read.
    """
    begun, ended = _epoch(first), _epoch(last)
    if begun is None or ended is None:
        return None
    low, high = ended[0] - answered_s, begun[0] + begun[1] - asked_s
    return Offset(min(low, high), max(low, high))


def _epoch(text: str | None) -> tuple[float, float] | None:
    """Return a time and its resolution, in seconds."""
    found = _EPOCH.fullmatch((text or "").partition(" ")[0])  # then the time zone
    if not found:
        return None
    digits = found[2] or ""
    return float(f"{found[1]}.{digits or 0}"), 10.0 ** -len(digits)


def _identifier(text: str | None) -> str | None:
    """Return an identifier in lower case; None for one that many machines share."""
    return None if not text or _NO_ID.fullmatch(text) else text.lower()


def _release(text: str | None) -> str | None:
    """Return ID and VERSION_ID of os-release(5), such as `debian 12`."""
    pairs = dict(line.partition("=")[::2] for line in (text or "").splitlines())
    words = [pairs.get(key, "").strip().strip("\"'") for key in ("ID", "VERSION_ID")]
    return " ".join(word for word in words if word) or None


def _cpus(parts: Mapping[str, str]) -> int | None:
    """Return the number of processors, or of those that a container may use, rounded down to at least one."""
    found = _listed(parts.get("cpus_online", "")) or _whole(parts.get("cpus"))
    quota, _, period = parts.get("cpu_limit", "").partition(" ")
    limit, each = _whole(quota), _whole(period)
    if found is None or limit is None or not each:
        return found
    return min(found, max(1, limit // each))


def _listed(text: str) -> int | None:
    """Count a list of processors such as `0-3,8` (/sys/devices/system/cpu/online)."""
    if not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", text):
        return None
    ranges = [part.partition("-") for part in text.split(",")]
    return sum(int(last or first) - int(first) + 1 for first, _, last in ranges)


def _memory_kb(parts: Mapping[str, str]) -> int | None:
    total = re.search(r"^MemTotal:\s+(\d+) kB", parts.get("memory", ""), re.MULTILINE)
    if not total:
        return None
    limit = _whole(parts.get("memory_limit"))
    return min(int(total[1]), limit // 1024 if limit is not None else _UNLIMITED_KB)


@dataclass(frozen=True)
class _Mount:
    kind: str
    options: frozenset[str]

    @property
    def read_only(self) -> bool:
        return "ro" in self.options


def _mounts(text: str | None) -> dict[str, _Mount] | None:
    """Read /proc/mounts; a mount over another one hides it, so the last one counts."""
    if text is None:
        return None
    found = {}
    for fields in _fields(text, 4):
        found[_unescaped(fields[1])] = _Mount(fields[2], frozenset(fields[3].split(",")))
    return found


def _fstab(text: str | None) -> dict[str, _Mount]:
    """Read /etc/fstab (fstab(5)) without swap. A host without one asks for nothing."""
    found = {}
    for fields in _fields(text or "", 3):
        options = frozenset(fields[3].split(",")) if len(fields) > 3 else frozenset[str]()
        if fields[1].startswith("/"):
            found[_unescaped(fields[1]).rstrip("/") or "/"] = _Mount(fields[2], options)
    return found


def _fields(text: str, least: int) -> list[list[str]]:
    lines = (line.split() for line in text.splitlines() if not line.lstrip().startswith("#"))
    return [fields for fields in lines if len(fields) >= least]


def _unescaped(word: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)), word)


def _not_mounted(mounts: Mapping[str, _Mount] | None, wanted: Mapping[str, _Mount]) -> tuple[str, ...] | None:
    if mounts is None:
        return None
    return tuple(
        place for place, mount in wanted.items() if place not in mounts and not mount.options & _OPTIONS_OFF
    )


def _failed(text: str | None) -> tuple[str, ...] | None:
    """Return the units that systemd lists; None without systemd."""
    if text is None or not text.endswith("."):
        return None
    return tuple(line.split()[0] for line in text.splitlines()[1:-1] if line.split())


def _file_systems(
    parts: Mapping[str, str], mounts: Mapping[str, _Mount] | None, wanted: Mapping[str, _Mount]
) -> tuple[FileSystem, ...] | None:
    """Return the file systems that have a size, each once; None if the mounts could not be read, or `df` was cut off.

    busybox prints line by line, so what comes after a mount that hangs would be missing.
    """
    if mounts is None or not _ended(parts.get("space")):
        return None
    inodes = {mount: numbers for _, mount, numbers in _df(parts.get("inodes", ""))}
    found: dict[tuple[str, int, int], FileSystem] = {}
    for device, mount, (size, _, free) in _df(parts["space"]):
        here = mounts.get(mount)
        if here is None or size <= 0 or _NO_STORAGE.fullmatch(here.kind) or mount.startswith(_OF_THE_KERNEL):
            continue
        total, _, left = inodes.get(mount, (0, 0, 0))
        asked = wanted.get(mount)
        one = FileSystem(
            mount=mount,
            kind=here.kind,
            size_kb=size,
            free_kb=max(0, free),
            inodes=total or None,
            free_inodes=left if total else None,
            read_only=here.read_only,
            writable_by_fstab=asked is not None and not asked.read_only,
        )
        # A bind mount shows its device a second time; file systems without a device (tmpfs) are each their own.
        key = (device, size, free) if device.startswith("/dev/") else (mount, size, free)
        found.setdefault(key, one)
    return tuple(found.values())


def _not_looked_at(parts: Mapping[str, str], mounts: Mapping[str, _Mount] | None) -> tuple[str, ...]:
    """Return the mounts of which `df` printed nothing because it may not look at them: it exited with 1.

    It prints a device once, whatever the number of its mounts, so those of a device that it printed are none of them.
    An overlay has no space of its own.
    """
    if mounts is None or (parts.get("space") or "").rpartition("ended ")[2].strip() != "1":
        return ()
    printed = {mount for _, mount, _ in _df(parts["space"])}
    # Device number and mount point. Source: proc(5), mountinfo.
    devices = {_unescaped(fields[4]): fields[2] for fields in _fields(parts.get("devices", ""), 5)}
    known = {devices[mount] for mount in printed if mount in devices}
    return tuple(
        mount
        for mount, is_ in mounts.items()
        if mount not in printed
        and devices.get(mount) not in known
        and is_.kind != "overlay"
        and not _NO_STORAGE.fullmatch(is_.kind)
        and not mount.startswith(_OF_THE_KERNEL)
    )


def _ended(text: str | None) -> bool:
    """Tell whether `df` ran to its end. It exits with 1 where it may not look at a mount, and prints all others."""
    return (text or "").rpartition("ended ")[2].strip() in ("0", "1")


def _df(text: str) -> list[tuple[str, str, tuple[int, int, int]]]:
    """Read `df -P`: device, mount point, and total, used and available. The mount point may contain spaces."""
    read = (_DF.match(line) for line in text.splitlines()[1:])
    return [(r[1], r[5], (int(r[2]), int(r[3]), int(r[4]))) for r in read if r]


def _flag(text: str | None, yes: str, no: str) -> bool | None:
    return {yes: True, no: False}.get(text or "")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _whole(text: str | None) -> int | None:
    words: Sequence[str] = (text or "").split()
    return int(words[0]) if words and words[0].isdigit() else None
