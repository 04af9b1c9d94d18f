"""Commands on another host end there when we stop or die: over a real sshd."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ssh_server import serving

from pytest_deploygate.clients import stopping
from pytest_deploygate.clients.budget import Ended, unrecorded
from pytest_deploygate.clients.host import asking, commands
from pytest_deploygate.clients.host.place import Place
from pytest_deploygate.clients.host.shell import shell
from pytest_deploygate.judging.silent_hosts import Failure
from pytest_deploygate.redaction import Secret


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("sshd")) as connection:
        yield connection


@pytest.fixture
def stop_file(tmp_path: Path) -> Iterator[Path]:
    stopping.begin(tmp_path / "STOP")
    yield tmp_path / "STOP"
    stopping.begin(None)


def running(seconds: str) -> list[str]:
    found = subprocess.run(["pgrep", "-fx", f"sleep {seconds}"], capture_output=True, text=True, check=False)
    return found.stdout.split()


def wait_for(what: Callable[[], bool], within_s: float) -> float:
    """Return how long it took."""
    began = time.monotonic()
    while not what():
        assert time.monotonic() - began < within_s, "it took too long"
        time.sleep(0.02)
    return time.monotonic() - began


WAYS: dict[str, Callable[[str, str], object]] = {
    "shell": lambda host, command: shell(host)(command),
    "a command of the inventory": lambda host, command: commands.run(command, host=host),
    "a place": lambda host, command: Place(host, None).run(command),
    "a script of facts": lambda host, command: asking.ask(host, None, {"slow": command}, 60.0),
    "with a password": lambda host, command: asking.ask(host, None, {"slow": command}, 60.0, Secret("x")),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_stop_ends_what_runs_on_a_host(host: str, stop_file: Path, way: str):
    """With what it started in process groups of its own, within a second."""
    seconds = f"7{time.monotonic_ns() % 10**6}"
    command = f"timeout 60 sh -c 'sleep {seconds}; true'"

    def stop() -> None:
        wait_for(lambda: len(running(seconds)) == 1, 20)
        stopping.stop(stop_file, "a test")

    threading.Thread(target=stop, daemon=True).start()
    with pytest.raises(Ended), unrecorded("sec.secrets").probe("sweep", unwatched="a test"):
        WAYS[way](host, command)
    assert wait_for(lambda: not running(seconds), 5) < 1.0


def test_a_gate_that_is_killed_ends_what_runs_on_a_host(host: str):
    seconds = f"8{time.monotonic_ns() % 10**6}"
    code = f"from pytest_deploygate.clients.host.shell import shell; shell({host!r})('sleep {seconds}')"
    with subprocess.Popen([sys.executable, "-c", code]) as gate:
        wait_for(lambda: bool(running(seconds)), 20)
        told = subprocess.run(["pgrep", "-P", str(gate.pid)], capture_output=True, text=True, check=False)
        client = told.stdout.split()[0]
        os.kill(gate.pid, signal.SIGKILL)
        os.kill(int(client), signal.SIGKILL)  # its shell; ssh goes with the pipe
    assert wait_for(lambda: not running(seconds), 5) < 2.0


def test_answers_are_those_of_the_command(host: str):
    run = shell(host)
    assert run("echo %s %s; echo no >&2; exit 7", "a%b", "c d") == (7, "a%b c d\n", "no")
    assert run("cat; echo done") == (0, "done\n", ""), "nothing is on its standard input"
    assert run("kill -9 $$")[0] == 137
    long = "x" * 100_000
    assert run("head -c 3000000 /dev/zero | tr '\\0' x | wc -c")[1].strip() == "3000000"
    assert run("echo %s | wc -c", long)[1].strip() == "100001"
    assert commands.run("date +%Y", host=host).said == time.strftime("%Y", time.gmtime())
    assert Place(host, None).run("echo {}", "it's").output == "it's\n"
    told = asking.ask(host, None, {"name": "echo here", "input": "cat"}, 10.0, Secret("word"))
    assert not isinstance(told, Failure)
    assert dict(told.parts) == {"name": "here"}


def test_nothing_of_ours_is_left_on_a_host(host: str):
    """Neither the loop that watches the connection nor what it waits for."""
    subprocess.run(["pgrep", "-fc", "deploygate sleep 0.1"], capture_output=True, text=True, check=False)
    for _ in range(3):
        shell(host)("sleep 0.123")

    def left() -> int:
        found = subprocess.run(
            ["pgrep", "-fc", "doomed.*sleep 0.123"], capture_output=True, text=True, check=False
        )
        return int(found.stdout or 0)

    assert wait_for(lambda: left() == 0, 5) < 2
