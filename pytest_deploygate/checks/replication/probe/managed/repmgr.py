"""repmgr: its own commands on the node, and its state, which it prints as `repmgr service status --csv`.

Run by the tests with repmgr 5.3.3. Its state is asked because its exit code says nothing: it is 0 also where repmgrd is paused,
or a node is unreachable.
"""

from __future__ import annotations

import contextlib
import csv
import shlex
import time
from collections.abc import Iterator, Sequence

from pytest_deploygate.checks.replication.probe.failover import run_command
from pytest_deploygate.checks.replication.probe.furthest import SETTLED_S, furthest
from pytest_deploygate.checks.replication.section import Managed
from pytest_deploygate.clients.host import commands
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.fields.postgres import Node
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact

SWITCH = "ssh {node} repmgr standby switchover --siblings-follow"
STATE = "ssh {node} repmgr service status --csv"
_ANSWERED_S = 30.0
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


@dataclass(frozen=True)
class OfRepmgr:
    """repmgr. repmgrd promotes by itself, unless the inventory has a command for that."""

    cluster: Cluster
    managed: Managed
    by_documentation: bool = False
    settled_s: float = _SETTLED_S

    def refusal(self) -> str:
        """Return why no drill may begin: repmgrd would promote nobody, or repmgr has the cluster otherwise than it is."""
        try:
            return self._state()[1]
        except CannotTell as unknown:
            return str(unknown)

    def switch(self, leader: str, wanted: str) -> str:  # noqa: ARG002 (repmgr finds the leader itself)
        """Switch over to a node; the command runs there."""
        node = next(node for node in self.cluster.nodes if node.name == wanted)
        return run_command(self.managed.switch or SWITCH, node)

    def promote(self, patience_s: float) -> str:
        """Run the inventory's command for the replica that has received most; without one repmgrd promotes."""
        if not self.managed.promote:
            return ""
        try:
            return run_command(self.managed.promote, furthest(self.cluster, min(patience_s, SETTLED_S)))
        except CannotTell as unknown:
            return str(unknown)

    def settle(self, after: str) -> None:
        """Wait until repmgr has the new leader as primary, for a while. Its server takes writes before: nobody can rejoin then."""
        deadline = time.monotonic() + self.settled_s
        while time.monotonic() < deadline:
            with contextlib.suppress(CannotTell):
                if [m.name for m in self._ask(after) if m.role == "primary" and m.running] == [after]:
                    return
            time.sleep(0.5)

    def configuration(self) -> dict[str, str]:
        """Return the commands, the priorities, and whether repmgr could fail over now. Raises CannotTell."""
        members, problem = self._state()
        return {
            "switch": self.managed.switch or SWITCH,
            "promote": self.managed.promote or "repmgrd",
            "priorities": ", ".join(sorted(f"{m.name} {m.priority}" for m in members)),
            "repmgr": problem or "ready",
        }

    def _state(self) -> tuple[list[Member], str]:
        """Return the members, and what speaks against a failover once repmgrd had time to settle. Raises CannotTell."""
        automatic = not self.managed.promote and any(f.do and not f.unavailable for f in self.managed.faults)
        deadline = time.monotonic() + self.settled_s
        while True:
            members = self._ask()
            problem = "; ".join(unfit(members, self.cluster.nodes, self._leaders(), automatic=automatic))
            if not problem or time.monotonic() > deadline:
                return members, problem
            time.sleep(0.5)

    def _ask(self, first: str = "") -> list[Member]:
        """Ask one node after the other until one answers. Raises CannotTell if none does, or one answers something else."""
        problems = []
        for node in sorted(self.cluster.nodes, key=lambda node: node.name != first):
            command = (self.managed.state or STATE).replace("{node}", shlex.quote(node.name))
            try:
                said = commands.printed(command, _ANSWERED_S)
            except CannotTell as unknown:
                problems.append(str(unknown))
                continue
            try:
                return parsed(said)
            except CannotTell as odd:
                raise CannotTell(f"`{redact(command)}` printed {odd}") from None
        raise CannotTell(f"repmgr's state cannot be read: {'; '.join(problems)}")

    def _leaders(self) -> list[str]:
        """Return the nodes that say they are not in recovery; a silent one is repmgr's to report."""
        answers = self.cluster.everywhere(
            lambda node: self.cluster.value(node, "SELECT NOT pg_is_in_recovery()")
        )
        return [name for name, leads in answers.items() if leads is True]


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
    members: Sequence[Member], nodes: Sequence[Node], leaders: Sequence[str], *, automatic: bool
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
