"""Whether a cluster is whole, who leads it, and letting the inventory's primary lead again."""

from __future__ import annotations

import contextlib
import time

from pytest_deploygate.checks.replication.facts import Server, Standby
from pytest_deploygate.checks.replication.probe.failover import run_command
from pytest_deploygate.checks.replication.probe.managed.managers import Manager
from pytest_deploygate.checks.replication.probe.servers import read_server, read_standbys
from pytest_deploygate.checks.replication.probe.streaming import match
from pytest_deploygate.checks.replication.section import Managed
from pytest_deploygate.clients.postgres import markers
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.clients.writers import present
from pytest_deploygate.fields.postgres import Node
from pytest_deploygate.model import CannotTell

#: A receiver that is silent for longer stands still, whatever its state says. By default it replies each 10 s.
_SILENT_S = 20.0
#: Switches until the wanted node leads, at most.
_HOPS = 4
#: After a switch the manager chooses who is synchronous now.
_SETTLED_S = 1.5
#: How long a switch back may take.
_BACK_S = 60.0


def leader(cluster: Cluster) -> Node:
    """Return the only node that is not in recovery. Raises CannotTell if there is none, or more than one."""
    servers = _servers(cluster)
    names = [server.node for server in servers if server.writable]
    if len(names) != 1:
        silent = "; ".join(server.problem for server in servers if server.problem)
        raise CannotTell(
            f"{len(names)} nodes take writes ({', '.join(names) or 'none'})"
            + (f"; {silent}" if silent else "")
        )
    return next(node for node in cluster.nodes if node.name == names[0])


def synchronous(cluster: Cluster, node: Node) -> bool:
    """Return whether commits on a node wait for a replica. Raises CannotTell."""
    server = read_server(cluster, node)
    partners = [s for s in read_standbys(cluster, node) if s.sync_state in ("sync", "quorum")]
    waits = server.synchronous_commit in ("on", "remote_apply")
    return bool(server.synchronous_standby_names and waits and partners)


def heir(cluster: Cluster, now: Node) -> str:
    """Return the replica that a clean switchover goes to: a synchronous one, if there is one. Raises CannotTell."""
    able = [n.name for n in cluster.nodes if n.name != now.name and not n.delayed and not n.upstream]
    partners = _partners(cluster, now)
    return next((name for name in able if name in partners), able[0])


def _partners(cluster: Cluster, now: Node) -> set[str]:
    """Return the nodes that commits wait for. A manager may stream under names that are not the nodes'. Raises CannotTell."""
    rows = _standbys(cluster, now)
    return {name for name, row in rows.items() if row.sync_state in ("sync", "quorum")}


def _standbys(cluster: Cluster, now: Node) -> dict[str, Standby]:
    """Return the nodes that stream from one, with its row about each. Raises CannotTell."""
    standbys = read_standbys(cluster, now)
    servers = {server.node: server for server in _servers(cluster)}
    found = {
        node.name: match(node, servers[node.name], standbys, cluster.nodes)
        for node in cluster.nodes
        if node.name != now.name
    }
    return {name: row for name, row in found.items() if row is not None}


def ailing(cluster: Cluster) -> str:
    """Return why the cluster is not as the inventory has it: its primary leads and every other node streams; empty if so."""
    why = _ailing(cluster)
    if why:
        return why
    now = leader(cluster)
    try:
        named = {row.pid: name for name, row in _standbys(cluster, now).items()}
        for each in read_standbys(cluster, now):
            if each.reply_age_s is not None and each.reply_age_s > _SILENT_S:
                who = named.get(each.pid, each.application)
                return f"{who} has not replied to {now.name} for {each.reply_age_s:.0f} s: its receiver stands still"
    except CannotTell as unknown:
        return str(unknown)
    return "" if now.name == cluster.primary.name else f"{now.name} leads, not {cluster.primary.name}"


