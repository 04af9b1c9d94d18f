"""`lab status`: what runs where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytest_deploygate.lab import backups, client, services, values
from pytest_deploygate.lab.state import NODES, PRIMARY, Lab, load
from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Place:
    """A part of the lab and where it is. `state` is `running`, `stopped`, `exited (N)` or `missing`."""

    name: str
    what: str
    state: str
    port: int | None
    pid: int | None
    where: str


def places(folder: Path) -> list[Place]:
    """Return what runs where. Raises LabError when the lab is not up."""
    lab = load(folder)
    status = client.status(folder)
    found = [Place("supervisor", "holds the others", "running", None, status["pid"], str(folder))]
    for name, server in status["servers"].items():
        ended = server["exit_code"]
        what, where = _described(lab, name)
        found.append(
            Place(
                name,
                what,
                "running" if ended is None else "stopped" if ended == 0 else f"exited ({ended})",
                lab.ports.get(name),
                server["pid"] if ended is None else None,
                where,
            )
        )
    repository = lab.private / backups.repository(lab)[-1]
    tool = "pgBackRest" if lab.pgbackrest else "pg_basebackup"
    found.append(Place("backups", f"{tool}, by the crontab", "scheduled", None, None, str(repository)))
    return found


def _described(lab: Lab, server: str) -> tuple[str, str]:
    """Return what a server is, and where its files are."""
    if server in NODES:
        role = "primary" if server == PRIMARY else "replica"
        return f"PostgreSQL {lab.version} {role}", str(lab.data(server))
    for service in services.running(lab):
        if what := service.says(server):
            return what, str(service.where(lab))
    return "", ""


def as_json(folder: Path) -> dict[str, Any]:
    """Return what `lab status --json` prints."""
    lab = load(folder)
    return {
        "running": True,
        "folder": str(folder),
        "servers": [
            {k: getattr(p, k) for k in ("name", "what", "state", "port", "pid", "where")}
            for p in places(folder)
        ],
        "missing": list(lab.missing),
        "faults": lab.faults(),
        "profiles": {"up": list(lab.profiles), "available": services.known_profiles()},
        "values": values.of(lab, services.running(lab)),
    }
