"""Patroni with etcd, for real: three nodes that elect their leader, and HAProxy, which follows their REST API.

They are a cluster of their own beside db1 to db3. Patroni starts and stops its PostgreSQL servers itself, so the
supervisor knows its three processes and not theirs.
"""

from __future__ import annotations

import contextlib
import json
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg

from pytest_deploygate.lab import client, nodes, processes, sql
from pytest_deploygate.lab.services import Service
from pytest_deploygate.lab.state import DATABASE, HOST, SUPERUSER, Lab, LabError
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


def start(lab: Lab) -> None:
    """Start etcd, then the first member, which creates the cluster, then the others and HAProxy. Raises LabError."""
    processes.run(["/bin/mkdir", "-p", str(where(lab))], user=lab.user)
    for name in STORES:
        client.start(lab, name, _store(lab, name))
    _wait("start of etcd", lambda: all(map(_healthy, _store_urls(lab))), lab, STORES)
    nodes.put(lab, where(lab) / "balancer.cfg", _balancer(lab))
    for name in MEMBERS:
        tag(lab, name)
    client.start(lab, MEMBERS[0], _member(lab, MEMBERS[0]))
    _wait("first leader", lambda: ask(lab, MEMBERS[0], "/primary")[0] == 200, lab, MEMBERS[:1])
    for name in MEMBERS[1:]:
        client.start(lab, name, _member(lab, name))
    _furnish(lab)
    words = [lab.programs["haproxy"], "-db", "-f", str(where(lab) / "balancer.cfg")]
    client.start(lab, BALANCER, Program(words, lab.user, death_signal=signal.SIGKILL))
    wait_whole(lab)


def tag(lab: Lab, member: str, **tags: bool) -> None:
    """Write a member's configuration with tags; a member that runs takes them over when it is told to `reload`."""
    nodes.put(lab, where(lab) / f"{member}.yml", json.dumps(_configuration(lab, member, tags), indent=1))


def reload(lab: Lab, member: str) -> None:
    """Have a member read its configuration again."""
    client.send(lab, member, signal.SIGHUP)


def ask(
    lab: Lab, member: str, path: str, *, method: str = "GET", body: object = None, timeout_s: float = 5.0
) -> tuple[int, Any]:
    """Send a request to a member's REST API; return status and document, (0, None) if it does not answer."""
    url = f"http://{HOST}:{lab.ports[f'{member}-rest']}{path}"
    password = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    password.add_password(None, url, REST_USER, lab.password(NAME).reveal())
    opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(password))
    sent = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, sent, {"Content-Type": "application/json"}, method=method)
    try:
        with opener.open(request, timeout=timeout_s) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read()
    except OSError:
        return 0, None
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text.decode(errors="replace")


def change(lab: Lab, **settings: object) -> None:
    """Change the dynamic configuration, as `patronictl edit-config` does. Raises LabError."""
    refusals = []
    for member in MEMBERS:
        status, said = ask(lab, member, "/config", method="PATCH", body=settings)
        if status == 200:
            return
        refusals.append(f"{member}: {status} {said}")
    raise LabError(f"Patroni does not take {settings}: {'; '.join(refusals)}")


def leader(lab: Lab) -> str:
    """Return the member that says that it is the primary; empty if none does."""
    return next((name for name in MEMBERS if ask(lab, name, "/primary", timeout_s=1.0)[0] == 200), "")


def wait_whole(lab: Lab, within_s: float = 60.0) -> None:
    """Wait until one member leads, the others stream, and one is synchronous where that is configured. Raises LabError."""
    _wait("a leader and two streaming replicas of Patroni", lambda: _whole(lab), lab, MEMBERS, within_s)


def repair(lab: Lab) -> None:
    """Return to the state in which the lab came up: everything runs, configuration, tags, and patroni1 leads. Raises LabError."""
    stores(lab, on=True)
    client.start(lab, BALANCER)
    for name in MEMBERS:
        mend(lab, name)
        tag(lab, name)
        if client.status(lab.folder)["servers"][name]["exit_code"] is None:
            reload(lab, name)
    _wait("a leader of Patroni", lambda: bool(leader(lab)), lab, MEMBERS, 60.0)
    change(lab, **DYNAMIC, pause=None)
    _wait("Patroni's own configuration", lambda: _untouched(lab), lab, MEMBERS)
    wait_whole(lab)
    lead(lab, MEMBERS[0])


