"""pg_auto_failover: its command for a switchover, and the monitor's state, which `pg_autoctl show state --json` prints.

Run by the tests with pg_auto_failover 2.0. `pg_autoctl` finds the monitor by `PG_AUTOCTL_MONITOR`, or by the inventory's own
commands. The monitor promotes by itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from pytest_deploygate.checks.replication.probe.managed.stated import Kind
from pytest_deploygate.fields.postgres import Node
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact

SWITCH = "pg_autoctl perform promotion --name {node}"
STATE = "pg_autoctl show state --json"
#: By default the monitor looks at each node every 5 s, and a node reports every second; more while one catches up.
_SETTLED_S = 30.0
#: States in which a node takes writes. Without another node that counts, it is `wait_primary`, and commits wait for nobody.
_LEADING = ("primary", "wait_primary", "join_primary", "apply_settings", "single")


@dataclass(frozen=True)
class Member:
    """A node as the monitor has it: what the node reported and what it shall become; `healthy` None: not looked at yet."""

    name: str
    group: int
    reported: str
    assigned: str
    healthy: bool | None
    priority: int
    quorum: bool


def parsed(said: str) -> list[Member]:
    """Parse what `pg_autoctl show state --json` prints. Raises CannotTell for anything else."""
    try:
        rows = json.loads(said)
        found = [_member(row) for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise CannotTell(
            f"{redact(said.strip())[:100]!r}, expected a list of nodes as pg_auto_failover 2.0 does ({type(error).__name__}: "
            f"{redact(str(error))[:100]})"
        ) from None
    if not found:
        raise CannotTell("no node: the formation is empty, or another one")
    names = [member.name for member in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise CannotTell(f"{twice} twice")
    return found


def _member(row: dict[str, object]) -> Member:
    name, reported, assigned = row["nodename"], row["current_group_state"], row["assigned_group_state"]
    group, priority, quorum = row["group_id"], row["candidate_priority"], row["replication_quorum"]
    health = row["health"]
    if not all(isinstance(text, str) and text for text in (name, reported, assigned)):
        raise ValueError("a name or state is no text")
    if any(type(number) is not int for number in (group, priority, health)) or health not in (1, 0, -1):
        raise ValueError("a group, priority or health is no such number")
    if not isinstance(quorum, bool):
        raise ValueError("replication_quorum is neither true nor false")  # noqa: TRY004 (one error for all)
    healthy = None if health == -1 else health == 1
    return Member(
        str(name), int(str(group)), str(reported), str(assigned), healthy, int(str(priority)), quorum
    )


def unfit(
    members: Sequence[Member], nodes: Sequence[Node], leaders: Sequence[str], automatic: bool
) -> Iterator[str]:
    """Yield what speaks against a failover; `automatic` if the monitor is to promote. `leaders` are asked of the servers."""
    known = {member.name: member for member in members}
    if strangers := [node.name for node in nodes if node.name not in known]:
        yield (
            f"the monitor does not know {_list(strangers)}, only {_list(known)}: name the nodes in the inventory as "
            "`pg_autoctl show state` does"
        )
        return
    ours = [known[node.name] for node in nodes]
    groups = {member.group for member in ours}
    others = [m for m in members if m not in ours and m.group in groups and m.priority > 0]
    if others:
        yield f"the monitor may promote {_list(m.name for m in others)}, which the inventory does not name"
    if resting := [m.name for m in ours if "maintenance" in (m.reported, m.assigned)]:
        yield f"{_list(resting)} is in maintenance: `pg_autoctl disable maintenance` there first"
    yield from _unsteady([m for m in ours if m.name not in resting])
    if silent := [m.name for m in ours if m.healthy is False]:
        yield f"the monitor cannot reach {_list(silent)}"
    if unknown := [m.name for m in ours if m.healthy is None]:
        yield f"the monitor has not looked at {_list(unknown)} yet"
    primaries = [m.name for m in ours if m.reported in _LEADING]
    if sorted(primaries) != sorted(leaders):
        yield (
            f"the monitor has {_list(primaries) or 'no node'} as primary, but the servers say "
            f"{_list(leaders) or 'none of them'} is: see `pg_autoctl show state`"
        )
    if automatic and not any(m.reported == "secondary" and m.priority > 0 for m in ours):
        yield "no secondary has a candidate priority above 0: the monitor promotes none"


def _unsteady(ours: Sequence[Member]) -> Iterator[str]:
    """Yield nodes that are neither primary nor secondary, or shall become something else."""
    for member in ours:
        if member.reported != member.assigned:
            yield f"{member.name} is {member.reported} and shall become {member.assigned}"
        elif member.reported not in ("primary", "secondary"):
            yield f"{member.name} is {member.reported}, neither primary nor secondary"


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)


AUTO_FAILOVER = Kind(
    name="pg_auto_failover",
    promotes="the monitor",
    switch=SWITCH,
    state=STATE,
    parsed=parsed,
    unfit=unfit,
    leads=lambda member: member.reported in _LEADING and member.assigned in _LEADING,
    priority=lambda member: f"{member.priority}{'' if member.quorum else ' without quorum'}",
    settled_s=_SETTLED_S,
)
