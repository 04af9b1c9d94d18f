"""repmgr: its own commands on the node, and its state, which it prints as `repmgr service status --csv`.

Run by the tests with repmgr 5.3.3. Its state is asked because its exit code says nothing: it is 0 also where repmgrd is paused,
or a node is unreachable.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence

from pytest_deploygate.checks.replication.probe.managed.stated import Kind
from pytest_deploygate.fields.postgres import Node
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact

SWITCH = "ssh {node} repmgr standby switchover --siblings-follow"
STATE = "ssh {node} repmgr service status --csv"
#: After its server was restarted, a repmgrd takes seconds until it reports again.
_SETTLED_S = 15.0
#: repmgrd looks at its upstream each 2 s by default; one that has not for longer stands still. While it waits for the result
#: of an election, 60 s at most by default, it reports to see nothing.
_SILENT_S = 60
_ROLES = ("primary", "standby", "witness")
#: What a number in the answer means; -1 is unknown.
_FLAGS = {"1": True, "0": False, "-1": None}


@dataclass(frozen=True)
class Member:
    """A node as repmgr has it. None is unknown; `seen_s` is the time since repmgrd saw its upstream (None: never)."""

    name: str
    role: str
    running: bool | None
    watched: bool | None
    paused: bool | None
    priority: int
    seen_s: int | None


def parsed(said: str) -> list[Member]:
    """Parse what `repmgr service status --csv` prints. Raises CannotTell, with the line, for anything else."""
    found = [_member(line) for line in said.splitlines() if line.strip()]
    if not found:
        raise CannotTell("nothing, expected a line for each node")
    names = [member.name for member in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise CannotTell(f"{twice} twice")
    return found


def _member(line: str) -> Member:
    try:
        number, name, role, running, watched, process, paused, priority, seen, _ = next(csv.reader([line]))
        int(number), int(process)
        member = Member(
            name, role, _FLAGS[running], _FLAGS[watched], _FLAGS[paused], int(priority),
            None if seen == "-1" else int(seen),
        )  # fmt: skip
    except (ValueError, KeyError, csv.Error):
        member = None
    if member is None or not name or role not in _ROLES or (member.seen_s or 0) < 0:
        raise CannotTell(
            f"{redact(line)[:100]!r}, expected ten values as repmgr 5.1 and later do: id, name, role, running, repmgrd, "
            "process, paused, priority, upstream last seen, location"
        )
    return member


def unfit(
    members: Sequence[Member], nodes: Sequence[Node], leaders: Sequence[str], automatic: bool
) -> Iterator[str]:
    """Yield what speaks against a failover; `automatic` if repmgrd is to promote. `leaders` are asked of the servers."""
    known = {member.name: member for member in members}
    if strangers := [node.name for node in nodes if node.name not in known]:
        yield (
            f"repmgr does not know {_list(strangers)}, only {_list(known)}: register the node there, or name it as repmgr does"
        )
        return
    ours = [known[node.name] for node in nodes]
    theirs = [m for m in members if m not in ours and m.role != "witness" and m.priority > 0]
    if theirs:
        yield f"repmgr may promote {_list(m.name for m in theirs)}, which the inventory does not name"
    if silent := [m.name for m in ours if m.running is not True]:
        yield f"repmgr cannot reach {_list(silent)}"
    # A primary that failed stays one for repmgr until it rejoins.
    primaries = [m.name for m in ours if m.role == "primary" and m.running]
    if sorted(primaries) != sorted(leaders):
        yield (
            f"repmgr has {_list(primaries) or 'no node'} as primary, but the servers say {_list(leaders) or 'none of them'} is: "
            "see `repmgr cluster show`"
        )
    if automatic:
        yield from _repmgrd(
            [m for m in ours if m.running], [node.name for node in nodes if node.delayed or node.upstream]
        )


def _repmgrd(ours: Sequence[Member], aside: Sequence[str]) -> Iterator[str]:
    if ended := [m.name for m in ours if m.watched is False]:
        yield f"repmgrd does not run on {_list(ended)}: nobody would be promoted by it there"
    if paused := [m.name for m in ours if m.paused]:
        yield f"repmgrd is paused on {_list(paused)}: `repmgr service unpause` first"
    if unknown := [m.name for m in ours if m.watched is None or (m.watched and m.paused is None)]:
        yield f"whether repmgrd runs on {_list(unknown)} is unknown to repmgr"
    standbys = [m for m in ours if m.role == "standby" and m.watched]
    if blind := [m.name for m in standbys if m.seen_s is None]:
        yield f"repmgrd on {_list(blind)} does not see its upstream: look into its log"
    if silent := [f"{m.name} ({m.seen_s} s)" for m in standbys if m.seen_s and m.seen_s > _SILENT_S]:
        yield f"repmgrd has not looked at its upstream for long on {_list(silent)}: it stands still"
    if not any(m.role == "standby" and m.priority > 0 and m.name not in aside for m in ours):
        yield "no standby has a priority above 0: repmgrd promotes none"


def _list(names: Iterator[str] | Sequence[str] | dict[str, Member]) -> str:
    return ", ".join(names)


REPMGR = Kind(
    name="repmgr",
    promotes="repmgrd",
    switch=SWITCH,
    state=STATE,
    parsed=parsed,
    unfit=unfit,
    leads=lambda member: member.role == "primary" and bool(member.running),
    priority=lambda member: str(member.priority),
    settled_s=_SETTLED_S,
)
