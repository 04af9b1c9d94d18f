"""Patroni with etcd, for real: three nodes that elect their leader, and HAProxy, which follows their REST API.

They are a cluster of their own beside db1 to db3. Patroni starts and stops its PostgreSQL servers itself, so the
supervisor knows its three processes and not theirs.
"""

from __future__ import annotations

import json
import signal
import urllib.request
from dataclasses import replace

from pytest_deploygate.lab import client, nodes, processes
from pytest_deploygate.lab.services import Service
from pytest_deploygate.lab.services import patroni_config as config
from pytest_deploygate.lab.services import patroni_machines as machines
from pytest_deploygate.lab.services.patroni_asked import ask, change, lead, leader, on, wait, wait_whole
from pytest_deploygate.lab.services.patroni_broken import mend
from pytest_deploygate.lab.services.patroni_config import (
    BALANCER,
    DYNAMIC,
    MEMBERS,
    NAME,
    PROFILE,
    READS,
    STORES,
    where,
)
from pytest_deploygate.lab.state import DATABASE, HOST, Lab
from pytest_deploygate.lab.supervisor import Program


def start(lab: Lab) -> None:
    """Start etcd, then the first member, which creates the cluster, then the others and HAProxy. Raises LabError."""
    processes.run(["/bin/mkdir", "-p", str(where(lab))], user=lab.user)
    if not machines.lacking():
        config.set_apart(lab)
        machines.start(lab)
    for name in STORES:
        client.start(lab, name, config.store(lab, name))
    wait("start of etcd", lambda: all(map(_healthy, _store_urls(lab))), lab, STORES)
    nodes.put(lab, where(lab) / "balancer.cfg", config.balancer(lab))
    for name in MEMBERS:
        tag(lab, name)
    client.start(lab, MEMBERS[0], _member(lab, MEMBERS[0]))
    wait("first leader", lambda: ask(lab, MEMBERS[0], "/primary")[0] == 200, lab, MEMBERS[:1])
    for name in MEMBERS[1:]:
        client.start(lab, name, _member(lab, name))
    _furnish(lab)
    words = [lab.programs["haproxy"], "-db", "-f", str(where(lab) / "balancer.cfg")]
    client.start(lab, BALANCER, Program(words, lab.user, death_signal=signal.SIGKILL))
    wait_whole(lab)


def _member(lab: Lab, name: str) -> Program:
    """Return how a member of Patroni is started."""
    # Debian's Patroni runs with the system's Python, which must not look for modules in our environment.
    env = {"PYTHONPATH": "", "VIRTUAL_ENV": ""}
    words = [lab.programs["patroni"], str(where(lab) / f"{name}.yml")]
    entered = machines.entering(lab, name, words) if config.apart(lab) else Program(words, lab.user)
    return replace(entered, env=env, death_signal=signal.SIGTERM)


def tag(lab: Lab, member: str, **tags: bool) -> None:
    """Write a member's configuration with tags; a member that runs takes them over when it is told to `reload`."""
    nodes.put(
        lab, where(lab) / f"{member}.yml", json.dumps(config.configuration(lab, member, tags), indent=1)
    )


def reload(lab: Lab, member: str) -> None:
    """Have a member read its configuration again."""
    client.send(lab, member, signal.SIGHUP)


def repair(lab: Lab) -> None:
    """Return to the state in which the lab came up: everything runs, configuration, tags, and patroni1 leads. Raises LabError."""
    stores(lab, run=True)
    client.start(lab, BALANCER)
    for name in MEMBERS:
        mend(lab, name)
        tag(lab, name)
        if client.status(lab.folder)["servers"][name]["exit_code"] is None:
            reload(lab, name)
    wait("a leader of Patroni", lambda: bool(leader(lab)), lab, MEMBERS, 60.0)
    change(lab, **DYNAMIC, pause=None)
    wait("Patroni's own configuration", lambda: _untouched(lab), lab, MEMBERS)
    wait_whole(lab)
    lead(lab, MEMBERS[0])


