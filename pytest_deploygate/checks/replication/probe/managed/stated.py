"""Managers with commands whose state can be asked for: it must be fit for a failover, and it counts as configuration."""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, Protocol, TypeVar

from pytest_deploygate.checks.replication.probe.failover import run_command
from pytest_deploygate.checks.replication.probe.furthest import SETTLED_S, furthest
from pytest_deploygate.checks.replication.section import Managed
from pytest_deploygate.clients.host import commands
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.fields.postgres import Node
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import redact

_ANSWERED_S = 30.0


class _Member(Protocol):
    @property
    def name(self) -> str: ...


M = TypeVar("M", bound=_Member)
Unfit = Callable[[Sequence[M], Sequence[Node], Sequence[str], bool], Iterable[str]]


@dataclass(frozen=True)
class Kind(Generic[M]):
    """A manager: its commands for a node, what it prints of its state, and what is wrong with that.

    `unfit` gets the members, the inventory's nodes, those that the servers say lead, and whether the manager is to promote.
    """

    name: str
    promotes: str
    switch: str
    state: str
    parsed: Callable[[str], list[M]]
    unfit: Unfit[M]
    leads: Callable[[M], bool]
    #: What is set for a member, on which a failover depends.
    priority: Callable[[M], str]
    #: How long its state may take to become steady after a change.
    settled_s: float


@dataclass(frozen=True)
class Stated(Generic[M]):
    """A manager that promotes by itself, unless the inventory has a command for that."""

    cluster: Cluster
    managed: Managed
    kind: Kind[M]
    by_documentation: bool = False
    settled_s: float | None = None

    def refusal(self) -> str:
        """Return why no drill may begin: nobody would be promoted, or the manager has the cluster otherwise than it is."""
        try:
            return self._state()[1]
        except CannotTell as unknown:
            return str(unknown)

    def switch(self, leader: str, wanted: str) -> str:  # noqa: ARG002 (the manager finds the leader itself)
        """Switch over to a node, once the manager's state is steady: a node that has just come back is refused before."""
        with contextlib.suppress(CannotTell):
            self._state()
        node = next(node for node in self.cluster.nodes if node.name == wanted)
        return run_command(self.managed.switch or self.kind.switch, node)

    def promote(self, patience_s: float) -> str:
        """Run the inventory's command for the replica that has received most; without one the manager promotes."""
        if not self.managed.promote:
            return ""
        try:
            return run_command(self.managed.promote, furthest(self.cluster, min(patience_s, SETTLED_S)))
        except CannotTell as unknown:
            return str(unknown)

    def settle(self, after: str) -> None:
        """Wait until the manager has the new leader, for a while. Its server takes writes before: nobody can rejoin then."""
        deadline = time.monotonic() + self._patience_s()
        while time.monotonic() < deadline:
            with contextlib.suppress(CannotTell):
                if [m.name for m in self._ask(after) if self.kind.leads(m)] == [after]:
                    return
            time.sleep(0.5)

    def configuration(self) -> dict[str, str]:
        """Return the commands, the priorities, and whether the manager could fail over now. Raises CannotTell."""
        members, problem = self._state()
        return {
            "switch": self.managed.switch or self.kind.switch,
            "promote": self.managed.promote or self.kind.promotes,
            "priorities": ", ".join(sorted(f"{m.name} {self.kind.priority(m)}" for m in members)),
            self.kind.name: problem or "ready",
        }

    def _patience_s(self) -> float:
        return self.kind.settled_s if self.settled_s is None else self.settled_s

    def _state(self) -> tuple[list[M], str]:
        """Return the members, and what speaks against a failover once the manager had time to settle. Raises CannotTell."""
        automatic = not self.managed.promote and any(f.do and not f.unavailable for f in self.managed.faults)
        deadline = time.monotonic() + self._patience_s()
        while True:
            members = self._ask()
            problem = "; ".join(self.kind.unfit(members, self.cluster.nodes, self._leaders(), automatic))
            if not problem or time.monotonic() > deadline:
                return members, problem
            time.sleep(0.5)

    def _ask(self, first: str = "") -> list[M]:
        """Ask one node after the other until one answers. Raises CannotTell if none does, or one answers something else."""
        command = self.managed.state or self.kind.state
        nodes = sorted(self.cluster.nodes, key=lambda node: node.name != first)
        problems = []
        for asked in dict.fromkeys(command.replace("{node}", shlex.quote(node.name)) for node in nodes):
            try:
                said = commands.printed(asked, _ANSWERED_S)
            except CannotTell as unknown:
                problems.append(str(unknown))
                continue
            try:
                return self.kind.parsed(said)
            except CannotTell as odd:
                raise CannotTell(f"`{redact(asked)}` printed {odd}") from None
        raise CannotTell(f"{self.kind.name}'s state cannot be read: {'; '.join(problems)}")

    def _leaders(self) -> list[str]:
        """Return the nodes that say they are not in recovery; a silent one is the manager's to report."""
        answers = self.cluster.everywhere(
            lambda node: self.cluster.value(node, "SELECT NOT pg_is_in_recovery()")
        )
        return [name for name, leads in answers.items() if leads is True]
