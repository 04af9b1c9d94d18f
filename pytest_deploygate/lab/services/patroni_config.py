"""What etcd, Patroni and HAProxy of the lab are started with, and where their data is."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_deploygate.lab import nodes
from pytest_deploygate.lab.state import HOST, SUPERUSER, Lab
from pytest_deploygate.lab.supervisor import Program

NAME = PROFILE = "patroni"
STORES = ("etcd1", "etcd2", "etcd3")
MEMBERS = ("patroni1", "patroni2", "patroni3")
BALANCER, READS = "patroni-lb", "patroni-lb-reads"
#: What holds the network of the members, if each has a machine of its own.
BRIDGE = "patroni-network"
#: The file that says that they have.
_APART = "machines"
#: Who may change something through the REST API.
REST_USER = "operator"
SCOPE = "platform"
#: The dynamic configuration in which the lab comes up. A short ttl: a test must not wait the usual half minute.
DYNAMIC: Mapping[str, Any] = {
    "ttl": 10,
    "loop_wait": 1,
    "retry_timeout": 3,
    "maximum_lag_on_failover": 1024**2,
    "synchronous_mode": True,
    "synchronous_mode_strict": False,
    "failsafe_mode": True,
    # A leader that has crashed does not start again by itself: with a full disk it would try for five minutes.
    "master_start_timeout": 0,
}
_PARAMETERS = {
    "max_connections": 60,
    "shared_buffers": "32MB",
    "wal_level": "replica",
    "wal_log_hints": "on",
    "max_wal_senders": 10,
    "max_replication_slots": 10,
    "max_slot_wal_keep_size": "256MB",
    "wal_keep_size": "64MB",
    "wal_receiver_status_interval": "1s",
    "wal_retrieve_retry_interval": "500ms",
    "synchronous_commit": "on",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
}
_HAPROXY = """global
    maxconn 200
    stats socket {socket} mode 600 level admin

defaults
    mode tcp
    timeout connect 1s
    timeout client 60s
    timeout server 60s
    timeout check 1s

listen writes
    bind {host}:{writes}
    option httpchk OPTIONS /primary
    http-check expect status 200
    default-server inter 200ms fall 2 rise 1 on-marked-down shutdown-sessions
{servers}

listen reads
    bind {host}:{reads}
    balance roundrobin
    option httpchk OPTIONS /replica
    http-check expect status 200
    default-server inter 200ms fall 2 rise 1 on-marked-down shutdown-sessions
{servers}
"""


def address(lab: Lab, member: str = "") -> str:
    """Return where a member is reached, or with none, where it reaches etcd: on loopback, unless it has a machine of its own.

    The network is one of those for benchmarks (RFC 2544); each lab has its own, as it has its own block of ports.
    """
    if not apart(lab):
        return HOST
    number = MEMBERS.index(member) + 11 if member else 254
    return f"198.19.{(lab.ports[BRIDGE] - 20000) // 200}.{number}"


def apart(lab: Lab) -> bool:
    """Return whether each member has a machine of its own."""
    return (where(lab) / _APART).exists()


def set_apart(lab: Lab) -> None:
    """Say that each member gets a machine of its own."""
    nodes.put(lab, where(lab) / _APART, "")


def machine(member: str) -> str:
    """Return the name of the process that holds a member's machine."""
    return f"{member}-machine"


def where(lab: Lab) -> Path:
    """Return the folder of configurations and data."""
    return lab.private / NAME


def data(lab: Lab, member: str) -> Path:
    """Return a member's data folder."""
    return where(lab) / member


def store(lab: Lab, name: str) -> Program:
    """Return how a member of etcd is started."""
    peers = ",".join(f"{each}=http://{HOST}:{lab.ports[f'{each}-peer']}" for each in STORES)
    here, peer = (f"http://{HOST}:{lab.ports[port]}" for port in (name, f"{name}-peer"))
    words = [lab.programs["etcd"], "--name", name, "--data-dir", str(where(lab) / name)]
    clients = [here, *([f"http://{address(lab)}:{lab.ports[name]}"] if apart(lab) else [])]
    words += ["--listen-client-urls", ",".join(clients), "--advertise-client-urls", clients[-1]]
    words += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
    words += ["--initial-cluster", peers, "--initial-cluster-token", SCOPE, "--initial-cluster-state", "new"]
    # Without a wait for the disk: two processors serve all tests.
    words += ["--unsafe-no-fsync", "--heartbeat-interval", "100", "--election-timeout", "1000"]
    return Program([*words, "--log-level", "warn"], lab.user, death_signal=signal.SIGKILL)


def configuration(lab: Lab, name: str, tags: Mapping[str, bool]) -> dict[str, Any]:
    """Return a member's configuration."""
    host = address(lab, name)
    rest = f"{host}:{lab.ports[f'{name}-rest']}"
    login = {"username": SUPERUSER, "password": lab.password(SUPERUSER).reveal()}
    follows = {"username": "replicator", "password": lab.password("replicator").reveal()}
    return {
        "scope": SCOPE,
        "name": name,
        "log": {"level": "INFO"},
        "restapi": {
            "listen": rest,
            "connect_address": rest,
            "authentication": {"username": REST_USER, "password": lab.password(NAME).reveal()},
        },
        "etcd3": {"hosts": [f"{address(lab)}:{lab.ports[store]}" for store in STORES]},
        "bootstrap": {
            "dcs": {
                **DYNAMIC,
                "postgresql": {"use_pg_rewind": True, "use_slots": True, "parameters": _PARAMETERS},
            },
            "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "data-checksums", "no-sync"],
        },
        "postgresql": {
            "listen": f"{host}:{lab.ports[name]}",
            "connect_address": f"{host}:{lab.ports[name]}",
            "data_dir": str(data(lab, name)),
            "bin_dir": str(lab.servers),
            "basebackup": [{"checkpoint": "fast"}, "no-sync"],
            "pgpass": str(where(lab) / f"{name}.pgpass"),
            "authentication": {"superuser": login, "replication": follows, "rewind": login},
            "parameters": {"unix_socket_directories": str(lab.sockets), "fsync": "off"},
            "pg_hba": _rules(lab),
        },
        "tags": dict(tags),
    }


def _rules(lab: Lab) -> list[str]:
    rules = nodes.LOGIN_RULES.strip().splitlines()
    if apart(lab):
        network = f"{address(lab)}/24"
        rules += [f"host {kind} all {network} scram-sha-256" for kind in ("all", "replication")]
    return rules


def balancer(lab: Lab) -> str:
    """Return the configuration of HAProxy."""
    servers = [
        f"    server {name} {address(lab, name)}:{lab.ports[name]} check port {lab.ports[f'{name}-rest']}"
        for name in MEMBERS
    ]
    return _HAPROXY.format(
        socket=where(lab) / "balancer.sock",
        host=HOST,
        writes=lab.ports[BALANCER],
        reads=lab.ports[READS],
        servers="\n".join(servers),
    )
