"""Managers of a cluster: how each lets another node lead. Who leads is asked of the servers, not of the manager.

Patroni, repmgr, pg_auto_failover and plain promotion are run by the tests. CloudNativePG is by its documentation only
(https://cloudnative-pg.io/documentation/current/): through the status of its `Cluster` by kubectl, as `kubectl cnpg promote`
does. A managed service is reached by the inventory's own commands.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import time
from typing import Protocol

import psycopg

from pytest_deploygate.checks.replication.probe.failover import COMMAND_BOUND_S, run_command
from pytest_deploygate.checks.replication.probe.furthest import SETTLED_S, furthest
from pytest_deploygate.checks.replication.probe.managed.autofailover import AUTO_FAILOVER
from pytest_deploygate.checks.replication.probe.managed.repmgr import REPMGR
from pytest_deploygate.checks.replication.probe.managed.stated import Stated
from pytest_deploygate.checks.replication.section import Managed
from pytest_deploygate.clients import patroni as rest
from pytest_deploygate.clients.postgres.cluster import Cluster, explain
from pytest_deploygate.fields.patroni import Patroni
from pytest_deploygate.fields.postgres import Node
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

_MAY_PROMOTE = "SELECT has_function_privilege('pg_promote(boolean, integer)', 'EXECUTE')"
#: Settings of Patroni on which the result of a drill depends.
_SETTINGS = (
    "ttl",
    "loop_wait",
    "retry_timeout",
    "maximum_lag_on_failover",
    "synchronous_mode",
    "synchronous_mode_strict",
    "failsafe_mode",
    "master_start_timeout",
    "primary_start_timeout",
)


#: How long Patroni may take to note who is synchronous: three of its default loops.
_READY_S = 30.0
_SYNCHRONOUS_ROLES = ("sync_standby", "quorum_standby")


class Manager(Protocol):
    """What the drill asks of a manager."""

    @property
    def by_documentation(self) -> bool:
        """Whether its commands were never run by us."""

    def refusal(self) -> str:
        """Return why no drill may begin now; empty if one may."""

    def switch(self, leader: str, wanted: str) -> str:
        """Let `wanted` lead instead of `leader`; return what went wrong."""

    def promote(self, patience_s: float) -> str:
        """After a fault: promote a node where the manager does not do so by itself; return what went wrong."""

    def settle(self, after: str) -> None:
        """Wait until the manager itself knows who leads now; only then the former leader can come back."""

    def configuration(self) -> dict[str, str]:
        """Return what the result depends on, beside the servers' settings."""


@dataclass(frozen=True)
class OfPatroni:
    """Patroni, by its REST API. It promotes by itself."""

    patroni: Patroni
    by_documentation: bool = False

    def refusal(self) -> str:
        """Return why no drill may begin: it is paused, it would promote nobody, or it cannot be asked."""
        deadline = time.monotonic() + _READY_S
        while True:
            try:
                problem, for_long = self._unfit()
            except CannotTell as unknown:
                return str(unknown)
            if not problem or for_long or time.monotonic() > deadline:
                return problem
            time.sleep(0.5)

    def _unfit(self) -> tuple[str, bool]:
        """Return why nobody would be promoted now, and whether waiting does not change it. Raises CannotTell."""
        config = self._config()
        if config.get("pause") is True:
            return "Patroni is paused: `patronictl resume` first", True
        if config.get("synchronous_mode") in (None, False, "off"):
            return "", True
        # With synchronous_mode Patroni promotes only whom it has noted as synchronous in its DCS, seconds after a change.
        members = self._asked("/cluster").get("members")
        roles = (
            [each.get("role") for each in members if isinstance(each, dict)]
            if isinstance(members, list)
            else []
        )
        if any(role in _SYNCHRONOUS_ROLES for role in roles):
            return "", True
        return (
            "Patroni has noted no synchronous standby, so that it would promote none: see `patronictl list`",
            False,
        )

    def switch(self, leader: str, wanted: str) -> str:
        """Ask for a switchover. Patroni refuses one while the cluster is not whole, so it is asked again for a while."""
        member = next((each for each in self.patroni.members if each.name == leader), None)
        if member is None:
            return f"{leader} is no member of Patroni in the inventory"
        deadline = time.monotonic() + 30.0
        while True:
            body = {"leader": leader, "candidate": wanted}
            problem = rest.post(self.patroni, member, "/switchover", body, COMMAND_BOUND_S)
            if not problem or time.monotonic() > deadline:
                return problem
            time.sleep(0.5)

    def promote(self, patience_s: float) -> str:  # noqa: ARG002 (it promotes by itself)
        """Do nothing: Patroni promotes."""
        return ""

    def settle(self, after: str) -> None:
        """Do nothing: a member that comes back asks the DCS who leads."""

    def configuration(self) -> dict[str, str]:
        """Return Patroni's settings that a failover depends on."""
        config = self._config()
        return {name: json.dumps(config.get(name)) for name in _SETTINGS}

    def _config(self) -> dict[str, object]:
        return self._asked("/config")

    def _asked(self, path: str) -> dict[str, object]:
        """Return what the first member that answers says to a path. Raises CannotTell."""
        problems = []
        for member in self.patroni.members:
            try:
                answer = rest.get(self.patroni, member, path)
                if answer.status == 200:
                    return dict(answer.document)
                problems.append(f"{member.name} answers {answer.status} to {path}")
            except CannotTell as unknown:
                problems.append(str(unknown))
        raise CannotTell(f"Patroni cannot be asked for {path}: {'; '.join(problems)}")


