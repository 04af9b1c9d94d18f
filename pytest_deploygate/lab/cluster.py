"""The cluster as a whole: set up from the seed, reset to it, or returned to its roles."""

from __future__ import annotations

from pytest_deploygate.lab import (
    backups,
    client,
    copies,
    jobs,
    nodes,
    processes,
    repository,
    schedule,
    seed,
    services,
    sql,
)
from pytest_deploygate.lab.state import NODES, PRIMARY, REPLICAS, Lab, LabError

_FAILED = "SELECT failed_count FROM pg_stat_archiver"


def keep_seed(lab: Lab) -> None:
    """Copy the stopped primary, its backups and its archive aside: the state that `reset` restores."""
    processes.run(["/bin/mkdir", str(lab.seed)], user=lab.user)
    copies.data(lab, lab.data(PRIMARY), lab.seed / PRIMARY)
    for name in backups.repository(lab):
        copies.folder(lab, lab.private / name, lab.seed / name)
    status = lab.job_status("full-backup")
    status.with_suffix(".seed").write_text(status.read_text())


def lay_out(lab: Lab) -> None:
    """Copy the data of the stopped primary to the replicas and start all nodes."""
    copies.data(lab, lab.data(PRIMARY), *(lab.data(name) for name in REPLICAS))
    bring_up(lab)


def bring_up(lab: Lab) -> None:
    """Configure the stopped nodes for their roles, start them and wait until the replicas stream."""
    for name in NODES:
        nodes.configure(lab, name, primary=name == PRIMARY)
    nodes.start(lab, PRIMARY)
    nodes.create_slots(lab)
    nodes.start(lab, *REPLICAS)
    sql.wait_streaming(lab)


def reset(lab: Lab) -> None:
    """Restore the state in which the lab came up: data, backups, archive, schedule. No fault is left."""
    nodes.stop(lab, *NODES, crash=True)
    copies.data(lab, lab.seed / PRIMARY, *(lab.data(name) for name in NODES))
    for name in backups.repository(lab):
        copies.folder(lab, lab.seed / name, lab.private / name)
    bring_up(lab)
    status = lab.job_status("full-backup")
    status.write_text(status.with_suffix(".seed").read_text())
    schedule.write(lab)
    restart_services(lab)
    catch_up(lab)
    lab.record_faults([])


def rebuild(lab: Lab, source: str) -> None:
    """Return the cluster to its roles (db1 primary) with the data of `source`, which may have been promoted.

    The other nodes are discarded and copied from it, so db1 continues its timeline. A new backup begins in the
    background: the older ones belong to the previous timeline.
    """
    if source not in NODES:
        raise LabError(f"there is no node {source!r}; there are {', '.join(NODES)}")
    nodes.start(lab, source)
    if nodes.in_recovery(lab, source):
        nodes.promote(lab, source)
    nodes.stop(lab, *(name for name in NODES if name != source), crash=True)
    if source != PRIMARY:
        # pgBackRest accepts WAL from db1 only; a server that shuts down tries three times, a second apart. What waits is copied.
        sql.execute(lab, "ALTER SYSTEM SET archive_command = ''", "SELECT pg_reload_conf()", node=source)
    nodes.stop(lab, source)
    copies.data(lab, lab.data(source), *(lab.data(name) for name in NODES if name != source))
    bring_up(lab)
    forget_archiver(lab)
    catch_up(lab)
    jobs.run_soon(lab, "full-backup")


def rebuild_replica(lab: Lab, name: str) -> None:
    """Discard a replica and create it again with pg_basebackup from the running primary."""
    nodes.stop(lab, name, crash=True)
    data = str(lab.data(name))
    processes.run(["/bin/rm", "-rf", data], user=lab.user)
    nodes.create_slots(lab, [name])
    source = ["-d", f"host=127.0.0.1 port={lab.ports[PRIMARY]} user=replicator sslmode=disable"]
    processes.run(
        [lab.tool("pg_basebackup"), *source, "-D", data, "--checkpoint=fast", "--slot", name],
        user=lab.user,
        env={"PGPASSFILE": str(lab.pgpass)},
    )
    nodes.configure(lab, name, primary=False)
    nodes.start(lab, name)
    sql.wait_streaming(lab, [name])


def catch_up(lab: Lab) -> None:
    """Run the every-minute jobs now: the seed may be days old."""
    for function in ("ensure_partitions", "refresh_readings_hourly"):
        sql.execute(lab, f"SELECT platform.{function}()")
    jobs.run(lab, "apply-retention")
    seed.work(lab)


def restart_services(lab: Lab) -> None:
    """Start the servers beside PostgreSQL that have exited, and reset each service."""
    for name in client.status(lab.folder)["servers"]:
        if name not in NODES:
            client.start(lab, name)
    for service in services.running(lab):
        service.reset(lab)


def forget_archiver(lab: Lab) -> None:
    """Reset the statistics of the archiver and archive a segment, so that they are not empty.

    The primary's data may come from another node, and its counters with it: pgBackRest, which knows db1 as the only
    primary, refuses the files of a promoted replica.
    """
    sql.execute(lab, "SELECT pg_stat_reset_shared('archiver')")
    repository.switch(lab)


def ailments(lab: Lab) -> list[str]:
    """Return what is wrong with the cluster, in words; nothing when it is whole."""
    found = []
    for name, server in client.status(lab.folder)["servers"].items():
        if server["exit_code"] is not None:
            found.append(f"{name} has stopped")
    if found:
        return found
    found = [
        f"{name} is not in its role" for name in NODES if nodes.in_recovery(lab, name) is (name == PRIMARY)
    ]
    if not found:
        try:
            sql.wait_streaming(lab)
        except LabError as error:
            found.append(str(error))
    return found


def repair(lab: Lab) -> None:
    """Start what has stopped; reset the lab when that does not make the cluster whole."""
    for name, server in client.status(lab.folder)["servers"].items():
        if server["exit_code"] is not None:
            if name in NODES:
                nodes.start(lab, name)
            else:
                client.start(lab, name)
    try:
        whole = not ailments(lab)
    except LabError:
        whole = False
    if not whole:
        reset(lab)
    if sql.value(lab, _FAILED):
        forget_archiver(lab)
