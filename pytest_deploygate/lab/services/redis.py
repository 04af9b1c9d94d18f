"""Redis, in which the application keeps the profiles of people."""

from __future__ import annotations

import importlib.util
import socket
from pathlib import Path
from signal import SIGTERM

from pytest_deploygate.lab import client, nodes, processes, sql
from pytest_deploygate.lab.programs import tool
from pytest_deploygate.lab.services import Service
from pytest_deploygate.lab.state import HOST, Lab, LabError
from pytest_deploygate.lab.supervisor import Program

NAME = "redis"
_PROGRAM = "redis-server"
_CONFIGURATION = """bind {host}
port {port}
protected-mode yes
requirepass {password}
dir {folder}
save ""
appendonly no
daemonize no
maxmemory 32mb
"""


def where(lab: Lab) -> Path:
    """Return the folder of the configuration."""
    return lab.private / NAME


def secret(lab: Lab) -> Path:
    """Return the file with the password."""
    return lab.secret_file(NAME)


def start(lab: Lab) -> None:
    """Write the configuration, start Redis and wait until it takes connections. Raises LabError."""
    processes.run(["/bin/mkdir", str(where(lab))], user=lab.user)
    configuration = where(lab) / "redis.conf"
    text = _CONFIGURATION.format(
        host=HOST, port=lab.ports[NAME], password=secret(lab).read_text(), folder=where(lab)
    )
    nodes.put(lab, configuration, text)
    client.start(
        lab, NAME, Program([lab.programs[_PROGRAM], str(configuration)], lab.user, death_signal=SIGTERM)
    )
    try:
        sql.wait_until("start of Redis", lambda: _answers(lab), 10.0)
    except LabError as error:
        raise LabError(f"{error}: {nodes.log_end(lab, NAME)}") from None


def _answers(lab: Lab) -> bool:
    try:
        with socket.create_connection((HOST, lab.ports[NAME]), 1.0) as connection:
            connection.settimeout(1.0)
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
    except OSError:
        return False


def _find(name: str) -> str | None:
    """Look for the server, which is of no use without the client library (an extra)."""
    return tool(name) if importlib.util.find_spec("redis") else None


def values(lab: Lab) -> dict[str, str]:
    """Return what inventories refer to beside port and password. Only the application, behind the front, writes to it."""
    return {"redis.holds": "true" if "front" in lab.ports else "false"}


SERVICE = Service(
    name=NAME,
    servers={NAME: "Redis, the profiles of people"},
    programs=(_PROGRAM,),
    missing="erasure from a cache is not covered; apt install redis-server, pip install redis",
    start=start,
    where=where,
    values=values,
    find=_find,
    secrets=(NAME,),
    alone=True,
)
