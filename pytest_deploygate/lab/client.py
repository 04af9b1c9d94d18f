"""Commands to the supervisor."""

from __future__ import annotations

import json
import signal
import socket
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pytest_deploygate.lab.state import Lab, LabError
from pytest_deploygate.lab.supervisor import SOCKET, Program

#: How a node stops: as an operator stops it, or as in a crash (no checkpoint, nothing flushed).
FAST, CRASH = signal.SIGINT, signal.SIGQUIT


def ask(folder: Path, request: dict[str, Any], timeout_s: float = 40.0) -> dict[str, Any]:
    """Send one command and return the answer. Raises LabError when nobody answers or the command is refused."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout_s)
            connection.connect(str(folder / SOCKET))
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as stream:
                line = stream.readline()
    except (FileNotFoundError, ConnectionRefusedError):
        raise LabError("the lab is not running; start it with `deploygate lab up`") from None
    except OSError as error:
        raise LabError(f"the lab's supervisor does not answer: {error}") from None
    answer: dict[str, Any] = json.loads(line or b'{"ok": false, "error": "it closed the connection"}')
    if not answer.pop("ok"):
        raise LabError(f"the lab's supervisor refused: {answer['error']}")
    return answer


def start(lab: Lab, name: str, program: Program | None = None) -> int:
    """Start a server and return its process id; nothing happens when it is running."""
    request: dict[str, Any] = {"do": "start", "name": name}
    if program is not None:
        request["program"] = asdict(program)
    return int(ask(lab.folder, request)["pid"])


def stop(lab: Lab, name: str, number: int = FAST, patience_s: float = 20.0) -> None:
    """Stop a server and wait until it has ended."""
    ask(lab.folder, {"do": "stop", "name": name, "signal": int(number), "patience_s": patience_s})


def send(lab: Lab, name: str, number: int) -> None:
    """Send a signal to a server."""
    ask(lab.folder, {"do": "signal", "name": name, "signal": int(number)})


def forget(lab: Lab, name: str) -> None:
    """Let the supervisor forget a server that has ended."""
    ask(lab.folder, {"do": "forget", "name": name})


def run(lab: Lab, command: str) -> None:
    """Have the supervisor run a job's command line in the background."""
    ask(lab.folder, {"do": "run", "command": command})


def status(folder: Path) -> dict[str, Any]:
    """Return the supervisor's `{"pid", "servers": {name: {"pid", "exit_code", "since"}}}`."""
    return ask(folder, {"do": "status"}, timeout_s=5.0)


def running(folder: Path) -> bool:
    """Return whether a supervisor answers in this folder."""
    try:
        status(folder)
    except LabError:
        return False
    return True
