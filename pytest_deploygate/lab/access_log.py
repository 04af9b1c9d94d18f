"""The access logs of the lab's front: nginx's, and that of the application. Neither has queries or bodies.

They are in a folder that everybody may enter, so that their modes count. They are rotated every night, and when the lab
starts.
"""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import web

from pytest_deploygate.lab.state import Lab

#: nginx's `log_format`: of the combined one without the query, and with the time that the request took.
FORMAT = (
    '$remote_addr - $remote_user [$time_local] "$request_method $uri $server_protocol" $status $body_bytes_sent '
    '$request_time "$http_user_agent"'
)
#: The same with the whole line of the request, as the combined one has it.
WITH_QUERY = FORMAT.replace("$request_method $uri $server_protocol", "$request")
MODE = 0o640


def front(lab: Lab) -> Path:
    """Return nginx's log."""
    return lab.folder / "access" / "front.log"


def application(lab: Lab) -> Path:
    """Return the log of the application's replicas."""
    return lab.folder / "access" / "application.log"


def make(lab: Lab) -> None:
    """Make the files, so that they have their mode and owner before anything is written."""
    front(lab).parent.mkdir(mode=0o755)
    for file in (front(lab), application(lab)):
        file.touch()
        file.chmod(MODE)
    if lab.user is not None:
        shutil.chown(front(lab), lab.user)


def rotate(lab: Lab) -> None:
    """Copy each file to one beside it and empty it: its writers append, so they need not open it again."""
    for file in (front(lab), application(lab)):
        kept = file.with_name(f"{file.name}.1")
        shutil.copyfile(file, kept)
        kept.chmod(MODE)
        with file.open("r+") as opened:
            opened.truncate()


async def line(request: web.Request, status: int, took_s: float, fault: str) -> str:
    """Return the application's line of a request: JSON. `fault` is what is wrong with it, see `Disturbance`."""
    at = datetime.now(UTC)
    if fault == "hour-ahead":
        at += timedelta(hours=1)
    told = {
        "time": (at.replace(tzinfo=None) if fault == "no-zone" else at).isoformat(timespec="milliseconds"),
        "client": request.headers.get("X-Forwarded-For", request.remote),
        "method": request.method,
        "path": request.path,
        "status": status,
        "seconds": round(took_s, 4),
        "user": None,
        "agent": request.headers.get("User-Agent", ""),
    }
    if fault == "no-status":
        del told["status"]
    if fault == "body":
        told["body"] = await request.text()
    return json.dumps(told) + "\n"
