"""Which servers belong to the cluster: the primary, the replicas that stream from it, and how."""

from collections.abc import Sequence
from typing import Any

from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.discovery.postgres.asking import Server, some
from pytest_deploygate.discovery.postgres.dsn import PASSWORD, Address, is_loopback
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

_WHO = """
SELECT current_setting('server_version'), pg_is_in_recovery(), current_setting('cluster_name'),
  (SELECT system_identifier::text FROM pg_control_system())
"""
_WHO_DENIED = (
    "SELECT current_setting('server_version'), pg_is_in_recovery(), current_setting('cluster_name'), NULL"
)
# Logical subscribers stream too; what they stream from is a logical slot. Without pg_monitor, `state` is NULL.
_STREAMS = """
SELECT r.application_name, host(r.client_addr), r.client_hostname, r.state, r.sync_state,
  coalesce(s.slot_name, ''), coalesce(s.slot_type, '')
FROM pg_stat_replication r LEFT JOIN pg_replication_slots s ON s.active_pid = r.pid
WHERE r.state IS DISTINCT FROM 'backup' ORDER BY 1, 2
"""
_UPSTREAM = "SELECT sender_host, sender_port FROM pg_stat_wal_receiver"
_SLOTS = "SELECT slot_name::text, slot_type, active FROM pg_replication_slots ORDER BY 1"
_MONITOR = "GRANT pg_monitor TO {role};"
#: libpq's word for a replica that has not been given a name.
_UNNAMED = ("", "walreceiver")


@dataclass(frozen=True)
class Seen:
    """A server that answered."""

    host: str
    port: int
    version: str
    replica: bool
    name: str
    identity: str | None


@dataclass(frozen=True)
class Stream:
    """A replica as its primary sees it. `state` is None if the role may not see it."""

    name: str
    host: str
    state: str | None
    sync: str | None
    slot: str


def look(address: Address, host: str, port: int) -> tuple[Seen, Cluster]:
    """Connect to one server and ask who it is. Raises CannotTell."""
    cluster = Cluster(address.settings(host, port))
    try:
        rows = cluster.rows(cluster.primary, _WHO)
    except CannotTell as unknown:
        if "pg_control_system" not in str(unknown):
            cluster.close()
            raise
        rows = cluster.rows(cluster.primary, _WHO_DENIED)
    version, replica, name, identity = rows[0]
    return Seen(host, port, str(version), bool(replica), str(name or ""), identity), cluster


def upstream(cluster: Cluster) -> tuple[str, int] | None:
    """Return host and port that a replica streams from; None if it does not say."""
    rows = cluster.rows(cluster.primary, _UPSTREAM)
    return (str(rows[0][0]), int(rows[0][1])) if rows and rows[0][0] and rows[0][1] else None


def connection(server: Server, primary: Seen, told: str) -> None:
    """Note how the primary is reached."""
    address = server.address
    server.fact("database.name", address.database, told, given=True)
    server.fact("database.user", address.user, told, given=True)
    if address.password:
        server.fact(
            "database.password", PASSWORD, "set PGPASSWORD; the password itself is nowhere", given=True
        )
    if address.sslmode != "prefer":
        server.fact("database.sslmode", address.sslmode, told, given=True)
    if address.sslrootcert:
        server.fact("database.sslrootcert", address.sslrootcert, told, given=True)
    given = (primary.host, primary.port) in address.hosts
    where = told if given else "pg_stat_wal_receiver of the replica that the DSN names"
    server.fact(
        "database.primary",
        _node(primary, primary.name),
        f"{where}; PostgreSQL {primary.version}, not in recovery",
        given=given,
    )


def replicas(
    server: Server, primary: Seen, known: Sequence[Seen], told: Sequence[tuple[str, int]]
) -> list[Stream]:
    """Note the replicas: those that were named, and those that stream and answer. Return the streams."""
    rows = server.rows("replicas", _STREAMS, _MONITOR.format(role=server.role))
    if rows is None:
        return []
    logical = [str(row[0]) for row in rows if row[6] == "logical"]
    if logical:
        server.remark(f"logical subscribers, which are no replicas: {some(logical)}")
    streams = [
        Stream(str(r[0] or ""), str(r[1] or r[2] or ""), r[3], r[4], str(r[5]))
        for r in rows
        if r[6] != "logical"
    ]
    if any(stream.state is None for stream in streams):
        server.unread(
            f"{len(streams)} replicas",
            "pg_stat_replication hides their addresses from this role",
            _MONITOR.format(role=server.role),
        )
    found = _noted(server, primary, known, streams, told)
    unmatched = _unmatched(streams, found)
    for stream in unmatched:
        if candidate := _reached(server.address, primary, stream, found):
            found.append(candidate)
            _note(server, candidate, stream, found, given=False)
        elif stream.state is not None:
            server.unread(
                f"replica {stream.name or stream.host}",
                f"it streams from {stream.host or 'a socket'}, but pg_stat_replication does not say on which port it "
                f"listens, and no replica of this cluster answers at {_ports(primary)} there",
                "name it: --replica HOST:PORT",
            )
    if not rows:
        server.wanted(
            "database.replicas", "pg_stat_replication has no rows: no replica streams from this server"
        )
    return streams


