"""Streaming replication of a whole cluster, gathered once: who streams from whom, how far behind, a marker row.

`primary` and `replica` return the parts that tests judge. Nothing here knows a limit; the inventory's bounds
only determine how long to wait.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

import psycopg

from pytest_deploygate.checks.replication.facts import (
    PrimaryFacts,
    ReplicaFacts,
    Server,
    Slot,
    Standby,
    Watch,
)
from pytest_deploygate.checks.replication.probe.servers import read_server, read_slots, read_standbys
from pytest_deploygate.clients import own_lag, reach
from pytest_deploygate.clients.postgres import markers, read_only
from pytest_deploygate.clients.postgres.cluster import Cluster, explain
from pytest_deploygate.clients.remembered import once
from pytest_deploygate.fields.postgres import Node
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell, NotCovered

_LONGEST_PATIENCE_S = 30.0
# Read before the marker's commit, which flushes it. pg_current_wal_lsn() after it may lie within a record of another
# open transaction, which no replica replays before something else is flushed.
_BEHIND_THE_ROW = "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint"
_POSITION = """
SELECT (pg_last_wal_replay_lsn() - '0/0')::bigint, (pg_last_wal_receive_lsn() - '0/0')::bigint,
       extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8
"""


@dataclass(frozen=True)
class Replication:
    """All facts: those of the primary and of each replica, in the inventory's order."""

    primary: PrimaryFacts
    replicas: tuple[ReplicaFacts, ...]


@dataclass(frozen=True)
class _Sight:
    """Standbys and slots of one node, or why they are unknown."""

    standbys: tuple[Standby, ...] = ()
    slots: tuple[Slot, ...] = ()
    problem: str = ""


def primary(cluster: Cluster, patience_s: float) -> PrimaryFacts:
    """Return what is judged of the cluster as a whole. A marker row may take `patience_s` to arrive.

    Raises NotCovered if the inventory names no replica, CannotTell if no node can be reached.
    """
    return observe(cluster, patience_s).primary


def replica(cluster: Cluster, node: Node, patience_s: float) -> ReplicaFacts:
    """Return what is judged of one replica. A marker row may take `patience_s` to arrive.

    Raises NotCovered if the inventory names no replica, CannotTell if no node can be reached.
    """
    facts = observe(cluster, patience_s)
    return next(r for r in facts.replicas if r.server.node == node.name)


def observe(cluster: Cluster, patience_s: float) -> Replication:
    """Observe the whole cluster, once per session; wait up to `patience_s` for what each replica has yet to receive.

    Raises NotCovered if the inventory names no replica, CannotTell if no node can be reached.
    """
    return once(cluster, "replication", lambda: _observe(cluster, patience_s))


def _observe(cluster: Cluster, patience_s: float) -> Replication:
    if not cluster.replicas:
        raise NotCovered(
            "the inventory names no replica; add `replicas: [HOST, …]` to its `database` section"
        )
    servers = {
        name: answer
        if isinstance(answer, Server)
        else Server(name, problem=str(answer), ours=bool(reach.why_ours_in(str(answer))))
        for name, answer in cluster.everywhere(lambda node: read_server(cluster, node)).items()
    }
    if not any(server.answered for server in servers.values()):
        raise CannotTell(
            "no node of the cluster can be reached: " + "; ".join(s.problem for s in servers.values())
        )
    watches, marker_problem = _watch_all(cluster, servers, patience_s)
    # Read after the watch: by now a receiver that works has replied about the marker.
    sights = _sights(cluster, servers)
    found = {node.name: _find(node, servers[node.name], sights, cluster) for node in cluster.replicas}
    found |= _alike(cluster, servers, sights, found, watches)
    replicas = tuple(
        _facts(
            node,
            (servers[node.name], servers[cluster.primary.name]),
            sights,
            found[node.name],
            watch=watches[node.name],
            marker_problem=marker_problem,
            follows="" if found[node.name][1] else _follows(servers[node.name], cluster.nodes),
        )
        for node in cluster.replicas
    )
    top = sights[cluster.primary.name]
    taken = {
        standby.pid for seen_on, standby in found.values() if standby and seen_on == cluster.primary.name
    }
    owned = {facts.slot.name for facts in replicas if facts.slot}
    kept = _read_only(cluster) if servers[cluster.primary.name].writable else read_only.ReadOnly()
    whole = PrimaryFacts(
        primary=servers[cluster.primary.name],
        replicas=tuple(servers[node.name] for node in cluster.replicas),
        standbys=top.standbys,
        extra=tuple(s for s in top.standbys if s.pid not in taken),
        streaming=tuple(name for name, (_, standby) in found.items() if standby),
        slots=tuple(s for s in top.slots if s.name not in owned),
        problem=top.problem,
        read_only_by=kept.by,
        read_only_hidden=kept.hidden,
        read_only_roles=kept.roles,
        marker_table="" if marker_problem else f"{cluster.writes_schema}.{markers.TABLE}",
    )
    return Replication(whole, replicas)


