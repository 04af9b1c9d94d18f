"""Processes that wait as probes do, until a stop file ends them; each prints when it ended. Run as a module."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pytest_deploygate.clients import stopping
from pytest_deploygate.clients.budget import Ended, unrecorded

#: Nobody waits longer if the stop does not work.
_LONGEST_S = 30.0


def _asleep() -> None:
    time.sleep(_LONGEST_S)


def _socket() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as there,
    ):
        there.settimeout(_LONGEST_S)
        there.recv(1)


def _process() -> None:
    import subprocess  # noqa: PLC0415 (in its own process)

    with subprocess.Popen(["sleep", str(_LONGEST_S)]) as child, stopping.cutting(child.kill):
        child.wait()


def _threads() -> None:
    def wait(_: int) -> None:
        with (
            socket.create_server(("127.0.0.1", 0)) as server,
            socket.create_connection(server.getsockname()) as there,
            stopping.cutting(lambda: there.shutdown(socket.SHUT_RDWR)),
        ):
            there.settimeout(_LONGEST_S)
            there.recv(1)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(wait, range(4)))


WAYS: dict[str, Callable[[], None]] = {
    "sleep": _asleep,
    "a socket": _socket,
    "a process": _process,
    "threads": _threads,
}


def _wait(way: str, file: Path) -> None:
    try:
        with unrecorded("guard.blast-radius", stop_file=file).probe(
            "trial", unwatched="it reaches no service"
        ):
            WAYS[way]()
    except Ended:
        os.write(1, json.dumps({"way": way, "at": time.monotonic()}).encode() + b"\n")


def main(file: Path) -> None:
    """Fork one process for each way of waiting; print `waiting` when all do. Ends with its standard input."""
    children = []
    for way in WAYS:
        if (child := os.fork()) == 0:
            _wait(way, file)
            os._exit(0)
        children.append(child)
    time.sleep(0.2)
    os.write(1, b"waiting\n")
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    for child in children:
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
