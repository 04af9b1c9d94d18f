"""Taking servers of a HAProxy backend out of traffic and back, through the runtime API ("show servers state")."""

from __future__ import annotations

import contextlib
import socket

from pytest_deploygate.inventory.rollback import Haproxy
from pytest_deploygate.rollback.verification import Verified

_TIMEOUT_S = 5.0
_ADMIN_MAINT = (
    0x01 | 0x02 | 0x20
)  # forced, inherited, by DNS: management guide, "show servers state", srv_admin_state


def plan(wanted: Haproxy) -> str:
    """Say what would be done, with how it is now."""
    return f"{'; '.join(_commands(wanted))} at {wanted.socket}; now: {verify(wanted).said}"


def switch(wanted: Haproxy) -> str:
    """Set the servers' states. Return what went wrong."""
    for command in _commands(wanted):
        try:
            said = _ask(wanted.socket, command)
        except OSError as error:
            return f"HAProxy at {wanted.socket} cannot be told: {error.strerror or error}"
        if said.strip():
            return f"HAProxy refused `{command}`: {said.strip()}"
    return ""


def verify(wanted: Haproxy) -> Verified:
    """Read the servers' administrative states."""
    try:
        lines = _ask(wanted.socket, f"show servers state {wanted.backend}").splitlines()
    except OSError as error:
        return Verified(False, f"HAProxy at {wanted.socket} cannot be asked: {error.strerror or error}")
    names = next((line.removeprefix("# ").split() for line in lines if line.startswith("# ")), [])
    rows = [dict(zip(names, line.split(), strict=False)) for line in lines[2:] if line.strip()]
    state = {row["srv_name"]: int(row["srv_admin_state"]) & _ADMIN_MAINT for row in rows if "srv_name" in row}
    bad = [f"there is no server {name} in {wanted.backend}" for name in _all(wanted) if name not in state]
    bad += [f"{name} is in maintenance" for name in wanted.ready if state.get(name)]
    bad += [f"{name} takes traffic" for name in wanted.maint if state.get(name) == 0]
    return Verified(not bad, "; ".join(bad) or f"{', '.join(_all(wanted))} as wanted")


def _commands(wanted: Haproxy) -> list[str]:
    ready = [f"set server {wanted.backend}/{name} state ready" for name in wanted.ready]
    return ready + [f"set server {wanted.backend}/{name} state maint" for name in wanted.maint]


def _all(wanted: Haproxy) -> list[str]:
    return [*wanted.ready, *wanted.maint]


def _ask(place: str, command: str) -> str:
    host, colon, port = place.rpartition(":")
    with contextlib.ExitStack() as stack:
        if colon and port.isdigit():
            connection = stack.enter_context(socket.create_connection((host, int(port)), _TIMEOUT_S))
        else:
            connection = stack.enter_context(socket.socket(socket.AF_UNIX))
            connection.settimeout(_TIMEOUT_S)
            connection.connect(place)
        connection.sendall(command.encode() + b"\n")
        connection.shutdown(socket.SHUT_WR)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts).decode(errors="replace")