def wait(cluster: Cluster, limit_s: float) -> str:
    """Wait until one node leads and every other one streams on its timeline; return why not, if that never is."""
    deadline = time.monotonic() + limit_s
    while True:
        why = _ailing(cluster)
        if not why or time.monotonic() > deadline:
            return why
        time.sleep(0.2)


def lacks(cluster: Cluster, acknowledged: set[int], mine: markers.Rows, patience_s: float) -> dict[str, int]:
    """Return how many acknowledged writes each node lacks, once it had time to replay them; -1 for a silent one."""
    deadline = time.monotonic() + patience_s

    def one(node: Node) -> int:
        while True:
            missing = len(acknowledged - present(cluster, node, mine))
            if not missing or node.delayed or time.monotonic() > deadline:
                return missing
            time.sleep(0.2)

    answers = cluster.everywhere(one)
    return {name: -1 if isinstance(found, CannotTell) else found for name, found in answers.items()}


def lead(cluster: Cluster, managed: Managed, manager: Manager, wanted: str, promoted: str = "") -> str:
    """Let a node lead again, and wait until the cluster is whole; return what went wrong.

    Where the manager cannot switch (plain), the inventory's `restore` rebuilds the cluster from the promoted node.
    """
    promoted_node = next((node for node in cluster.nodes if node.name == promoted), None)
    for _ in range(_HOPS):
        problem = wait(cluster, _BACK_S) if managed.restore is None else _has_leader(cluster)
        if problem:
            return problem
        try:
            now = leader(cluster)
            if now.name == wanted:
                return ailing(cluster)
            if managed.restore:
                problem = run_command(managed.restore, promoted_node or now)
            else:
                # In a synchronous mode only a synchronous replica can lead next: where that is another one, it goes first,
                # and the wanted node, which goes on streaming, is synchronous then.
                partners = _partners(cluster, now)
                able = wanted in partners or not partners
                problem = switched(cluster, manager, now, wanted if able else heir(cluster, now))
        except CannotTell as unknown:
            problem = str(unknown)
        cluster.close()
        if problem:
            return problem
        if managed.restore:
            return wait(cluster, _BACK_S) or ailing(cluster)
        time.sleep(_SETTLED_S)
    return wait(cluster, _BACK_S) or ailing(cluster)


def switched(cluster: Cluster, manager: Manager, now: Node, wanted: str) -> str:
    """Let another node lead; return what went wrong. A command may fail, or wait in vain, after the switch was made."""
    problem = manager.switch(now.name, wanted)
    if problem:
        cluster.close()
        with contextlib.suppress(CannotTell):
            if leader(cluster).name == wanted:
                return ""
    return problem


def _has_leader(cluster: Cluster) -> str:
    deadline = time.monotonic() + _BACK_S
    while True:
        try:
            leader(cluster)
        except CannotTell as unknown:
            if time.monotonic() > deadline:
                return str(unknown)
            time.sleep(0.3)
        else:
            return ""


def _ailing(cluster: Cluster) -> str:
    try:
        servers = _servers(cluster)
    except CannotTell as unknown:
        return str(unknown)
    if silent := [server.problem for server in servers if not server.answered]:
        return "; ".join(silent)
    leads = [server for server in servers if server.writable]
    if len(leads) != 1:
        return f"{len(leads)} nodes take writes"
    for server in servers:
        if server is leads[0]:
            continue
        if server.receiver != "streaming":
            return f"{server.node} does not stream (its receiver is {server.receiver or 'not there'})"
        if server.timeline != leads[0].timeline:
            return f"{server.node} is on timeline {server.timeline}, {leads[0].node} on {leads[0].timeline}"
    return ""


def _servers(cluster: Cluster) -> list[Server]:
    answers = cluster.everywhere(lambda node: read_server(cluster, node))
    return [
        answer if isinstance(answer, Server) else Server(name, problem=str(answer))
        for name, answer in answers.items()
    ]
