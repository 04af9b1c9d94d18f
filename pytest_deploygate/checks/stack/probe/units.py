"""Units of systemd, as `systemctl show` prints them.

Its blocks are parted by empty lines and not in the order asked for, and a unit may be asked for by an alias, so each block
is found by its names. An unknown unit is `inactive` with exit code 0; only LoadState tells. Source: systemctl(1),
org.freedesktop.systemd1(5).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping

from pytest_deploygate.checks.stack.facts import Seen, State
from pytest_deploygate.clients.host.shell import unit_properties

_PROPERTIES = (
    "Id,Names,LoadState,ActiveState,SubState,Type,Result,NRestarts,InvocationID,ActiveEnterTimestampMonotonic"
)
_NONE = "no systemctl"
_UP = ("active", "reloading", "refreshing")
_STARTING = ("activating", "maintenance")


def command(names: Iterable[str]) -> str:
    """Return the command that shows units."""
    return (
        f"if command -v systemctl >/dev/null; then systemctl show --no-pager --property={_PROPERTIES} -- "
        f"{shlex.join(names)} || echo 'exit code' $?; else echo {_NONE}; fi"
    )


def seen(name: str, text: str, uptime_s: float | None) -> Seen:
    """Return what one read saw of a unit."""
    if _NONE in text.splitlines():
        return Seen(State.UNKNOWN, "the host has no systemctl")
    for block in text.split("\n\n"):
        told = unit_properties(block.splitlines())
        if name in (told.get("Id"), *told.get("Names", "").split()):
            return _of(told, uptime_s)
    words = " ".join(text.split())[-160:]
    return Seen(State.UNKNOWN, f"systemctl does not tell its state{f': {words}' if words else ''}")


def _of(told: Mapping[str, str], uptime_s: float | None) -> Seen:
    load, active, sub = (told.get(key, "") for key in ("LoadState", "ActiveState", "SubState"))
    if load == "not-found":
        return Seen(State.DOWN, "there is no such unit on the host")
    if load != "loaded":
        return Seen(State.DOWN if load else State.UNKNOWN, f"its unit is {load or 'of an unknown state'}")
    result = told.get("Result", "success")
    said = f"{active} ({sub})" + (f", result {result}" if result != "success" else "")
    state = State.UP if active in _UP else State.STARTING if active in _STARTING else State.DOWN
    since_us = _number(told.get("ActiveEnterTimestampMonotonic"))
    since_s = uptime_s - since_us / 1e6 if uptime_s is not None and since_us and state is State.UP else None
    return Seen(state, said, told.get("InvocationID", ""), _number(told.get("NRestarts")), since_s)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None
