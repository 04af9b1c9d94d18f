"""Locust's master and two workers send one load together. Real ones, in an environment of their own: Locust is no dependency."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
from slow_server import Answer, serving

ROOT = Path(__file__).parents[3]
#: Installing Locust takes a minute.
pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def locust(tmp_path_factory) -> Path:
    """An environment with Locust and this project."""
    folder = tmp_path_factory.mktemp("locust")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    subprocess.run([folder / "bin" / "pip", "install", "-q", "locust", str(ROOT)], check=True)
    return folder / "bin" / "locust"


def ran(locust: Path, folder: Path, port: int, parts: int, workers: int) -> subprocess.CompletedProcess[str]:
    (folder / "inventories").mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "locustfile.py").write_text("from pytest_deploygate.checks.load.locust import OpenLoop\n")
    (folder / "inventories" / "prod.yml").write_text(
        f"name: prod\nload:\n  allow: prod\n  target: {{scheme: http, host: 127.0.0.1, port: {port}}}\n"
        "  endpoints: [{path: /a}, {path: /b}]\n  peak_per_second: 150\n  duration: 10s\n"
        "  limits: {p50: 200ms, p99: 500ms}\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        between = str(free.getsockname()[1])
    env = {**os.environ, "LOCUST_LOGLEVEL": "INFO"}
    helpers = [
        subprocess.Popen(
            [locust, "--worker", "--master-host=127.0.0.1", f"--master-port={between}"], cwd=folder, env=env
        )
        for _ in range(workers)
    ]
    try:
        return subprocess.run(
            [
                locust, "--master", "--headless", "-u", str(workers), "-r", str(workers), "--expect-workers", str(workers),
                "--master-bind-host=127.0.0.1", f"--master-bind-port={between}", "--inventory=prod",
                f"--parts={parts}", "--run-time=25s",
            ],
            cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    finally:
        for helper in helpers:
            helper.terminate()
            helper.wait(20)


def test_two_workers_send_one_load(locust, tmp_path):
    with serving() as server:
        done = ran(locust, tmp_path, server.port, parts=2, workers=2)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1500 requests in 10" in done.stdout
    parts = [
        json.loads(file.read_text())["measurement"]
        for file in sorted((tmp_path / "deploygate-load").iterdir())
    ]
    assert [part["part"] for part in parts] == [[1, 2], [2, 2]]
    assert [part["whole"]["requests"] for part in parts] == [750, 750]
    # Each worker looks first what the target answers.
    assert len(server.seen) >= 1500


def test_a_slow_server_is_the_exit_code_of_locust(locust, tmp_path):
    with serving(lambda _n, _t: Answer(after_s=0.6)) as server:
        done = ran(locust, tmp_path, server.port, parts=2, workers=2)
    assert done.returncode == 1, done.stdout + done.stderr


def test_a_part_that_does_not_arrive_is_said(locust, tmp_path):
    with serving() as server:
        done = ran(locust, tmp_path, server.port, parts=3, workers=2)
    assert done.returncode == 25
    assert "part 3/3 did not arrive" in done.stdout + done.stderr