def _untouched(lab: Lab) -> bool:
    """Return whether every member goes by the configuration of the start, has no tag and no lag."""
    for name in MEMBERS:
        _, config = ask(lab, name, "/config")
        _, own = ask(lab, name, "/patroni")
        if not isinstance(config, dict) or not isinstance(own, dict):
            return False
        if any(config.get(key) != value for key, value in DYNAMIC.items()) or own.get("pause"):
            return False
    _, cluster = ask(lab, MEMBERS[0], "/cluster")
    members = cluster.get("members", []) if isinstance(cluster, dict) else []
    return len(members) == len(MEMBERS) and not any(each.get("tags") or each.get("lag") for each in members)


def lead(lab: Lab, wanted: str) -> None:
    """Switch over to a member, unless it leads. Raises LabError.

    Patroni switches to a synchronous replica only. Where that is another one, it goes first; the wanted one, which goes on
    streaming, is synchronous then.
    """

    def there() -> bool:
        now = leader(lab)
        if now == wanted:
            return True
        if now:
            _, cluster = ask(lab, now, "/cluster")
            members = cluster.get("members", []) if isinstance(cluster, dict) else []
            next_one = [each["name"] for each in members if each["role"] == "sync_standby"]
            body = {"leader": now, "candidate": next_one[0] if next_one else wanted}
            ask(lab, now, "/switchover", method="POST", body=body, timeout_s=30.0)
            with contextlib.suppress(LabError):
                wait_whole(lab, 20.0)
        return leader(lab) == wanted

    _wait(f"switchover to {wanted}", there, lab, MEMBERS, 90.0)
    wait_whole(lab)


def _whole(lab: Lab) -> bool:
    status, cluster = ask(lab, MEMBERS[0], "/cluster")
    if status != 200:
        return False
    members = cluster.get("members", [])
    roles = sorted(each["role"] for each in members)
    if len(members) != len(MEMBERS) or roles not in (
        ["leader", "replica", "replica"],
        ["leader", "replica", "sync_standby"],
    ):
        return False
    lead_node = next(each["name"] for each in members if each["role"] == "leader")
    timelines = {each.get("timeline") for each in members}
    _, config = ask(lab, lead_node, "/config")
    wanted = isinstance(config, dict) and bool(config.get("synchronous_mode"))
    try:
        rows = on(lab, lead_node, "SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming'")
    except psycopg.Error:
        return False
    synchronous = any(row[0] in ("sync", "quorum") for row in rows)
    return len(timelines) == 1 and len(rows) == 2 and synchronous is wanted


def on(lab: Lab, member: str, *statements: str, database: str = "postgres") -> list[tuple[Any, ...]]:
    """Run statements on a member as superuser; return the rows of the last one. Raises psycopg.Error."""
    rows: list[tuple[Any, ...]] = []
    with sql.connect(lab, member, database=database) as connection:
        for statement in statements:
            done = connection.execute(statement.encode())
            rows = done.fetchall() if done.description else []
    return rows


def postmaster(lab: Lab, member: str) -> int:
    """Return the process of a member's PostgreSQL server. Raises LabError."""
    try:
        return int((data(lab, member) / "postmaster.pid").read_text().splitlines()[0])
    except (OSError, ValueError, IndexError):
        raise LabError(f"{member} has no PostgreSQL server that runs") from None


def crash(lab: Lab, member: str, receivers_frozen_s: float = 0.0) -> None:
    """Kill a member and its PostgreSQL server at once, as a power cut does.

    With `receivers_frozen_s` the other members' WAL receivers stand still for so long before that: what is acknowledged
    meanwhile is nowhere else, if commits wait for nobody.
    """
    others = [name for name in MEMBERS if name != member and receivers_frozen_s]
    receivers = [on(lab, name, "SELECT pid FROM pg_stat_wal_receiver") for name in others]
    frozen = [int(row[0]) for rows in receivers for row in rows]
    for pid in frozen:
        processes.send(pid, signal.SIGSTOP)
    time.sleep(receivers_frozen_s)
    server = postmaster(lab, member)
    client.stop(lab, member, signal.SIGKILL)
    # The children of a server end when it does, and no buffer is written.
    for pid in (server, *_children(server), *frozen):
        processes.send(pid, signal.SIGKILL)