@dataclass(frozen=True)
class Plain:
    """No manager: the replica with the highest position is promoted by `pg_promote()`, or by the inventory's command."""

    cluster: Cluster
    managed: Managed
    by_documentation: bool = False

    def refusal(self) -> str:
        """Return that our role may not promote: found out after the fault, nobody would lead."""
        if self.managed.promote:
            return ""
        try:
            if self.cluster.value(self.cluster.primary, _MAY_PROMOTE):
                return ""
        except CannotTell as unknown:
            return str(unknown)
        return "the gate's role may not execute pg_promote(): see `deploygate grants`, or name a command `promote`"

    def switch(self, leader: str, wanted: str) -> str:
        """A clean switchover needs the old leader stopped: only the inventory's command can."""
        if self.managed.switch:
            return run_command(self.managed.switch, _named(self.cluster, wanted))
        return f"without a manager {leader} cannot be switched over: name a command `switch`"

    def promote(self, patience_s: float) -> str:
        """Promote the replica with the greater of received and replayed WAL, once no more arrives."""
        try:
            best = furthest(self.cluster, min(patience_s, SETTLED_S))
        except CannotTell as unknown:
            return str(unknown)
        if self.managed.promote:
            return run_command(self.managed.promote, best)
        try:
            with contextlib.closing(self.cluster.connect(best, read_only=False, afresh=True)) as connection:
                connection.execute("SELECT pg_promote(false)")
        except psycopg.Error as error:
            return f"{best.name} could not be promoted: {explain(best, error)}"
        except CannotTell as unknown:
            return str(unknown)
        return ""

    def settle(self, after: str) -> None:
        """Do nothing: there is nobody to wait for."""

    def configuration(self) -> dict[str, str]:
        """Return the commands."""
        return {"promote": self.managed.promote or "pg_promote()", "restore": self.managed.restore or ""}


@dataclass(frozen=True)
class ByCommand:
    """A manager with commands: `switch_command`, and `promote_command` where it does not promote by itself."""

    cluster: Cluster
    name: str
    switch_command: str
    promote_command: str = ""
    by_documentation: bool = True

    def refusal(self) -> str:
        """Return nothing: the commands refuse by themselves."""
        return ""

    def switch(self, leader: str, wanted: str) -> str:  # noqa: ARG002 (the commands find the leader themselves)
        """Run the command for a switchover."""
        return run_command(self.switch_command, _named(self.cluster, wanted))

    def promote(self, patience_s: float) -> str:
        """Run the command for a promotion, if there is one, for the replica that has received most."""
        if not self.promote_command:
            return ""
        try:
            return run_command(self.promote_command, furthest(self.cluster, min(patience_s, SETTLED_S)))
        except CannotTell as unknown:
            return str(unknown)

    def settle(self, after: str) -> None:
        """Do nothing: the commands are over when it is done."""

    def configuration(self) -> dict[str, str]:
        """Return the commands."""
        return {"switch": self.switch_command, "promote": self.promote_command}


def manager(cluster: Cluster, managed: Managed, patroni: Patroni | None) -> Manager:
    """Return the manager that the inventory names. Raises CannotTell if its section is missing."""
    match managed.manager:
        case "patroni":
            if patroni is None:
                raise CannotTell(
                    "`managed_failover` names patroni, but there is no `database.patroni` section with its members"
                )
            return OfPatroni(patroni)
        case "plain":
            return Plain(cluster, managed)
        case "repmgr":
            return Stated(cluster, managed, REPMGR)
        case "pg_auto_failover":
            return Stated(cluster, managed, AUTO_FAILOVER)
        case _:
            switch, promote = documented(managed)
            return ByCommand(cluster, managed.manager, managed.switch or switch, managed.promote or promote)


def documented(managed: Managed) -> tuple[str, str]:
    """Return the commands of a manager: for a switchover to {node}, and for a promotion of it, unless it promotes by itself."""
    match managed.manager:
        case "cloudnativepg":
            name = shlex.quote(managed.cluster or "")
            change = """'{"status":{"targetPrimary":"'{node}'","phase":"Switchover in progress"}}'"""
            return f"kubectl patch cluster {name} --subresource=status --type=merge -p {change}", ""
        case _:
            return managed.switch or "", managed.promote or ""


def _named(cluster: Cluster, name: str) -> Node:
    return next(node for node in cluster.nodes if node.name == name)
