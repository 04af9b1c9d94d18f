"""The process that holds the lab: starts servers as its children, runs the schedule, takes commands.

Run as `python -m pytest_deploygate.lab.supervisor FOLDER`. Its standard input is a pipe from `lab up`: when that
closes before the word `ready` came through, everything is ended. Its children ask the kernel for a signal when it
dies, so they end with a supervisor that is killed.

Commands are one JSON object a line on the unix socket `supervisor.sock` in the folder, mode 0600; the answer is one
JSON object: `{"ok": true, …}` or `{"ok": false, "error": "…"}`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import field
from pathlib import Path
from typing import Any

from pytest_deploygate.lab import schedule
from pytest_deploygate.lab.processes import end_with_parent, environment, identity, wake_family
from pytest_deploygate.lazy import dataclass

SOCKET = "supervisor.sock"


@dataclass(frozen=True)
class Program:
    """How a server is started. `death_signal` ends it at once."""

    argv: list[str]
    user: str | None = None
    env: dict[str, str] = field(default_factory=dict)
    death_signal: int = signal.SIGQUIT


@dataclass()
class Running:
    """A server's program and its process, which may have exited."""

    program: Program
    process: subprocess.Popen[bytes]
    since: float


class Supervisor:
    """Servers by name, and the jobs of the schedule that are running."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers: dict[str, Running] = {}
        self.jobs: dict[str, subprocess.Popen[bytes]] = {}
        self.over = asyncio.Event()

    def start(self, name: str, program: dict[str, Any] | None = None) -> dict[str, Any]:
        """Start a server with the given program, or with that of its last start."""
        before = self.servers.get(name)
        if before and before.process.poll() is None:
            return {"pid": before.process.pid, "already": True}
        if program is None and before is None:
            raise ValueError(f"there is no server {name!r}; there are {', '.join(self.servers)}")
        what = Program(**program) if program is not None else before.program  # type: ignore[union-attr]
        process = self._spawn(what, self.folder / "log" / f"{name}.log")
        self.servers[name] = Running(what, process, time.time())
        return {"pid": process.pid}

    async def stop(self, name: str, number: int, patience_s: float = 20.0) -> dict[str, Any]:
        """Send a signal to a server and wait until it has ended; SIGKILL when it takes too long."""
        running = self._server(name)
        wake_family(running.process.pid)
        with contextlib.suppress(ProcessLookupError):
            running.process.send_signal(number)
        if not await self._ended(running.process, patience_s):
            running.process.kill()
            await self._ended(running.process, 5.0)
            return {"exit_code": running.process.poll(), "killed": True}
        return {"exit_code": running.process.poll()}

    def signal(self, name: str, number: int) -> dict[str, Any]:
        """Send a signal to a server and return at once."""
        running = self._server(name)
        if running.process.poll() is not None:
            raise ValueError(f"{name} is not running")
        running.process.send_signal(number)
        return {}

    def forget(self, name: str) -> dict[str, Any]:
        """Forget a server that has exited, so that its absence is no outage. An unknown one is ignored."""
        running = self.servers.get(name)
        if running is not None and running.process.poll() is None:
            raise ValueError(f"{name} is running: stop it first")
        self.servers.pop(name, None)
        return {}

    def status(self) -> dict[str, Any]:
        """Return what runs."""
        return {
            "pid": os.getpid(),
            "jobs": [command for command, process in self.jobs.items() if process.poll() is None],
            "servers": {
                name: {"pid": r.process.pid, "exit_code": r.process.poll(), "since": r.since}
                for name, r in self.servers.items()
            },
        }

    async def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Execute one command."""
        match request:
            case {"do": "start", "name": str(name)}:
                return self.start(name, request.get("program"))
            case {"do": "stop", "name": str(name), "signal": int(number)}:
                return await self.stop(name, number, float(request.get("patience_s", 20.0)))
            case {"do": "signal", "name": str(name), "signal": int(number)}:
                return self.signal(name, number)
            case {"do": "forget", "name": str(name)}:
                return self.forget(name)
            case {"do": "run", "command": str(command)}:
                self.run(command)
                return {}
            case {"do": "status"}:
                return self.status()
            case {"do": "end"}:
                self.over.set()
                return {}
        raise ValueError(f"there is no such command: {request}")

    async def end(self) -> None:
        """End all servers and jobs at once: their data is removed with the lab."""
        everything = [(r.process, r.program.death_signal) for r in self.servers.values()]
        everything += [(process, signal.SIGQUIT) for process in self.jobs.values()]
        alive = [(process, number) for process, number in everything if process.poll() is None]
        for process, number in alive:
            wake_family(process.pid)
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.send_signal(number)
        # In parallel: a process that does not end must not delay the others.
        await asyncio.gather(*(self._surely_ended(process) for process, _ in alive))

    async def _surely_ended(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for a process that was told to end; kill it when it takes too long."""
        if not await self._ended(process, 3.0):
            process.kill()
            await self._ended(process, 2.0)

    async def run_schedule(self) -> None:
        """Start the crontab's jobs when they are due. The file is read again each minute, as cron does."""
        while True:
            minute = schedule.next_minute()
            await asyncio.sleep(max(0.0, minute.timestamp() - time.time()) + 0.05)
            try:
                due = schedule.due(self.folder / "crontab", minute)
            except (OSError, ValueError) as error:
                print(f"crontab: {error}", flush=True)  # noqa: T201 (its output is its log)
                continue
            for command in due:
                self.run(command)

    def run(self, command: str) -> None:
        """Start a job in the background, unless it is running."""
        if command in self.jobs and self.jobs[command].poll() is None:
            return
        program = Program(["/bin/sh", "-c", f"exec {command}"])
        self.jobs[command] = self._spawn(program, self.folder / "log" / "jobs.log")

    def _server(self, name: str) -> Running:
        if name not in self.servers:
            raise ValueError(f"there is no server {name!r}; there are {', '.join(self.servers)}")
        return self.servers[name]

    @staticmethod
    async def _ended(process: subprocess.Popen[bytes], patience_s: float) -> bool:
        deadline = time.monotonic() + patience_s
        while process.poll() is None:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.01)
        return True

    @staticmethod
    def _spawn(program: Program, log: Path) -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            process: subprocess.Popen[bytes] = subprocess.Popen(
                program.argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env=environment(program.env),
                start_new_session=True,
                preexec_fn=end_with_parent(program.death_signal),  # noqa: PLW1509 (it calls one system call)
                **identity(program.user),  # type: ignore[call-overload]
            )
        return process


async def serve(folder: Path) -> None:
    """Hold the lab until it is told to end, receives SIGTERM, or `lab up` dies before the lab is ready."""
    supervisor = Supervisor(folder)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        loop.add_signal_handler(number, supervisor.over.set)

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                try:
                    answer = {"ok": True, **await supervisor.answer(json.loads(line))}
                except (ValueError, TypeError, OSError) as error:
                    answer = {"ok": False, "error": str(error)}
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        writer.close()

    os.umask(0o077)
    server = await asyncio.start_unix_server(converse, folder / SOCKET)
    os.umask(0o022)
    waiting = asyncio.create_task(_until_orphaned(supervisor))
    schedules = asyncio.create_task(supervisor.run_schedule())
    await supervisor.over.wait()
    for task in (waiting, schedules):
        task.cancel()
    server.close()
    await supervisor.end()


async def _until_orphaned(supervisor: Supervisor) -> None:
    """Read our standard input; its end without the word `ready` means that `lab up` died."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer
    )
    if (await reader.read()).strip() != b"ready":
        print("`lab up` ended before the lab was ready: ending everything", flush=True)  # noqa: T201 (its output is its log)
        supervisor.over.set()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