def _noted(
    server: Server,
    primary: Seen,
    known: Sequence[Seen],
    streams: Sequence[Stream],
    told: Sequence[tuple[str, int]],
) -> list[Seen]:
    """Note the servers that were named and are replicas of this primary."""
    found: list[Seen] = []
    for seen in known:
        where = f"{seen.host}:{seen.port}"
        if not seen.replica:
            server.remark(
                f"{where} is not in recovery either: a second primary, or another cluster; it is left out"
            )
        elif seen.identity and primary.identity and seen.identity != primary.identity:
            server.remark(
                f"{where} has another system identifier: it is no replica of this cluster, and left out"
            )
        else:
            found.append(seen)
            stream = next((s for s in streams if s.name and s.name == seen.name), None)
            _note(server, seen, stream, found, given=(seen.host, seen.port) in told)
    return found


def _note(server: Server, seen: Seen, stream: Stream | None, found: Sequence[Seen], *, given: bool) -> None:
    said = "in recovery"
    if stream:
        said = f"pg_stat_replication: {stream.state}, {stream.sync}" + (
            f", slot {stream.slot}" if stream.slot else ""
        )
    name = seen.name if [each.name for each in found].count(seen.name) == 1 else ""
    if stream and stream.name not in _UNNAMED:
        name = name or stream.name
    server.fact("database.replicas", _node(seen, name), said, entry=True, given=given)


def _unmatched(streams: Sequence[Stream], found: Sequence[Seen]) -> list[Stream]:
    """Return the streams of replicas that are not found yet: by name, else as many of an address as are there."""
    left = [stream for stream in streams if stream.name not in {seen.name for seen in found if seen.name}]
    named = [stream.name for stream in streams if stream not in left]
    for seen in found:
        if seen.name in named:
            continue
        same = next(
            (s for s in left if s.host == seen.host or (is_loopback(s.host) and is_loopback(seen.host))), None
        )
        if same:
            left.remove(same)
    return left


def _reached(address: Address, primary: Seen, stream: Stream, found: Sequence[Seen]) -> Seen | None:
    """Try the ports on which a replica listens most often. Only a server of this cluster counts."""
    known = {(seen.host, seen.port) for seen in (primary, *found)}
    for port in dict.fromkeys((primary.port, 5432)):
        if not stream.host or (stream.host, port) in known:
            continue
        try:
            seen, cluster = look(address, stream.host, port)
        except CannotTell:
            continue
        cluster.close()
        same = seen.identity is not None and seen.identity == primary.identity
        if seen.replica and same and not any(each.name and each.name == seen.name for each in found):
            return seen
    return None


def _ports(primary: Seen) -> str:
    return " or ".join(str(port) for port in dict.fromkeys((primary.port, 5432)))


def _node(seen: Seen, name: str) -> dict[str, Any]:
    node: dict[str, Any] = {"name": name} if name else {}
    node["host"] = seen.host
    return node | ({"port": seen.port} if seen.port != 5432 else {})


def bounds(server: Server, streams: Sequence[Stream], settings: dict[str, str]) -> None:
    """Note what is expected of replication: synchronous commits and slots. Nothing weaker than the defaults is written."""
    names = settings.get("synchronous_standby_names")
    if streams and names and settings.get("synchronous_commit") not in ("off", "local"):
        seen = (
            f"synchronous_standby_names is {names}, synchronous_commit {settings.get('synchronous_commit')}"
        )
        server.fact("database.replication.synchronous", True, seen)
    elif streams and names is not None:
        server.wanted(
            "database.replication.synchronous",
            "commits do not wait for a replica; `false` if that is as it should be, `true` if not",
        )
    without = [
        stream.name or stream.host for stream in streams if stream.state is not None and not stream.slot
    ]
    if without:
        server.remark(
            f"replicas that stream without a slot, which the gate finds red by default: {some(without)}"
        )
    elif streams and all(stream.state is not None for stream in streams):
        server.fact("database.replication.slots", True, f"slots {some([stream.slot for stream in streams])}")
    slots = server.rows("replication slots", _SLOTS, _MONITOR.format(role=server.role)) or []
    idle = [f"{name} ({kind})" for name, kind, active in slots if not active]
    if idle:
        server.remark(f"slots that nobody uses, and that keep WAL: {some(idle)}")