def _untouched(lab: Lab) -> bool:
    """Return whether every member goes by the configuration of the start, has no tag and no lag."""
    for name in MEMBERS:
        _, dynamic = ask(lab, name, "/config")
        _, own = ask(lab, name, "/patroni")
        if not isinstance(dynamic, dict) or not isinstance(own, dict):
            return False
        if any(dynamic.get(key) != value for key, value in DYNAMIC.items()) or own.get("pause"):
            return False
    _, cluster = ask(lab, MEMBERS[0], "/cluster")
    members = cluster.get("members", []) if isinstance(cluster, dict) else []
    return len(members) == len(MEMBERS) and not any(each.get("tags") or each.get("lag") for each in members)


def stores(lab: Lab, *, run: bool) -> None:
    """Start or stop all members of etcd. Raises LabError."""
    for name in STORES:
        if run:
            client.start(lab, name)
        else:
            client.stop(lab, name, signal.SIGKILL)
    if run:
        wait("start of etcd", lambda: all(map(_healthy, _store_urls(lab))), lab, STORES)


def _furnish(lab: Lab) -> None:
    """Create the platform's database and the gate's role on the leader."""
    secret = lab.password("deploygate").reveal().replace("'", "''")
    # Commits of these need not wait for a synchronous replica, which may not be there yet.
    quick = "SET synchronous_commit = local"
    on(
        lab,
        MEMBERS[0],
        quick,
        f"CREATE DATABASE {DATABASE}",
        f"CREATE ROLE deploygate LOGIN PASSWORD '{secret}'",
        "GRANT pg_monitor, pg_read_all_data TO deploygate",
    )
    on(lab, MEMBERS[0], quick, "CREATE SCHEMA deploygate AUTHORIZATION deploygate", database=DATABASE)
    on(
        lab,
        MEMBERS[0],
        quick,
        "GRANT EXECUTE ON FUNCTION pg_promote(boolean, integer) TO deploygate",
        "GRANT EXECUTE ON FUNCTION pg_switch_wal() TO deploygate",
        database=DATABASE,
    )


def _store_urls(lab: Lab) -> list[str]:
    return [f"http://{HOST}:{lab.ports[name]}" for name in STORES]


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=2.0) as answer:  # noqa: S310 (a URL of ours)
            return bool(json.load(answer).get("health") in ("true", True))
    except (OSError, ValueError):
        return False


def reset(lab: Lab) -> None:
    """Heal what a fault left."""
    repair(lab)


def values(lab: Lab) -> dict[str, str]:
    """Return what inventories refer to beside ports and secret."""
    return {
        "patroni.record": str(lab.folder / "patroni-drill.json"),
        "patroni.journal": str(lab.folder / "patroni-drill.steps"),
        "patroni.data": str(where(lab)),
        # Why no cable can be pulled and no disk filled; empty if that can be done.
        "patroni.together": "" if config.apart(lab) else machines.lacking(),
        **{f"patroni.{name}.host": config.address(lab, name) for name in MEMBERS},
        **{
            f"patroni.{name}.url": f"http://{config.address(lab, name)}:{lab.ports[f'{name}-rest']}"
            for name in MEMBERS
        },
    }


SERVICE = Service(
    name=NAME,
    servers={
        **dict.fromkeys(STORES, "etcd, in which Patroni keeps who leads"),
        **dict.fromkeys(MEMBERS, "Patroni, with a PostgreSQL server of its own"),
        BALANCER: "HAProxy, which follows Patroni's leader",
    },
    more_servers={
        config.BRIDGE: "the network of Patroni's members, if each has a machine of its own",
        **{config.machine(name): f"the machine of {name}: its network and its disk" for name in MEMBERS},
    },
    more_ports=(READS, *(f"{name}-peer" for name in STORES), *(f"{name}-rest" for name in MEMBERS)),
    programs=("patroni", "etcd", "haproxy"),
    processes=("postgres", "pg_rewind", "pg_basebackup"),
    missing="failover by a manager is not covered; apt install patroni etcd-server haproxy",
    start=start,
    where=where,
    values=values,
    reset=reset,
    secrets=(NAME,),
    alone=True,
    profiles=(PROFILE,),
)
