"""`deploygate load` and `deploygate watch` end within a second: by the stop file, the signal, and `deploygate stop`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from slow_server import Answer, Server, serving

from pytest_deploygate.checks.uptime.probe import record

#: A process that is ended needs a moment to exit.
_WITHIN_S = 1.5


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(lambda _n, _t: Answer(after_s=3.0)) as running:
        yield running


def start(folder: Path, server: Server, command: str, *words: str) -> subprocess.Popen[str]:
    (folder / "pytest.ini").write_text("[pytest]\n")
    url = f"http://127.0.0.1:{server.port}/"
    (folder / "here.yml").write_text(
        json.dumps(
            {
                "name": "here",
                "load": {
                    "allow": "here",
                    "target": {"scheme": "http", "host": "127.0.0.1", "port": server.port},
                    "endpoints": [{"path": "/"}],
                    "peak_per_second": 50,
                    "duration": "60s",
                    "timeout": "20s",
                },
                "uptime": {"targets": [{"name": "front", "url": url}], "every": "4s", "timeout": "4s"},
            }
        )
    )
    return subprocess.Popen(
        [sys.executable, "-m", "pytest_deploygate", command, "--inventory", "here.yml", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


LOAD = ("load",)
WATCH = ("watch", "--t0", "now", "--for", "60s", "--record", "here.watch")


@pytest.mark.parametrize("how", ["file", "signal", "command"])
@pytest.mark.parametrize("command", [LOAD, WATCH], ids=["load", "watch"])
def test_a_stop_ends_it_within_a_second(tmp_path: Path, server: Server, how: str, command: tuple[str, ...]):
    with start(tmp_path, server, *command) as process:
        ends = time.monotonic() + 30
        while not server.seen:
            assert time.monotonic() < ends
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        time.sleep(1.0)  # answers are awaited by now
        file = tmp_path / "deploygate-out" / "local" / "STOP"
        if how == "file":
            file.write_text("the deployment lead")
        elif how == "signal":
            os.kill(process.pid, signal.SIGUSR1)
        else:
            words = [sys.executable, "-m", "pytest_deploygate", "stop", "--because", "users wait"]
            subprocess.run(words, cwd=tmp_path, check=True, capture_output=True)
        began = time.monotonic()
        _, errors = process.communicate(timeout=20)
        assert time.monotonic() - began < _WITHIN_S
    assert f"stopped by the stop file {file}" in errors
    assert "(`deploygate stop --off`) and run the command again" in errors
    assert "Traceback" not in errors
    assert process.returncode == (21 if command is LOAD else 0)
    if command is WATCH:
        (run,) = record.read(tmp_path / "here.watch").runs
        assert run.ended == "stopped"


@pytest.mark.parametrize(("command", "code"), [(LOAD, 21), (WATCH, 4)], ids=["load", "watch"])
def test_none_begins_while_the_stop_is_there(
    tmp_path: Path, server: Server, command: tuple[str, ...], code: int
):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "STOP").touch()
    with start(tmp_path, server, *command, "--out", "out") as process:
        _, errors = process.communicate(timeout=30)
    assert process.returncode == code
    assert "stopped by the stop file" in errors
    assert server.seen == []
    assert not (tmp_path / "here.watch").exists()


def test_a_load_draws_on_the_inventorys_budget_and_leaves_no_folder(tmp_path: Path, server: Server):
    with start(tmp_path, server, "load") as process:
        process.kill()
    inventory = json.loads((tmp_path / "here.yml").read_text())
    inventory["blast_radius"] = {"items": [{"item": "crit.p50", "requests": 10}]}
    (tmp_path / "here.yml").write_text(json.dumps(inventory))
    (tmp_path / "deploygate-out" / "local").rmdir() if (tmp_path / "deploygate-out").exists() else None
    words = [sys.executable, "-m", "pytest_deploygate", "load", "--inventory", "here.yml"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 21
    assert "the 10 requests of its budget are used up" in done.stderr
    assert len(server.seen) <= 10
    assert not (tmp_path / "deploygate-out" / "local").exists()
