"""ModSecurity before a search and an API, each for one test: in nginx, and from the wheel in the lab's own front."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pytest_deploygate.lab.services import waf, waf_config

HAS_NGINX = waf_config.MODULE.is_file() and waf_config.CRS.is_dir()


@contextlib.contextmanager
def by_nginx(folder: Path, *, page: str = "", **switches: object) -> Iterator[int]:
    """nginx with its module; the switches are those of the engine. Yields its port."""
    (folder / "tmp").mkdir()
    (folder / "rules.conf").write_text(waf_config.engine(folder, **switches))
    (folder / "blocked.html").write_text("<title>Request rejected</title>")
    port = free_port()
    text = waf_config.configuration(folder, {port: folder / "rules.conf"}, page=page)
    (folder / "nginx.conf").write_text(text.replace("daemon off;", "daemon off; user root;"))
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin") or "nginx"
    server = subprocess.Popen([nginx, "-p", folder, "-c", folder / "nginx.conf", "-e", "stderr"])
    try:
        _wait(port, server.poll)
        yield port
    finally:
        server.terminate()
        server.wait(10)


@contextlib.contextmanager
def by_library(
    folder: Path, *, front: Mapping[str, object] | None = None, rules: Path = waf.RULES, **switches: object
) -> Iterator[int]:
    """The library with the lab's own rules, and fields of its front. Yields its port; it must say nothing."""
    (folder / "tmp").mkdir()
    (folder / "rules.conf").write_text(waf_config.engine(folder, rules=rules, **switches))
    port = free_port()
    given = {"address": "127.0.0.1", "port": port, "rules": str(folder / "rules.conf"),
             "socket": str(folder / "application.sock")}  # fmt: skip
    (folder / "front.json").write_text(json.dumps(given | dict(front or {})))
    argv = [sys.executable, "-m", "pytest_deploygate.lab.modsecurity.front", folder / "front.json"]
    server = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
    try:
        _wait(port, server.poll)
        yield port
    finally:
        server.send_signal(signal.SIGINT)
        _, said = server.communicate(timeout=10)
    assert said == ""
    assert server.returncode == 0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def _wait(port: int, ended: Callable[[], int | None]) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until and ended() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
