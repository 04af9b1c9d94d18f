"""Breaking and mending members of Patroni, as a power cut or a frozen machine does."""

from __future__ import annotations

import contextlib
import signal
import time
from pathlib import Path

import psycopg

from pytest_deploygate.lab import client, processes
from pytest_deploygate.lab.services.patroni_asked import on
from pytest_deploygate.lab.services.patroni_config import MEMBERS, apart, data
from pytest_deploygate.lab.services.patroni_machines import cable, disk, lacking, seen_data
from pytest_deploygate.lab.state import Lab, LabError

#: More segments of WAL than a server keeps.
_SEGMENTS = 40


def postmaster(lab: Lab, member: str) -> int:
    """Return the process of a member's PostgreSQL server. Raises LabError."""
    try:
        return int(
            ((seen_data(lab, member) if apart(lab) else data(lab, member)) / "postmaster.pid")
            .read_text()
            .splitlines()[0]
        )
    except (OSError, ValueError, IndexError):
        raise LabError(f"{member} has no PostgreSQL server that runs") from None


def crash(lab: Lab, member: str, receivers_frozen_s: float = 0.0) -> None:
    """Kill a member and its PostgreSQL server at once, as a power cut does.

    With `receivers_frozen_s` the other members' WAL receivers stand still for so long before that: what is acknowledged
    meanwhile is nowhere else, if commits wait for nobody.
    """
    others = [name for name in MEMBERS if name != member and receivers_frozen_s]
    receivers = [on(lab, name, "SELECT pid FROM pg_stat_wal_receiver") for name in others]
    frozen = [int(row[0]) for rows in receivers for row in rows]
    for pid in frozen:
        processes.send(pid, signal.SIGSTOP)
    time.sleep(receivers_frozen_s)
    server = postmaster(lab, member)
    client.stop(lab, member, signal.SIGKILL)
    # The children of a server end when it does, and no buffer is written.
    for pid in (server, *_children(server), *frozen):
        processes.send(pid, signal.SIGKILL)


def freeze(lab: Lab, member: str) -> None:
    """Freeze a member's Patroni and its whole PostgreSQL server (SIGSTOP)."""
    client.send(lab, member, signal.SIGSTOP)
    server = postmaster(lab, member)
    for pid in (server, *_children(server)):
        processes.send(pid, signal.SIGSTOP)


def cut(lab: Lab, member: str) -> None:
    """Pull the cable of a member's machine. Raises LabError."""
    _on_its_own(lab)
    cable(lab, member, plugged=False)


def fill(lab: Lab, member: str) -> None:
    """Leave a member's disk no free block, and let its server use up the segments of WAL that it has. Raises LabError.

    A busy server gets there in seconds; the lab's small load would take minutes.
    """
    _on_its_own(lab)
    disk(lab, member, full=True)
    with contextlib.suppress(psycopg.Error):  # it ends as soon as it has no segment left
        for _ in range(_SEGMENTS):
            on(
                lab,
                member,
                "SET synchronous_commit = local",
                "SELECT txid_current()",
                "SELECT pg_switch_wal()",
            )


def _on_its_own(lab: Lab) -> None:
    if not apart(lab):
        raise LabError(f"that cannot be done to one node alone: {lacking()}")


def mend(lab: Lab, member: str) -> None:
    """Continue a frozen member, start one that was killed, plug its cable in, give its disk its size back. Raises LabError.

    Nothing happens to one that is whole.
    """
    if apart(lab):
        cable(lab, member, plugged=True)
        disk(lab, member, full=False)
    with contextlib.suppress(LabError):
        server = postmaster(lab, member)
        if Path(f"/proc/{server}").exists():
            for pid in (*_children(server), server):
                processes.send(pid, signal.SIGCONT)
    if client.status(lab.folder)["servers"][member]["exit_code"] is None:
        client.send(lab, member, signal.SIGCONT)
    else:
        client.start(lab, member)


def reset(lab: Lab, member: str) -> None:
    """Kill a member, if it runs or is frozen, and start it again, as a machine that hung is reset. Raises LabError."""
    with contextlib.suppress(LabError):  # it is down already
        crash(lab, member)
    mend(lab, member)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
