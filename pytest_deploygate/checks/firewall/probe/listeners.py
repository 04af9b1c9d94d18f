"""What a host listens on: `ss`, or the kernel's own tables where there is none."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_deploygate.checks.firewall.facts import Listener

COMMANDS = {
    "sockets": "ss -H -lntup && echo ended",
    "sockets_tcp": "cat /proc/net/tcp /proc/net/tcp6",
    "sockets_udp": "cat /proc/net/udp /proc/net/udp6",
    "ephemeral": "cat /proc/sys/net/ipv4/ip_local_port_range",
    "ipv6": "cat /proc/net/if_inet6; [ -d /proc/net ] && echo ended",
}
_PROCESS = re.compile(r'\(\("([^"]*)"')
#: A row of /proc/net/tcp: number, local address and port, remote address and port, state. Source: proc(5).
_ROW = re.compile(r"\s*\d+: ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) [0-9A-F]+:([0-9A-F]{4}) ([0-9A-F]{2}) ")
_LISTENING = {"tcp": "0A", "udp": "07"}


def read(parts: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of `HostSide` that these commands tell."""
    found: dict[str, Any] = {"listeners": _listeners(parts), "has_ipv6": _has_ipv6(parts)}
    match parts.get("ephemeral", "").split():
        case [first, last] if first.isdigit() and last.isdigit():
            found["ephemeral"] = (int(first), int(last))
    return found


def _listeners(parts: Mapping[str, str]) -> tuple[Listener, ...] | None:
    said = parts.get("sockets", "").splitlines()
    if said and said[-1] == "ended":
        each = [_of_ss(line) for line in said[:-1]]
        if None in each:  # another form than we know: the kernel's tables tell as well
            return _of_kernel(parts)
        found = [one for one in each if one is not None]
    else:
        return _of_kernel(parts)
    return _from_outside(found)


def _of_kernel(parts: Mapping[str, str]) -> tuple[Listener, ...] | None:
    if "sockets_tcp" not in parts:
        return None
    return _from_outside(
        [
            listener
            for transport in ("tcp", "udp")
            for line in parts.get(f"sockets_{transport}", "").splitlines()
            for listener in _of_row(transport, line)
        ]
    )


def _from_outside(found: list[Listener]) -> tuple[Listener, ...]:
    """Leave out what only the host itself reaches."""
    kept = [each for each in found if not _loopback(each.address)]
    return tuple(sorted(dict.fromkeys(kept), key=lambda each: (each.transport, each.port, each.address)))


def _of_ss(line: str) -> Listener | None:
    """Read a line such as `tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=1,fd=3))`."""
    words = line.split(None, 6)
    if len(words) < 6 or words[0] not in ("tcp", "udp"):
        return None
    address, colon, port = words[4].rpartition(":")
    if not colon or not port.isdigit():
        return None
    process = _PROCESS.search(words[6]) if len(words) > 6 else None
    return Listener(words[0], address.partition("%")[0].strip("[]"), int(port), process[1] if process else "")


def _of_row(transport: str, line: str) -> Iterator[Listener]:
    row = _ROW.match(line)
    if row and row[4] == _LISTENING[transport] and int(row[3], 16) == 0:
        yield Listener(transport, _address(row[1]), int(row[2], 16))


def _address(words: str) -> str:
    """Read an address as the kernel prints it: words of 32 bits, each in the byte order of the machine (little endian)."""
    raw = b"".join(bytes.fromhex(words[at : at + 8])[::-1] for at in range(0, len(words), 8))
    return str(ipaddress.ip_address(raw))


def _loopback(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:  # `*`: all of them
        return False
    return found.is_loopback or bool(
        isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped and found.ipv4_mapped.is_loopback
    )


def _has_ipv6(parts: Mapping[str, str]) -> bool | None:
    said = parts.get("ipv6", "").splitlines()
    if not said or said[-1] != "ended":
        return None
    return any(line.split()[-1] != "lo" for line in said[:-1])
