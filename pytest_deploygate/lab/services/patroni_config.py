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
    words += ["--listen-client-urls", here, "--advertise-client-urls", here]
    words += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
    words += ["--initial-cluster", peers, "--initial-cluster-token", SCOPE, "--initial-cluster-state", "new"]
    # Without a wait for the disk: two processors serve all tests.
    words += ["--unsafe-no-fsync", "--heartbeat-interval", "100", "--election-timeout", "1000"]
    return Program([*words, "--log-level", "warn"], lab.user, death_signal=signal.SIGKILL)


def member(lab: Lab, name: str) -> Program:
    """Return how a member of Patroni is started."""
    # Debian's Patroni runs with the system's Python, which must not look for modules in our environment.
    env = {"PYTHONPATH": "", "VIRTUAL_ENV": ""}
    words = [lab.programs["patroni"], str(where(lab) / f"{name}.yml")]
    return Program(words, lab.user, env, death_signal=signal.SIGTERM)


def configuration(lab: Lab, name: str, tags: Mapping[str, bool]) -> dict[str, Any]:
    """Return a member's configuration."""
    rest = f"{HOST}:{lab.ports[f'{name}-rest']}"
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
        "etcd3": {"hosts": [f"{HOST}:{lab.ports[store]}" for store in STORES]},
        "bootstrap": {
            "dcs": {
                **DYNAMIC,
                "postgresql": {"use_pg_rewind": True, "use_slots": True, "parameters": _PARAMETERS},
            },
            "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "data-checksums", "no-sync"],
        },
        "postgresql": {
            "listen": f"{HOST}:{lab.ports[name]}",
            "connect_address": f"{HOST}:{lab.ports[name]}",
            "data_dir": str(data(lab, name)),
            "bin_dir": str(lab.servers),
            "basebackup": [{"checkpoint": "fast"}, "no-sync"],
            "pgpass": str(where(lab) / f"{name}.pgpass"),
            "authentication": {"superuser": login, "replication": follows, "rewind": login},
            "parameters": {"unix_socket_directories": str(lab.sockets), "fsync": "off"},
            "pg_hba": nodes.LOGIN_RULES.strip().splitlines(),
        },
        "tags": dict(tags),
    }


def balancer(lab: Lab) -> str:
    """Return the configuration of HAProxy."""
    servers = [
        f"    server {name} {HOST}:{lab.ports[name]} check port {lab.ports[f'{name}-rest']}"
        for name in MEMBERS
    ]
    return _HAPROXY.format(
        socket=where(lab) / "balancer.sock",
        host=HOST,
        writes=lab.ports[BALANCER],
        reads=lab.ports[READS],
        servers="\n".join(servers),
    )
