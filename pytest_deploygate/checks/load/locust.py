"""A user for Locust that sends a part of the inventory's load, so that Locust's master and workers carry it to many machines.

A locustfile has one line: `from pytest_deploygate.checks.load.locust import OpenLoop`. Each worker runs one user, and each
user sends its part by the clock, in a process of its own: neither Locust's own loop nor its greenlets delay a request. The
workers ship exact counts and histograms to the master with Locust's reports. The master writes them, judges the whole with
`deploygate load --merge`, and ends with its exit code.

Locust is no dependency: install it beside pytest-deploygate. It hands options that the master was given to the workers.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import gevent
import locust
from locust import events
from locust.exception import StopUser
from locust.runners import MasterRunner, WorkerRunner

_KEY = "deploygate"
_log = logging.getLogger(_KEY)
#: Exit code for a load of which a part is missing.
_INCOMPLETE = 25
#: The environment of this process, which not all of Locust's events tell.
_here: list[Any] = []
#: What this worker has to ship with its next report.
_waiting: list[dict[str, Any]] = []
#: What the master has received, by the number of the part.
_received: dict[int, dict[str, Any]] = {}


class OpenLoop(locust.User):  # type: ignore[misc]  # Locust has no types that mypy sees
    """Sends one part of the load, once."""

    wait_time = locust.constant(1)

    @locust.task  # type: ignore[untyped-decorator]
    def send(self) -> None:
        """Send the part and leave what came of it for the master."""
        runner = self.environment.runner
        if not isinstance(runner, WorkerRunner):
            raise SystemExit(
                "OpenLoop needs workers: start Locust with --master, and with --worker on each machine"
            )
        given = self.environment.parsed_options
        _waiting.append(_sent(given.inventory, int(runner.worker_index) + 1, given.parts))
        raise StopUser


def _sent(inventory: str, index: int, of: int) -> dict[str, Any]:
    """Return a part of the load that was sent: its number, what was saved of it, and what was said if nothing was."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "part.json")
        done = subprocess.run(
            [*_command(inventory), f"--part={index}/{of}", f"--save={file}", "--json"],
            capture_output=True,
            text=True,
            check=False,
        )
        saved = json.loads(file.read_text()) if file.is_file() else None
    said = "" if saved else (done.stderr.strip() or f"it ended with exit code {done.returncode}")
    return {"part": index, "of": of, "saved": saved, "said": said}


def _command(inventory: str) -> list[str]:
    return [sys.executable, "-m", "pytest_deploygate", "load", f"--inventory={inventory}"]


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def _options(parser: Any) -> None:
    group = parser.add_argument_group("pytest-deploygate")
    group.add_argument("--inventory", metavar="NAME|PATH", help="The inventory whose load is sent.")
    group.add_argument(
        "--parts", type=int, default=1, metavar="N", help="The number of workers, which send a part each."
    )
    group.add_argument(
        "--parts-folder", default="deploygate-load", metavar="DIR", help="Where the master writes the parts."
    )


@events.init.add_listener  # type: ignore[untyped-decorator]
def _begin(environment: Any, **_given: object) -> None:
    _here[:] = [environment]
    _received.clear()
    if isinstance(environment.runner, MasterRunner) and not environment.parsed_options.inventory:
        raise SystemExit("OpenLoop needs an inventory whose load is sent: --inventory NAME")


@events.report_to_master.add_listener  # type: ignore[untyped-decorator]
def _ship(client_id: str, data: dict[str, Any]) -> None:  # noqa: ARG001 (Locust passes it)
    if _waiting:
        data[_KEY] = [_waiting.pop() for _ in range(len(_waiting))]


@events.worker_report.add_listener  # type: ignore[untyped-decorator]
def _receive(client_id: str, data: dict[str, Any]) -> None:
    for part in data.get(_KEY, ()):
        _log.info("part %s/%s came from %s", part["part"], part["of"], client_id)
        _received[int(part["part"])] = part
    (environment,) = _here
    if len(_received) == environment.parsed_options.parts:
        gevent.spawn(environment.runner.quit)


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def _judge(environment: Any, **_given: object) -> None:
    """Judge the parts together; the exit code of Locust is that of the load."""
    if not isinstance(environment.runner, MasterRunner):
        return
    given = environment.parsed_options
    of = given.parts
    problems = [
        f"part {number}/{of} was not sent: {_received[number]['said']}"
        if number in _received
        else f"part {number}/{of} did not arrive"
        for number in range(1, of + 1)
        if number not in _received or _received[number]["said"]
    ]
    if problems:
        _log.error("%s", "; ".join(problems))
        environment.process_exit_code = _INCOMPLETE
        return
    folder = Path(given.parts_folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"part-{number}-of-{of}.json" for number in range(1, of + 1)]
    for number, file in enumerate(files, 1):
        file.write_text(json.dumps(_received[number]["saved"]))
    done = subprocess.run([*_command(given.inventory), *(f"--merge={file}" for file in files)], check=False)
    environment.process_exit_code = done.returncode
