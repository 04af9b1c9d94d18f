"""Facts of many servers: our one script per host against one command per fact, as plain testinfra asks.

    python benchmarks/hosts.py                       # 50 servers
    python benchmarks/hosts.py --names 20            # each asked under 20 names: 1,000 hosts over 50 connections
    python benchmarks/hosts.py --names 20 --logins   # … each name with a login of its own
    python benchmarks/hosts.py --silent 1            # one more that never answers

The servers are sshd processes on loopback with keys of their own, which share the processors with us; the login is
most of the time. Their HOME is empty: bash reads ~/.bashrc for each command over SSH, and what stands in that of the
account here would be measured with each host. testinfra asks five of the hosts (`--plain`), one after the other, as a test session without further
options does; its figure is per host. Needs root or a user who may log in, and openssh-server.
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import testinfra

from pytest_deploygate.checks.hosts import probe
from pytest_deploygate.checks.hosts.probe import commands
from pytest_deploygate.checks.hosts.section import Hosts

_SERVER = """ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/key
AuthorizedKeysFile {folder}/key.pub
PidFile none
StrictModes no
UsePAM no
SetEnv HOME={folder}/home
"""
_CLIENT = """Host *
  IdentityFile {folder}/key
  IdentitiesOnly yes
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  LogLevel ERROR
"""


@dataclass(frozen=True)
class Took:
    """Wall time, our processor time with that of ssh, and the peak of our memory."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def serving(folder: Path, number: int) -> Iterator[list[str]]:
    """Start so many servers; give their connections."""
    sshd = shutil.which("sshd", path=f"/usr/sbin:{os.environ['PATH']}")
    if sshd is None:
        raise SystemExit("needs sshd: apt install openssh-server")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"], check=True)
    (folder / "ssh_config").write_text(_CLIENT.format(folder=folder))
    (folder / "home").mkdir()
    servers, connections = [], []
    for _ in range(number):
        port = _free_port()
        configuration = folder / f"sshd-{port}"
        configuration.write_text(_SERVER.format(port=port, folder=folder))
        servers.append(subprocess.Popen([sshd, "-D", "-e", "-f", configuration], stderr=subprocess.DEVNULL))
        connections.append(f"ssh://{getpass.getuser()}@127.0.0.1:{port}?ssh_config={folder}/ssh_config")
        _wait(port)
    try:
        yield connections
    finally:
        for server in servers:
            server.send_signal(signal.SIGTERM)
            server.wait(10)


def _wait(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as there:
            if there.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise SystemExit(f"no sshd on port {port} within 20 s")


@contextlib.contextmanager
def silent(number: int) -> Iterator[list[str]]:
    """Listen without ever answering."""
    with contextlib.ExitStack() as stack:
        places = []
        for _ in range(number):
            listening = stack.enter_context(socket.socket())
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            places.append(f"ssh://nobody@127.0.0.1:{listening.getsockname()[1]}")
        yield places


def ours(connections: Sequence[str], timeout: str, at_once: int) -> tuple[Took, int]:
    """Ask all hosts with the probe; return what it took and how many answered."""
    servers = [{"name": f"host{number}", "connection": place} for number, place in enumerate(connections)]
    section = Hosts.model_validate({"servers": servers, "timeout": timeout, "at_once": at_once})
    began, before = time.monotonic(), _cpu()
    fleet = probe.fleet(section)
    took = Took(time.monotonic() - began, _cpu() - before, _peak_mb())
    return took, sum(answer.machine is not None for answer in fleet.answers)


def plain(connections: Sequence[str], facts: int) -> Took:
    """Ask hosts one fact per command with testinfra's defaults."""
    began, before = time.monotonic(), _cpu()
    for place in connections:
        host = testinfra.get_host(place)
        for _ in range(facts):
            host.run("cat /proc/sys/kernel/random/boot_id")
    return Took(time.monotonic() - began, _cpu() - before, _peak_mb())


def _cpu() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--servers", type=int, default=50)
    parser.add_argument("--names", type=int, default=1, help="ask each server under so many names")
    parser.add_argument("--logins", action="store_true", help="log in for each name")
    parser.add_argument("--silent", type=int, default=0, help="so many more that never answer")
    parser.add_argument("--timeout", default="20s")
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--plain", type=int, default=5, help="hosts that plain testinfra asks")
    said = parser.parse_args()
    facts = len(commands.COMMANDS) - len(commands.KERNEL_SETTINGS) + 1  # those are one fact
    with tempfile.TemporaryDirectory() as temporary, silent(said.silent) as quiet:
        folder = Path(temporary)
        with serving(folder, said.servers) as connections:
            each = "&name={}" if said.logins else ""
            names = [f"{place}{each.format(n)}" for n in range(said.names) for place in connections]
            mine, answered = ours([*names, *quiet], said.timeout, said.at_once)
            theirs = plain(connections[: said.plain], facts) if said.plain else None
    hosts = len(names) + len(quiet)
    print(f"{hosts} hosts, {answered} answered, {facts} facts each")
    print(f"ours           {mine.wall_s:7.2f} s  CPU {mine.cpu_s:6.2f} s  peak {mine.peak_mb:.0f} MB")
    if theirs:
        each = theirs.wall_s / said.plain
        print(
            f"plain testinfra {each * hosts:6.2f} s  CPU {theirs.cpu_s / said.plain * hosts:6.2f} s  (from {said.plain} hosts)"
        )
        print(
            f"ratio {each * hosts / mine.wall_s:.1f} by wall time, {theirs.cpu_s / said.plain * hosts / mine.cpu_s:.1f} by CPU"
        )
    print(json.dumps({"cpus": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}))


if __name__ == "__main__":
    main()
