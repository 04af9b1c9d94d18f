"""Taking servers of a HAProxy backend out of traffic and back, through the runtime API ("show servers state")."""

from __future__ import annotations

from pytest_deploygate.checks.way_back.section.rollback import Haproxy
from pytest_deploygate.clients import haproxy as haproxy_socket
from pytest_deploygate.rollback.verification import Verified

_ADMIN_MAINT = (
    0x01 | 0x02 | 0x20
)  # forced, inherited, by DNS: management guide, "show servers state", srv_admin_state


def plan(wanted: Haproxy) -> Verified:
    """Describe what would be done and the current state. Good only if HAProxy answers and knows every server."""
    would = f"{'; '.join(_commands(wanted))} at {wanted.socket}"
    try:
        state = _states(wanted)
    except OSError as error:
        return Verified(False, f"would {would}; but it cannot be queried: {error.strerror or error}")
    unknown = [name for name in _all(wanted) if name not in state]
    if unknown:
        return Verified(False, f"would {would}; but {wanted.backend} has no server {unknown[0]}")
    return Verified(True, f"{would}; now: {verify(wanted).said}")


def switch(wanted: Haproxy) -> str:
    """Set the servers' states. Return what went wrong."""
    for command in _commands(wanted):
        try:
            said = haproxy_socket.ask(wanted.socket, command)
        except OSError as error:
            return f"cannot send a command to HAProxy at {wanted.socket}: {error.strerror or error}"
        if said.strip():
            return f"HAProxy refused `{command}`: {said.strip()}"
    return ""


def verify(wanted: Haproxy) -> Verified:
    """Read the servers' administrative states."""
    try:
        state = _states(wanted)
    except OSError as error:
        return Verified(False, f"HAProxy at {wanted.socket} cannot be queried: {error.strerror or error}")
    bad = [f"{wanted.backend} has no server {name}" for name in _all(wanted) if name not in state]
    bad += [f"{name} is in maintenance" for name in wanted.ready if state.get(name)]
    bad += [f"{name} receives traffic" for name in wanted.maint if state.get(name) == 0]
    return Verified(not bad, "; ".join(bad) or f"{', '.join(_all(wanted))} as wanted")


def _states(wanted: Haproxy) -> dict[str, int]:
    """Return each server's maintenance flags, 0 where it receives traffic. Raises OSError."""
    lines = haproxy_socket.ask(wanted.socket, f"show servers state {wanted.backend}").splitlines()
    names = next((line.removeprefix("# ").split() for line in lines if line.startswith("# ")), [])
    rows = [dict(zip(names, line.split(), strict=False)) for line in lines[2:] if line.strip()]
    return {row["srv_name"]: int(row["srv_admin_state"]) & _ADMIN_MAINT for row in rows if "srv_name" in row}


def _commands(wanted: Haproxy) -> list[str]:
    ready = [f"set server {wanted.backend}/{name} state ready" for name in wanted.ready]
    return ready + [f"set server {wanted.backend}/{name} state maint" for name in wanted.maint]


def _all(wanted: Haproxy) -> list[str]:
    return [*wanted.ready, *wanted.maint]
