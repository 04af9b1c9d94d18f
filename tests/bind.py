"""BIND on loopback: zones that it serves, signed by its own tools, and a resolver that validates them."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import pytest

ZONE = "example.test"
TOOLS = ("named", "dnssec-keygen", "dnssec-signzone", "dnssec-dsfromkey")


def program(name: str) -> str:
    """Return the path of one of BIND's programs; without it the test is skipped."""
    found = shutil.which(name) or shutil.which(f"/usr/sbin/{name}") or shutil.which(f"/usr/bin/{name}")
    if found is None:
        pytest.skip(f"{name} (BIND) is not installed here")
    return found


def run(*command: str) -> str:
    """Run one of BIND's tools and return its output."""
    done = subprocess.run(
        [program(command[0]), *command[1:]], check=True, timeout=60, capture_output=True, text=True
    )
    return done.stdout


@contextlib.contextmanager
def serving(folder: Path, file: Path | str, more: str = "") -> Iterator[int]:
    """Serve a file as the zone, authoritatively; yield the port. `more` are statements for further zones."""
    zone = f'zone "{ZONE}" {{ type primary; file "{file}"; }};\n{more}'
    with _named(folder, "recursion no; allow-transfer { none; };", zone) as port:
        yield port


@contextlib.contextmanager
def validating(folder: Path, ds: str, port: int) -> Iterator[int]:
    """Resolve the zone from the server at `port` and validate it by a DS record (`tag algorithm type digest`)."""
    tag, algorithm, kind, digest = ds.split(None, 3)
    more = (
        f'trust-anchors {{ {ZONE}. static-ds {tag} {algorithm} {kind} "{digest.replace(" ", "")}"; }};\n'
        f'zone "{ZONE}" {{ type forward; forward only; forwarders {{ 127.0.0.1 port {port}; }}; }};\n'
    )
    with _named(folder, "recursion yes; dnssec-validation yes;", more) as own:
        yield own


def free_port() -> int:
    """Return a port that is free for UDP and for TCP."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            with contextlib.suppress(OSError):
                udp.bind(tcp.getsockname())
                return int(tcp.getsockname()[1])


@contextlib.contextmanager
def _named(folder: Path, options: str, more: str) -> Iterator[int]:
    folder.mkdir(exist_ok=True)
    port = free_port()
    config = folder / "named.conf"
    config.write_text(
        f'options {{ directory "{folder}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; pid-file none; '
        f"{options} }};\ncontrols {{}};\n{more}"
    )
    process = subprocess.Popen(
        [program("named"), "-g", "-n", "1", "-c", str(config)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        asked = dns.message.make_query("version.bind", "TXT", "CH")
        for _ in range(200):
            with contextlib.suppress(OSError, dns.exception.DNSException):
                dns.query.udp(asked, "127.0.0.1", port=port, timeout=0.2)
                break
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(10)
