"""Reads the facts of a host that have no limit. What has another form than expected is None, and named in `not_told`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields

from pytest_deploygate.checks.hosts.facts import Details
from pytest_deploygate.checks.hosts.probe.commands import KERNEL_SETTINGS

_MOST = 60
#: The settings of sshd_config(5) that bear on access.
_OF_SSHD = (
    r"(?i)^[ \t]*((?:permitrootlogin|passwordauthentication|kbdinteractiveauthentication|permitemptypasswords"
    r"|pubkeyauthentication|allowtcpforwarding|x11forwarding|maxstartups|allowusers|allowgroups|match)[ \t=].*)$"
)


def details(parts: Mapping[str, str]) -> Details:
    """Return what a host said."""

    def line(name: str, pattern: str = r"(.+)") -> str | None:
        found = re.search(pattern, parts.get(name, ""), re.MULTILINE)
        return " ".join(found[1].split()) if found else None

    def number(name: str, pattern: str = r"^\s*(\d+)") -> int | None:
        found = line(name, pattern)
        return int(found) if found else None

    def each(name: str, pattern: str) -> tuple[str, ...] | None:
        if name not in parts:
            return None
        words = re.findall(pattern, parts[name], re.MULTILINE)
        return tuple(dict.fromkeys(" ".join(word.split()) for word in words))[:_MOST]

    found: dict[str, object] = {
        "login": line("login"),
        "init": line("init"),
        "architecture": line("architecture"),
        "processor": line("processor", r":\s*(.+)"),
        "virtualisation": line("virtualisation"),
        "cgroup": line("cgroup"),
        "newest_kernel": newest(parts.get("kernels", "").split()),
        "load": _floats(line("load", r"^([\d.]+ [\d.]+ [\d.]+) ")),
        "pressure_percent": _floats(" ".join(re.findall(r"some avg10=([\d.]+)", parts.get("pressure", "")))),
        "processes": number("load", r"\d+/(\d+) "),
        "memory_available_kb": number("memory", r"^MemAvailable:\s+(\d+) kB"),
        "swap_kb": number("memory", r"^SwapTotal:\s+(\d+) kB"),
        "swap_free_kb": number("memory", r"^SwapFree:\s+(\d+) kB"),
        "out_of_memory_kills": number("vmstat", r"^oom_kill (\d+)"),
        "open_files": number("open_files"),
        "open_files_limit": line("open_files_limit", r"^(\w+ of \w+)$"),
        "listening": _listening(parts.get("listening", "")),
        "established": _established(parts.get("connections", "")),
        "conntrack": _numbers(line("conntrack", r"^(\d+\n\d+)$")),
        "addresses": each("addresses", r"inet6? (?:addr:)?\s*([0-9a-f.:]+(?:/\d+)?)"),
        "default_route": line("default_route"),
        "name_servers": each("name_servers", r"^nameserver\s+(\S+)"),
        "time_zone": line("clock", r"^\S+ ([A-Z+-]\S* [+-]\d{4})$"),
        "packages": number("packages") or None,  # no host has none: the list could not be read
        "failed_units": _units(parts.get("failed_units")),
        "degraded_arrays": _degraded(parts.get("arrays")),
        "security_module": line("security_module"),
        "sshd": each("sshd", _OF_SSHD),
        "accounts_of_root": each("accounts", r"^([^:]+):[^:]*:0:"),
        "logged_in": _logged_in(parts.get("logged_in", "")),
        "kernel_settings": _kernel_settings(parts),
        "huge_pages": line("huge_pages", r"\[(\w+)\]"),
    }
    names = [field.name for field in fields(Details) if field.name in found]
    return Details(**found, not_told=tuple(name for name in names if found[name] is None))  # type: ignore[arg-type]


def newest(versions: Iterable[str]) -> str | None:
    """Return the newest of the kernels that are installed, as `sort -V` orders them."""
    return max((version for version in versions if version[:1].isdigit()), key=ordered, default=None)


def ordered(version: str) -> tuple[tuple[int, int | str], ...]:
    """Return a key that orders versions by their numbers: 6.1.0-9 before 6.1.0-18."""
    return tuple(
        (1, int(part)) if part.isdigit() else (0, part) for part in re.findall(r"\d+|[a-z]+", version)
    )


def _floats(text: str | None) -> tuple[float, ...] | None:
    return tuple(map(float, text.split())) if text else None


def _numbers(text: str | None) -> tuple[int, ...] | None:
    return tuple(map(int, text.split())) if text else None


def _listening(text: str) -> int | None:
    """Return how many TCP sockets listen: lines of `ss`, which end with a dot, or of /proc/net/tcp in the state 0A."""
    if text.endswith("."):
        return len(text.splitlines()) - 1
    return len(re.findall(r" 0A ", text)) if "local_address" in text else None


def _established(text: str) -> int | None:
    """Return the number of TCP connections, from the names and the values of /proc/net/snmp."""
    rows = [row.split() for row in text.splitlines() if row.startswith("Tcp:")]
    if len(rows) != 2 or "CurrEstab" not in rows[0]:
        return None
    found = dict(zip(*rows, strict=False)).get("CurrEstab", "")
    return int(found) if found.isdigit() else None


def _logged_in(text: str) -> int | None:
    return len(text.splitlines()) - 1 if text.endswith(".") else None


def _kernel_settings(parts: Mapping[str, str]) -> tuple[str, ...] | None:
    found = [f"{name}:{' '.join(parts[name].split())}" for name in KERNEL_SETTINGS if name in parts]
    return tuple(found) or None


def _units(text: str | None) -> tuple[str, ...] | None:
    """Return the units that systemd lists as failed; None without systemd, or if it did not answer."""
    if text is None or not text.endswith("."):
        return None
    return tuple(row.split()[0] for row in text.splitlines()[1:-1] if row.split())


def _degraded(text: str | None) -> tuple[str, ...] | None:
    """Return the software RAID arrays (md) with a disk missing; `[U_]` in /proc/mdstat."""
    if text is None or "unused devices" not in text:  # its last line
        return None
    found, name = dict[str, None](), ""
    for row in text.splitlines():
        if begins := re.match(r"(\S+) : ", row):
            name = begins[1]
        elif name and (disks := re.search(r"\[([U_]+)\]$", row.rstrip())) and "_" in disks[1]:
            found[name] = None
    return tuple(found)
