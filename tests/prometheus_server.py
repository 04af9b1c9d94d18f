"""A Prometheus for tests, with samples from before its start and, where wanted, targets that it scrapes."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pytest_deploygate.fields.prometheus import Prometheus
from pytest_deploygate.lab.services import monitoring_history
from pytest_deploygate.lab.state import Lab


class Server:
    """A running Prometheus: its folder, port, and the settings with which a probe reaches it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.settings = Prometheus(url=f"http://127.0.0.1:{port}", timeout=timedelta(seconds=10))
        self._lab = Lab(folder, folder, "", None, {}, None, {"promtool": str(shutil.which("promtool"))})

    def remember(self, lines: Sequence[str]) -> None:
        """Write blocks; called before the start."""
        monitoring_history.backfill(self._lab, self.folder, lines)

    def replace(self, selectors: Sequence[str], within: tuple[float, float], lines: Sequence[str]) -> None:
        """Replace what it has of these series between two times (seconds since 1970)."""
        monitoring_history.replace(self._lab, self.port, self.folder, selectors, within, lines)


@contextmanager
def running(
    folder: Path,
    history: Sequence[str] = (),
    targets: Sequence[str] = (),
    every_s: float = 1.0,
    rules: Sequence[Mapping[str, object]] = (),
) -> Iterator[Server]:
    """Start a Prometheus that remembers the lines of `history`; skip the test where there is none.

    `rules` are those of one group.
    """
    program = shutil.which("prometheus")
    if program is None or shutil.which("promtool") is None:
        pytest.skip("Prometheus is not installed")
    server = Server(folder, _free_port())
    (folder / "data").mkdir()
    server.remember([*history, *monitoring_history.spare(time.time() - 60)])
    configuration: dict[str, Any] = {
        "global": {
            "scrape_interval": f"{round(every_s * 1000)}ms",
            "scrape_timeout": f"{round(every_s * 1000)}ms",
        },
        "scrape_configs": [{"job_name": "test", "static_configs": [{"targets": list(targets)}]}],
    }
    if rules:
        (folder / "rules.json").write_text(json.dumps({"groups": [{"name": "test", "rules": list(rules)}]}))
        configuration["global"] |= {"evaluation_interval": f"{round(every_s * 1000)}ms"}
        configuration["rule_files"] = ["rules.json"]
    (folder / "prometheus.json").write_text(json.dumps(configuration))
    argv = [program, f"--web.listen-address=127.0.0.1:{server.port}", f"--storage.tsdb.path={folder}/data"]
    argv += [
        f"--config.file={folder}/prometheus.json",
        "--storage.tsdb.retention.time=60d",
        "--web.enable-admin-api",
    ]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(argv, stderr=log, stdout=log)
    try:
        _await(server, process)
        yield server
    finally:
        process.terminate()
        process.wait()


def _await(server: Server, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{server.settings.url}/-/ready", timeout=5).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError((server.folder / "log").read_text())


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
