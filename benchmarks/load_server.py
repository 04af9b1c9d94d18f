"""nginx that answers from memory, for load.py: a server in C that takes well under a millisecond."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_CONFIGURATION = """daemon off;
master_process off;
pid {folder}/pid;
error_log stderr crit;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_requests 100000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ return 200 "ok"; }}
    }}
}}
"""
_STALL = """
import os, signal, sys, time
pid, after_s, for_s = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
time.sleep(after_s)
os.kill(pid, signal.SIGSTOP)
began = time.perf_counter()
time.sleep(for_s)
os.kill(pid, signal.SIGCONT)
lasted_s = time.perf_counter() - began
time.sleep(1)  # its own exit takes processor time, which the tools need now
print(lasted_s)
"""
_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Server:
    """Its port and process id."""

    port: int
    pid: int

    @contextmanager
    def stalling(self, after_s: float, for_s: float) -> Iterator[list[float]]:
        """Stop the whole process once and let it continue; the list gets the length of the stop, in seconds, at the end.

        A separate process does this: nothing of it runs in the one that measures.
        """
        lasted_s: list[float] = []
        command = [sys.executable, "-c", _STALL, str(self.pid), str(after_s), str(for_s)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            yield lasted_s
            assert process.stdout is not None
            lasted_s.append(float(process.stdout.read()))


@contextmanager
def serving() -> Iterator[Server]:
    """Start it on a free port."""
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="deploygate-benchmark-") as name:
        file = Path(name) / "nginx.conf"
        file.write_text(_CONFIGURATION.format(folder=name, port=port))
        with subprocess.Popen([nginx, "-p", name, "-e", "stderr", "-c", str(file)]) as process:
            try:
                _wait(port)
                yield Server(port, process.pid)
            finally:
                process.terminate()


def _wait(port: int) -> None:
    until = time.monotonic() + _PATIENCE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return