def _read_only(cluster: Cluster) -> read_only.ReadOnly:
    """Return what keeps sessions of the primary from writing. All other connections of ours set it themselves."""
    try:
        with contextlib.closing(cluster.connect(cluster.primary, read_only=None)) as connection:
            return read_only.for_others(connection)
    except psycopg.Error as error:
        raise CannotTell(explain(cluster.primary, error)) from error


def _sights(cluster: Cluster, servers: dict[str, Server]) -> dict[str, _Sight]:
    def look(node: Node) -> _Sight:
        if not servers[node.name].answered:
            return _Sight(problem=servers[node.name].problem)
        return _Sight(read_standbys(cluster, node), read_slots(cluster, node))

    return {
        name: seen if isinstance(seen, _Sight) else _Sight(problem=str(seen))
        for name, seen in cluster.everywhere(look).items()
    }


def _facts(
    node: Node,
    servers: tuple[Server, Server],
    sights: dict[str, _Sight],
    found: tuple[str, Standby | None],
    *,
    watch: Watch,
    marker_problem: str,
    follows: str,
) -> ReplicaFacts:
    server, top = servers
    upstream = node.upstream or top.node
    seen_on, standby = found
    sight = sights.get(upstream, _Sight(problem=f"{upstream} is not a node of the inventory"))
    slots = sights[seen_on].slots if seen_on else sight.slots
    # A replica that streams without a slot may still have an inactive one of its name, which is also its own.
    names = {standby.slot} if standby and standby.slot else {_plain(node.name)}
    slot = next((s for s in slots if s.name in names or _plain(s.name) in names), None)
    return ReplicaFacts(
        server=server,
        primary=top,
        upstream=upstream,
        declared_delay=node.delayed,
        seen_on=seen_on,
        standby=standby,
        slot=slot,
        watch=watch,
        marker_problem=marker_problem,
        upstream_problem=sight.problem,
        follows=follows,
    )


def _find(
    node: Node, server: Server, sights: dict[str, _Sight], cluster: Cluster
) -> tuple[str, Standby | None]:
    """Find a replica's row of pg_stat_replication: on its upstream first, then on every other node."""
    upstream = node.upstream or cluster.primary.name
    for name in (upstream, *(n for n in sights if n not in (upstream, node.name))):
        standby = match(node, server, sights[name].standbys if name in sights else (), cluster.nodes)
        if standby:
            return name, standby
    return "", None


def _alike(
    cluster: Cluster,
    servers: dict[str, Server],
    sights: dict[str, _Sight],
    found: dict[str, tuple[str, Standby | None]],
    watches: dict[str, Watch],
) -> dict[str, tuple[str, Standby | None]]:
    """Find replicas that share name and address, by what they say of themselves.

    A replica whose receiver is connected to its upstream, or that has read the marker row through its address, has a row
    there. Where nothing tells the rows apart, each replica gets one of them, so that each row is judged once.
    """
    more: dict[str, tuple[str, Standby | None]] = {}
    for upstream, sight in sights.items():
        taken = {standby.pid for seen_on, standby in found.values() if standby and seen_on == upstream}
        free = sorted((s for s in sight.standbys if s.pid not in taken), key=lambda s: s.pid)
        lost = [
            node
            for node in cluster.replicas
            if not found[node.name][1]
            and (node.upstream or cluster.primary.name) == upstream
            and servers[node.name].receiver
            and _says(node, servers[node.name], cluster.nodes, upstream, watches[node.name], free)
        ]
        if lost and len(free) >= len(lost):
            more |= {node.name: (upstream, row) for node, row in zip(lost, free, strict=False)}
    return more


def _says(
    node: Node, server: Server, nodes: Iterable[Node], upstream: str, watch: Watch, free: Iterable[Standby]
) -> bool:
    follows = _follows(server, nodes)
    here = any(row.address in _addresses(node) for row in free)
    return follows == upstream if follows else here and watch.marker_s is not None


def match(node: Node, server: Server, standbys: Iterable[Standby], nodes: Iterable[Node]) -> Standby | None:
    """Return the standby that is the node: by the slot or name that its receiver uses, else by its own name.

    The address counts only if no other node and no other standby has it.
    """
    rows = tuple(standbys)
    own = {_plain(name) for name in (node.name, server.cluster_name) if name}
    tests: tuple[Callable[[Standby], bool], ...] = (
        lambda s: bool(server.receiver_slot) and s.slot == server.receiver_slot,
        lambda s: _plain(s.application) in own,
        lambda s: bool(s.slot) and _plain(s.slot) in own,
        lambda s: bool(server.receiver_application) and s.application == server.receiver_application,
    )
    for test in tests:
        found = [s for s in rows if test(s)]
        if len(found) == 1:
            return found[0]
    if not rows:
        return None
    mine = _addresses(node) - {a for n in nodes if n.name != node.name for a in _addresses(n)}
    found = [s for s in rows if s.address in mine]
    return found[0] if len(found) == 1 else None


