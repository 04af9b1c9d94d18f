"""Versions of the platform's application: deploying 2.0.0 over 1.4.2 as a real change would, and starting 1.4.2 again.

Deploying version 2 creates a restore point, runs its migration, starts its replicas, makes HAProxy send them the traffic
of the new address, records the time, and moves DNS there. One replica of version 1 stays behind the old address for the
way back. `bring_up_old` starts all of version 1; it does not move users.
"""

from __future__ import annotations

import csv
import json
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

from pytest_deploygate.checks.way_back.section.rollback import Haproxy
from pytest_deploygate.lab import client, cluster, disturbance, processes, sql, way_back
from pytest_deploygate.lab.app import NEW_REPLICAS, NEW_VERSION, OLD_VERSION
from pytest_deploygate.lab.services import dns, front
from pytest_deploygate.lab.state import HOST, PRIMARY, Lab, LabError
from pytest_deploygate.rollback import haproxy

VERSIONS = (OLD_VERSION, NEW_VERSION)
#: TTL of the platform's name around a cutover, in seconds: lowered, as is done the day before.
TTL = 5
_MIGRATION = "ALTER TABLE platform.machines RENAME COLUMN line TO production_line"
_STOPPED = "app2"
_WRITES = "SELECT sensor_id, recorded_at, value FROM platform.readings WHERE recorded_at >= %s ORDER BY 2, 1"


def point(change: str) -> str:
    """Return the name of the restore point that the deployment of a change makes."""
    return f"before-{change}"


def start_before(lab: Lab) -> None:
    """Move users to where they were before the cutover: the old address, with version 1."""
    _needs_front(lab)
    dns.point(lab, dns.SWITCHED, front.OLD_HOST, ttl=TTL)
    dns.settle(lab)


def deploy_new(lab: Lab, change: str) -> None:
    """Deploy version 2 and move users to it. Raises LabError."""
    _needs_front(lab)
    sql.execute(lab, f"SELECT pg_create_restore_point('{point(change)}')", "SELECT pg_switch_wal()")
    for name in NEW_REPLICAS:
        client.start(lab, name, front.replica(lab, name))
    sql.wait_until("start of version 2", lambda: _runs(lab, NEW_VERSION), 20.0)
    sql.execute(lab, _MIGRATION)
    _balance(lab, ready=NEW_REPLICAS, maint=front.REPLICAS)
    sql.wait_until("HAProxy's notice of version 2", lambda: set(front.replicas_up(lab)) == {*NEW_REPLICAS})
    cutover_file(lab).write_text(f"{datetime.now(UTC).isoformat(timespec='milliseconds')}\n")
    dns.point(lab, dns.SWITCHED, HOST, ttl=TTL)
    dns.settle(lab)
    client.stop(lab, _STOPPED)


def bring_up_old(lab: Lab) -> None:
    """Restart version 1's replicas and wait until both serve the old address. Raises LabError."""
    _needs_front(lab)
    for name in front.REPLICAS:
        client.stop(lab, name)
        client.start(lab, name, front.replica(lab, name))
    sql.wait_until("an answer of version 1", lambda: not why_not(lab, OLD_VERSION), 20.0)
    sql.wait_until("HAProxy's notice", lambda: set(front.replicas_up(lab, "old")) == {*front.REPLICAS})


def why_not(lab: Lab, version: str) -> str:
    """Return why a version is not fully up (each replica and its tables); empty where it is."""
    names = front.REPLICAS if version == OLD_VERSION else NEW_REPLICAS
    for name in names:
        try:
            said = json.loads(_get(lab, name, "/version"))["version"]
            if said != version:
                return f"{name} is {said}"
            _get(lab, name, "/api/machines")
        except (OSError, ValueError, KeyError) as error:
            return f"{name} does not serve: {error}"
    return ""


def forget(lab: Lab) -> None:
    """Restore the state before any deployment: version 1, data, DNS, HAProxy. Raises LabError."""
    disturbance.end(lab)
    Path(front.values(lab)["maintenance.flag"]).unlink(missing_ok=True)
    running = client.status(lab.folder)["servers"]
    for name in NEW_REPLICAS:
        if name in running:
            client.stop(lab, name)
            client.forget(lab, name)
    _balance(lab, ready=front.REPLICAS, maint=NEW_REPLICAS)
    cluster.reset(lab)
    script = 'rm -rf "$1".before-rollback-* "$1".restoring'
    processes.run(["/bin/sh", "-ec", script, "sh", str(lab.data(PRIMARY))], user=lab.user)
    dns.point(lab, dns.SWITCHED, HOST)
    dns.settle(lab)
    front.wait_whole(lab)
    cutover_file(lab).unlink(missing_ok=True)


def cutover_file(lab: Lab) -> Path:
    """Return the file with the time since which version 2 serves users; it exists from its deployment on."""
    return way_back.cutover(lab)


def save_writes(lab: Lab, file: Path) -> int:
    """Write the readings that version 2 has accepted since the cutover as CSV; return how many. Raises LabError."""
    try:
        since = datetime.fromisoformat(cutover_file(lab).read_text().strip())
        rows = sql.execute(lab, _WRITES, parameters=(since,))
        with file.open("w", newline="") as out:
            writer = csv.writer(out)
            writer.writerow(("sensor_id", "recorded_at", "value"))
            writer.writerows((sensor, at.isoformat(), value) for sensor, at, value in rows)
    except (OSError, ValueError) as error:
        raise LabError(f"the writes since the cutover cannot be saved: {error}") from None
    return len(rows)


def _runs(lab: Lab, version: str) -> bool:
    try:
        return all(json.loads(_get(lab, name, "/version"))["version"] == version for name in NEW_REPLICAS)
    except (OSError, ValueError, KeyError):
        return False


def _get(lab: Lab, name: str, path: str) -> str:
    with urllib.request.urlopen(f"http://{HOST}:{lab.ports[name]}{path}", timeout=3.0) as answer:
        text: str = answer.read().decode()
        return text


def _balance(lab: Lab, *, ready: tuple[str, ...], maint: tuple[str, ...]) -> None:
    socket = front.values(lab)["haproxy.socket"]
    wanted = Haproxy(socket=socket, backend="replicas", ready=list(ready), maint=list(maint))
    if problem := haproxy.switch(wanted):
        raise LabError(problem)


def _needs_front(lab: Lab) -> None:
    if front.FRONT not in lab.ports:
        raise LabError("this lab has no HTTP front, so nothing can be deployed: apt install haproxy nginx")