def freeze(lab: Lab, member: str) -> None:
    """Freeze a member's Patroni and its whole PostgreSQL server (SIGSTOP)."""
    client.send(lab, member, signal.SIGSTOP)
    server = postmaster(lab, member)
    for pid in (server, *_children(server)):
        processes.send(pid, signal.SIGSTOP)


def mend(lab: Lab, member: str) -> None:
    """Continue a frozen member, start one that was killed; nothing happens to one that runs. Raises LabError."""
    with contextlib.suppress(LabError):
        server = postmaster(lab, member)
        if Path(f"/proc/{server}").exists():
            for pid in (*_children(server), server):
                processes.send(pid, signal.SIGCONT)
    if client.status(lab.folder)["servers"][member]["exit_code"] is None:
        client.send(lab, member, signal.SIGCONT)
    else:
        client.start(lab, member)


def stores(lab: Lab, *, on: bool) -> None:
    """Start or stop all members of etcd. Raises LabError."""
    for name in STORES:
        if on:
            client.start(lab, name)
        else:
            client.stop(lab, name, signal.SIGKILL)
    if on:
        _wait("start of etcd", lambda: all(map(_healthy, _store_urls(lab))), lab, STORES)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


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


def _wait(what: str, there: Any, lab: Lab, about: tuple[str, ...], within_s: float = 40.0) -> None:
    try:
        sql.wait_until(what, there, within_s)
    except LabError as error:
        logs = "; ".join(f"{name}: {nodes.log_end(lab, name)}" for name in about)
        raise LabError(f"{error}: {logs}") from None


def _store_urls(lab: Lab) -> list[str]:
    return [f"http://{HOST}:{lab.ports[name]}" for name in STORES]


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=2.0) as answer:  # noqa: S310 (a URL of ours)
            return bool(json.load(answer).get("health") in ("true", True))
    except (OSError, ValueError):
        return False


def _store(lab: Lab, name: str) -> Program:
    peers = ",".join(f"{each}=http://{HOST}:{lab.ports[f'{each}-peer']}" for each in STORES)
    here, peer = (f"http://{HOST}:{lab.ports[port]}" for port in (name, f"{name}-peer"))
    words = [lab.programs["etcd"], "--name", name, "--data-dir", str(where(lab) / name)]
    words += ["--listen-client-urls", here, "--advertise-client-urls", here]
    words += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
    words += ["--initial-cluster", peers, "--initial-cluster-token", SCOPE, "--initial-cluster-state", "new"]
    # Without a wait for the disk: two processors serve all tests.
    words += ["--unsafe-no-fsync", "--heartbeat-interval", "100", "--election-timeout", "1000"]
    return Program([*words, "--log-level", "warn"], lab.user, death_signal=signal.SIGKILL)


def _member(lab: Lab, name: str) -> Program:
    # Debian's Patroni runs with the system's Python, which must not look for modules in our environment.
    env = {"PYTHONPATH": "", "VIRTUAL_ENV": ""}
    words = [lab.programs["patroni"], str(where(lab) / f"{name}.yml")]
    return Program(words, lab.user, env, death_signal=signal.SIGTERM)


def _configuration(lab: Lab, name: str, tags: Mapping[str, bool]) -> dict[str, Any]:
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


def _balancer(lab: Lab) -> str:
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


def reset(lab: Lab) -> None:
    """Heal what a fault left."""
    repair(lab)


def values(lab: Lab) -> dict[str, str]:
    """Return what inventories refer to beside ports and secret."""
    return {
        "patroni.record": str(lab.folder / "patroni-drill.json"),
        "patroni.journal": str(lab.folder / "patroni-drill.steps"),
        "patroni.data": str(where(lab)),
    }


SERVICE = Service(
    name=NAME,
    servers={
        **dict.fromkeys(STORES, "etcd, in which Patroni keeps who leads"),
        **dict.fromkeys(MEMBERS, "Patroni, with a PostgreSQL server of its own"),
        BALANCER: "HAProxy, which follows Patroni's leader",
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
