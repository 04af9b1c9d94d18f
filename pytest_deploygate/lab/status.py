"""`lab status`: what runs where."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_deploygate.lab import backups, client, services
from pytest_deploygate.lab.state import NODES, PRIMARY, load


@dataclass(frozen=True, slots=True)
class Place:
    """Something of the lab and where it is. `state` is `running`, `stopped`, `exited (N)` or `missing`."""

    name: str
    what: str
    state: str
    port: int | None
    pid: int | None
    where: str


def places(folder: Path) -> list[Place]:
    """Tell what runs where. Raises LabError when the lab is not up."""
    lab = load(folder)
    status = client.status(folder)
    found = [Place("supervisor", "holds the others", "running", None, status["pid"], str(folder))]
    beside = {name: service for service in services.running(lab) for name in service.servers}
    for name, server in status["servers"].items():
        ended = server["exit_code"]
        found.append(
            Place(
                name,
                beside[name].servers[name]
                if name in beside
                else f"PostgreSQL {lab.version} {'primary' if name == PRIMARY else 'replica'}"
                if name in NODES
                else "application, version 2",
                "running" if ended is None else "stopped" if ended == 0 else f"exited ({ended})",
                lab.ports.get(name),
                server["pid"] if ended is None else None,
                str(beside[name].where(lab) if name in beside else lab.data(name) if name in NODES else ""),
            )
        )
    where = lab.private / backups.repository(lab)[-1]
    tool = "pgBackRest" if lab.pgbackrest else "pg_basebackup"
    found.append(Place("backups", f"{tool}, by the crontab", "scheduled", None, None, str(where)))
    return found


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
        "values": services.values(lab, services.running(lab)),
    }
