"""A mail server and a chat that take the notices of a change, the templates of these, and the record of what was sent.

Notices are sent by the command line, as people do it.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from signal import SIGTERM

from pytest_deploygate.fields.sources.lab import INVENTORIES
from pytest_deploygate.lab import client, sql
from pytest_deploygate.lab.notices_server import CHAT, MAIL, folder_of, switches_of
from pytest_deploygate.lab.services import Service
from pytest_deploygate.lab.state import HOST, Lab, LabError
from pytest_deploygate.lab.supervisor import Program
from pytest_deploygate.notices import templates

PROFILE = "notices"
INVENTORY = "lab-notices"
#: What pytest sets: the command would refuse to send.
_OF_TESTS = ("PYTEST_VERSION", "PYTEST_CURRENT_TEST")
#: Each notice with its audiences.
_NOTICES = {"pre-deployment": ("stakeholders", "customers"), "status": ("stakeholders",)}


def templates_of(lab: Lab) -> Path:
    """Return the folder of the templates."""
    return folder_of(lab) / "templates"


def start(lab: Lab) -> None:
    """Start the servers, and write templates and the chat's address. Raises LabError."""
    where = folder_of(lab)
    where.mkdir(parents=True, exist_ok=True)
    as_written(lab)
    (where / "chat").write_text(f"http://{HOST}:{lab.ports[CHAT]}/hook\n")
    program = Program(
        [sys.executable, "-m", "pytest_deploygate.lab.notices_server", str(lab.folder)], death_signal=SIGTERM
    )
    client.start(lab, MAIL, program)
    sql.wait_until("the mail server of notices", lambda: _listens(lab), 20.0)


def _listens(lab: Lab) -> bool:
    try:
        for port in (MAIL, CHAT):
            socket.create_connection((HOST, lab.ports[port]), 1.0).close()
    except OSError:
        return False
    return True


def as_written(lab: Lab) -> None:
    """Put the shipped templates back, and let nobody be refused."""
    shutil.rmtree(templates_of(lab), ignore_errors=True)
    shutil.copytree(templates.shipped_folder(), templates_of(lab))
    switches_of(lab).write_text("{}")


def forget(lab: Lab) -> None:
    """Remove the record, as if nothing was ever sent."""
    shutil.rmtree(folder_of(lab) / "record", ignore_errors=True)


def send(lab: Lab, *wanted: str, refused: bool = False) -> None:
    """Send notices to their audiences by the command line: all of them by default. Raises LabError."""
    for notice in wanted or tuple(_NOTICES):
        to = [word for audience in _NOTICES[notice] for word in ("--to", audience)]
        arguments = ["notify", "send", notice, *to, "--inventory", str(INVENTORIES / f"{INVENTORY}.yml")]
        environment = {name: value for name, value in os.environ.items() if name not in _OF_TESTS}
        done = subprocess.run(
            [sys.executable, "-m", "pytest_deploygate", *arguments],
            env=environment | {"DEPLOYGATE_LAB": str(lab.folder)},
            cwd=folder_of(lab),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode != (1 if refused else 0):
            raise LabError(f"the notice {notice} was not sent: {done.stdout}{done.stderr}")


def sent(lab: Lab) -> None:
    """Bring everything into the state in which the lab comes up."""
    as_written(lab)
    forget(lab)
    send(lab)


def refuse(lab: Lab, address: str, answer: str) -> None:
    """Let the mail server refuse an address."""
    switches_of(lab).write_text(json.dumps({address: answer}))


def values(lab: Lab) -> dict[str, str]:
    """Return what inventories can refer to beside the ports."""
    where = folder_of(lab)
    return {
        "notices.templates": str(templates_of(lab)),
        "notices.record": str(where / "record"),
        "notices.chat": str(where / "chat"),
    }


def _find(_name: str) -> str | None:
    """The servers are Python programs of the lab; their library is an extra."""
    return sys.executable if find_spec("aiosmtpd") else None


SERVICE = Service(
    name=MAIL,
    servers={MAIL: "takes mails and chat messages of notices"},
    more_ports=(CHAT,),
    programs=("aiosmtpd",),
    missing="notices to people are not covered; pip install 'pytest-deploygate[lab]'",
    start=start,
    where=folder_of,
    values=values,
    once_up=sent,
    find=_find,
    alone=True,
    profiles=(PROFILE,),
    modules=("pytest_deploygate.lab.notices_server",),
)