def _follows(server: Server, nodes: Iterable[Node]) -> str:
    """Return the node that a replica's receiver is connected to, else the one in its primary_conninfo."""
    places = {reach.at(host, n.port): n.name for n in nodes for host in (n.host, *_addresses(n))}
    return next((places[place] for place in (server.sender, server.conninfo) if place in places), "")


def _plain(name: str) -> str:
    """Normalize a name for comparison: slot names have no capitals, dashes or dots."""
    return name.lower().replace("-", "_").replace(".", "_")


def _addresses(node: Node) -> set[str]:
    with contextlib.suppress(ValueError):
        return {str(ipaddress.ip_address(node.host))}
    try:
        return {str(info[4][0]) for info in socket.getaddrinfo(node.host, None)}
    except OSError:
        return set()


def _watch_all(
    cluster: Cluster, servers: dict[str, Server], patience_s: float
) -> tuple[dict[str, Watch], str]:
    """Write a marker row, watch all replicas in parallel, delete the marker. Also returns why there was none."""
    if not servers[cluster.primary.name].writable:
        why = servers[cluster.primary.name].problem or f"{cluster.primary.name} is in recovery"
        return _watches(cluster, servers, None, 0, patience_s), f"no marker row was written: {why}"
    try:
        with markers.rows(cluster) as (connection, mine):
            try:
                with connection.transaction():
                    connection.execute(mine.insert(), (mine.run, 1))
                    position = connection.execute(_BEHIND_THE_ROW).fetchone()
            except psycopg.Error as error:
                raise CannotTell(f"no row could be written: {explain(cluster.primary, error)}") from error
            return _watches(cluster, servers, mine, position[0] if position else 0, patience_s), ""
    except CannotTell as unknown:
        return _watches(cluster, servers, None, servers[cluster.primary.name].lsn, patience_s), str(unknown)


def _watches(
    cluster: Cluster, servers: dict[str, Server], mine: markers.Rows | None, target: int, patience_s: float
) -> dict[str, Watch]:
    def one(node: Node) -> Watch:
        server = servers[node.name]
        if not server.answered:
            return Watch(problem=server.problem)
        began = time.monotonic()
        try:
            seen = _watch(cluster, node, server, mine, target, lambda: lag.fair_s(began) > patience)
        except CannotTell as unknown:
            return Watch(problem=str(unknown))
        return replace(seen, lag=lag.since(began))

    patience = min(patience_s, _LONGEST_PATIENCE_S)
    with own_lag.watching() as lag:
        answers = cluster.everywhere(one, cluster.replicas)
    return {name: a if isinstance(a, Watch) else Watch(problem=str(a)) for name, a in answers.items()}


def _watch(
    cluster: Cluster,
    node: Node,
    server: Server,
    mine: markers.Rows | None,
    target: int,
    over: Callable[[], bool],
) -> Watch:
    """Poll one replica until it is complete or the time is `over`.

    One that cannot catch up (no receiver, paused, not in recovery) is polled once.
    """
    hopeless = not server.in_recovery or not server.receiver or server.replay_paused
    began = time.monotonic()
    caught_up: float | None = None
    marker: float | None = None
    first = True
    while True:
        replayed, received, age = cluster.rows(node, _POSITION)[0]
        reached = received if node.delayed else replayed
        spent = time.monotonic() - began
        if caught_up is None and target and (reached or 0) >= target:
            caught_up = 0.0 if first else spent
        if mine and marker is None and _has_marker(cluster, node, mine):
            marker = time.monotonic() - began
        done = caught_up is not None and (mine is None or marker is not None or node.delayed is not None)
        if done or hopeless or not target or over():
            behind = max(0, target - (reached or 0)) if target else None
            rest = max(0, (received or 0) - (replayed or 0))
            return Watch(spent, caught_up, behind, rest, age, marker)
        first = False
        time.sleep(min(0.2, 0.01 + spent / 10))


def _has_marker(cluster: Cluster, node: Node, mine: markers.Rows) -> bool:
    """Look for the marker; if its table has not been replayed yet, neither has the marker."""
    try:
        return bool(cluster.rows(node, mine.ids(), (mine.run,)))
    except CannotTell as unknown:
        if isinstance(unknown.__cause__, psycopg.errors.UndefinedTable | psycopg.errors.InvalidSchemaName):
            return False
        raise
