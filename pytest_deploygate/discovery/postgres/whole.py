"""From a DSN to what is found of the cluster: who is the primary, then what it says, and its structure as a snapshot."""

from collections.abc import Callable, Sequence
from pathlib import Path

from pytest_deploygate.checks.structure.probe import catalog
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.discovery.found import Found
from pytest_deploygate.discovery.postgres import (
    migrations,
    nodes,
    poolers,
    retention,
    settings,
    structure,
    timescale,
)
from pytest_deploygate.discovery.postgres.asking import Server
from pytest_deploygate.discovery.postgres.dsn import Address
from pytest_deploygate.discovery.postgres.nodes import Seen
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell


@dataclass(frozen=True)
class Asked:
    """What was said beside the DSN: more servers and poolers, the folder of migrations, the memory of the machine.

    `snapshot` is the file for the structure; None: none is written.
    """

    told: str = "the DSN"
    replicas: tuple[tuple[str, int], ...] = ()
    poolers: tuple[tuple[str, int], ...] = ()
    usual_ports: bool = False
    migrations: str | None = None
    memory: str | None = None
    snapshot: Path | None = None
    says: Callable[[str], None] = lambda _: None


def look(address: Address, asked: Asked) -> Found:
    """Return what is found. Raises CannotTell if no server answers, with all that was tried."""
    hosts = tuple(dict.fromkeys((*address.hosts, *asked.replicas)))
    seen, clusters, failed = _connected(address, hosts)
    try:
        primary, cluster = _primary(address, seen, clusters, failed)
        server = Server(cluster, address)
        for note in address.notes:
            server.remark(note)
        for (host, port), why in failed.items():
            server.unread(f"server {host}:{port}", why, "it must answer from here to be checked")
        others = [each for each in seen if each is not primary]
        _noted(server, primary, others, asked, hosts)
        return server.found
    finally:
        for each in clusters:
            each.close()


def _connected(
    address: Address, hosts: Sequence[tuple[str, int]]
) -> tuple[list[Seen], list[Cluster], dict[tuple[str, int], str]]:
    seen, clusters = [], []
    failed: dict[tuple[str, int], str] = {}
    for host, port in hosts:
        try:
            found, cluster = nodes.look(address, host, port)
        except CannotTell as unknown:
            failed[host, port] = str(unknown)
        else:
            seen.append(found)
            clusters.append(cluster)
    return seen, clusters, failed


def _primary(
    address: Address, seen: list[Seen], clusters: list[Cluster], failed: dict[tuple[str, int], str]
) -> tuple[Seen, Cluster]:
    """Return the primary; from a replica alone, the server that it streams from. Raises CannotTell."""
    for found, cluster in zip(seen, clusters, strict=True):
        if not found.replica:
            return found, cluster
    for found, cluster in list(zip(seen, clusters, strict=True)):
        where = nodes.upstream(cluster)
        if where is None:
            why = "it does not say from where it streams (GRANT pg_monitor)"
            failed[found.host, found.port] = f"{found.host}:{found.port} is a replica, and {why}"
            continue
        try:
            primary, its = nodes.look(address, *where)
        except CannotTell as unknown:
            failed[where] = f"{found.host}:{found.port} streams from it, and {unknown}"
            continue
        clusters.append(its)
        if not primary.replica:
            seen.append(primary)
            return primary, its
        failed[where] = (
            f"{found.host}:{found.port} streams from it, and it is a replica as well: name the primary"
        )
    raise CannotTell("; ".join(failed.values()) or "the DSN names no server")


def _noted(
    server: Server, primary: Seen, others: Sequence[Seen], asked: Asked, told: Sequence[tuple[str, int]]
) -> None:
    asked.says(f"primary {primary.host}:{primary.port}, PostgreSQL {primary.version}")
    nodes.connection(server, primary, asked.told)
    streams = nodes.replicas(server, primary, others, told)
    found = settings.read(server)
    nodes.bounds(server, streams, found)
    extensions = settings.versions(server, primary.version, asked.memory)
    settings.statistics(server, found, extensions)
    settings.backups(server, found, primary.host)
    poolers.look(server, asked.poolers, host=primary.host, usual=asked.usual_ports)
    gate = settings.writes(server)
    migrations.look(server, asked.migrations)
    own = structure.schemas(server, gate)
    structure.partitions(server, own)
    retention.look(server, extensions)
    timescale.look(server, extensions.get("timescaledb"))
    structure.hints(server, own)
    if own and asked.snapshot:
        _snapshot(server, own, asked.snapshot)


def _snapshot(server: Server, own: list[str], file: Path) -> None:
    try:
        written = catalog.write_snapshot(server.cluster, own, file)
    except CannotTell as unknown:
        server.unread("the structure of the tables", str(unknown), f"USAGE on the schemas {', '.join(own)}")
        return
    count = len(written.table_names)
    if count:
        seen = f"{count} tables and views in {', '.join(own)} as they are now"
        server.fact("database.tables.snapshot", file.name, seen)
