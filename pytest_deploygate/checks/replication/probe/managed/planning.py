"""What the drills of a cluster share, what they will disturb and for how long, and the configuration that they test."""

from __future__ import annotations

from pytest_deploygate.checks.replication.probe.managed import whole
from pytest_deploygate.checks.replication.probe.managed.managers import Manager, manager
from pytest_deploygate.checks.replication.probe.managed.steps import Steps
from pytest_deploygate.checks.replication.probe.servers import read_server
from pytest_deploygate.checks.replication.section import Disturbance, Managed, WriteLoad
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.fields.patroni import Patroni
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell, words_for


@dataclass(frozen=True)
class Context:
    """What all drills of a cluster share."""

    cluster: Cluster
    managed: Managed
    manager: Manager
    environment: str
    load: WriteLoad


def context(cluster: Cluster, managed: Managed, load: WriteLoad | None, environment: str) -> Context:
    """Return what drills need. Raises CannotTell if the manager's section is missing."""
    patroni: Patroni | None = getattr(cluster.settings, "patroni", None)
    return Context(cluster, managed, manager(cluster, managed, patroni), environment, load or WriteLoad())


def plan(managed: Managed, cluster: Cluster) -> list[str]:
    """Return what the drills will disturb and for how long, one sentence a line."""
    within_s, rejoin_s = managed.within.total_seconds(), managed.rejoin_within.total_seconds()
    lines = [
        f"Failover drills of {', '.join(node.name for node in cluster.nodes)} through {managed.manager}:"
    ]
    for each in managed.faults:
        if each.unavailable:
            lines.append(f"  {each.fault}: not tried: {each.unavailable}")
            continue
        how = f"`{each.do}`, later `{each.undo}`" if each.do else "asked of the manager"
        lines.append(f"  {each.fault}: {how}")
    tried = sum(each.unavailable is None for each in managed.faults)
    lines.append(
        f"  Each time clients cannot write for up to {words_for(within_s)}, and one node is missing for up to "
        f"{words_for(within_s + rejoin_s)}; {tried} drills take at most {words_for(tried * 2 * (within_s + rejoin_s))}."
    )
    lines.append(
        f"  Afterwards {cluster.primary.name} leads again. What is changed is noted in {Steps(managed.record).file}."
    )
    return lines


def configuration(about: Context) -> dict[str, str]:
    """Return what a drill's result depends on: names, version, settings, commands; no addresses.

    Patroni chooses synchronous_standby_names itself, and another one after each switch: its mode counts instead.
    """
    leader = whole.leader(about.cluster)
    server = read_server(about.cluster, leader)
    if not server.answered:
        raise CannotTell(server.problem)
    found = {
        "database": about.cluster.settings.name,
        "nodes": ", ".join(sorted(node.name for node in about.cluster.nodes)),
        "version": str(server.version),
        "synchronous_commit": server.synchronous_commit,
        "manager": about.managed.manager,
    }
    names = server.synchronous_standby_names
    if about.managed.manager == "pg_auto_failover":
        # The monitor names all others, so other names after each switch; only how many count is set.
        names = names.partition("(")[0].strip()
    if about.managed.manager != "patroni":
        found["synchronous_standby_names"] = names
    return found | about.manager.configuration()


def commands_of(disturbance: Disturbance) -> dict[str, str]:
    """Return the commands of a fault, on which its result depends."""
    return {"do": disturbance.do, "undo": disturbance.undo or ""} if disturbance.do else {}
