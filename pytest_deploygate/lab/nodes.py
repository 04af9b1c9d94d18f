"""PostgreSQL nodes: their configuration, start and stop, and their roles."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pytest_deploygate.lab import client, processes, sql
from pytest_deploygate.lab.state import HOST, NODES, PRIMARY, REPLICAS, STANZA, SUPERUSER, Lab, LabError
from pytest_deploygate.lab.supervisor import Program

_CONFIGURATION = """
listen_addresses = '{host}'
port = {port}
unix_socket_directories = '{sockets}'
cluster_name = '{node}'
max_connections = 60
shared_buffers = 64MB
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%u@%d '
log_min_duration_statement = 250ms
log_parameter_max_length = 0
password_encryption = 'scram-sha-256'
shared_preload_libraries = 'pg_stat_statements'

fsync = on
full_page_writes = on
synchronous_commit = on
wal_level = logical
wal_log_hints = on
max_wal_senders = 10
max_replication_slots = 10
max_slot_wal_keep_size = 1GB
wal_receiver_status_interval = 1s
wal_retrieve_retry_interval = 500ms
hot_standby = on
synchronous_standby_names = '{synchronous}'
archive_mode = on
archive_timeout = 5min
archive_command = '{archive}'
primary_conninfo = '{conninfo}'
primary_slot_name = '{slot}'
"""

#: The lines of pg_hba.conf.
LOGIN_RULES = """
local all         all                        scram-sha-256
host  all         all         127.0.0.1/32   scram-sha-256
local replication replicator,platform_backup scram-sha-256
host  replication replicator,platform_backup 127.0.0.1/32 scram-sha-256
"""


def archive_command(lab: Lab) -> str:
    """Return the shell command that archives one WAL segment."""
    if lab.pgbackrest:
        words = [lab.pgbackrest, f"--config={lab.pgbackrest_config}", f"--stanza={STANZA}", "archive-push"]
        return f"{shlex.join(words).replace('%', '%%')} %p"
    kept = shlex.quote(str(lab.private / "archive")).replace("%", "%%")
    return (
        f"test ! -f {kept}/%f && cp %p {kept}/%f.part && sync {kept}/%f.part && mv {kept}/%f.part {kept}/%f"
    )


def configure(
    lab: Lab, node: str, *, primary: bool, synchronous: bool = True, archiving: bool = True
) -> None:
    """Write a node's configuration as primary or replica; settings of ALTER SYSTEM are discarded.

    A replica waits for no standby once it is promoted: the others do not stream from it then.
    """
    text = _CONFIGURATION.format(
        host=HOST,
        port=lab.ports[node],
        sockets=lab.sockets,
        node=node,
        synchronous=f"ANY 1 ({', '.join(REPLICAS)})" if primary and synchronous else "",
        archive=archive_command(lab).replace("'", "''") if archiving else "",
        conninfo=f"host={HOST} port={lab.ports[PRIMARY]} user=replicator passfile={lab.pgpass}"
        f" application_name={node} sslmode=disable connect_timeout=5",
        slot="" if node == PRIMARY else node,
    )
    files = {"postgresql.conf": text, "pg_hba.conf": LOGIN_RULES, "postgresql.auto.conf": ""}
    for name, content in files.items():
        put(lab, lab.data(node) / name, content)
    signal_file = lab.data(node) / "standby.signal"
    if primary:
        signal_file.unlink(missing_ok=True)
    else:
        put(lab, signal_file, "")


def put(lab: Lab, path: Path, content: str) -> None:
    """Write a file of mode 0600 that belongs to the servers' user."""
    processes.run(["/bin/sh", "-c", 'umask 077 && cat >"$1"', "sh", str(path)], user=lab.user, stdin=content)


def program(lab: Lab, node: str) -> Program:
    """Return the program of a node."""
    return Program([lab.tool("postgres"), "-D", str(lab.data(node))], lab.user)


def start(lab: Lab, *names: str, within_s: float = 30.0) -> None:
    """Start nodes and wait until they take connections. Raises LabError with the end of the log otherwise."""
    for name in names:
        client.start(lab, name, program(lab, name))
    for name in names:
        try:
            sql.wait_until(f"start of {name}", lambda name=name: _ready(lab, name), within_s)  # type: ignore[misc]
        except LabError as error:
            raise LabError(f"{error}: {log_end(lab, name)}") from None


def _ready(lab: Lab, node: str) -> bool:
    server = client.status(lab.folder)["servers"][node]
    if server["exit_code"] is not None:
        raise LabError(f"{node} ended with {server['exit_code']}")
    try:
        lines = (lab.data(node) / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) > 7 and lines[0] == str(server["pid"]) and lines[7].strip() in ("ready", "standby")


def stop(lab: Lab, *names: str, crash: bool = False) -> None:
    """Stop nodes in parallel: as an operator stops them, or at once as in a crash."""
    known = client.status(lab.folder)["servers"]
    number = client.CRASH if crash else client.FAST
    with ThreadPoolExecutor(len(NODES)) as pool:
        list(pool.map(lambda name: client.stop(lab, name, number), [n for n in names if n in known]))


def log_end(lab: Lab, name: str) -> str:
    """Return the last lines of a server's log, on one line."""
    try:
        return " / ".join((lab.folder / "log" / f"{name}.log").read_text().splitlines()[-5:])
    except OSError:
        return "it has no log"


def create_slots(lab: Lab, replicas: Iterable[str] = REPLICAS) -> None:
    """Create the replicas' slots on the primary, unless they exist."""
    for name in replicas:
        sql.execute(
            lab,
            f"SELECT pg_create_physical_replication_slot('{name}', true) WHERE NOT EXISTS"
            f" (SELECT FROM pg_replication_slots WHERE slot_name = '{name}')",
        )


def promote(lab: Lab, node: str) -> None:
    """Promote a replica and wait until it accepts writes."""
    sql.execute(lab, "SELECT pg_promote(true, 20)", node=node)


def in_recovery(lab: Lab, node: str) -> bool:
    """Return whether a node is a replica now."""
    return bool(sql.value(lab, "SELECT pg_is_in_recovery()", node=node))


def initialise(lab: Lab) -> None:
    """Initialise the primary's data folder, with data checksums and no login without a password."""
    password = lab.private / "initdb.password"
    put(lab, password, lab.password(SUPERUSER).reveal() + "\n")
    argv = [
        lab.tool("initdb"),
        "-D",
        str(lab.data(PRIMARY)),
        "--username",
        SUPERUSER,
        "--pwfile",
        str(password),
    ]
    argv += ["--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--data-checksums"]
    try:
        processes.run([*argv, "--no-sync", "--no-instructions"], user=lab.user)
    finally:
        password.unlink()
