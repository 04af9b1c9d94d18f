"""A person at a terminal sees the progress of a DNS switch; pytest's capture must not hide it."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import socket
import subprocess
import sys
import time

from pytest_deploygate.lab import dns_server

SUITE = """
from pytest_deploygate.checks.dns import judge as judge_dns, probe

@pytest.mark.item("c.errors")
def test_switched(gate, dns, cutover, dns_observations, show_propagation):
    found = probe.watch(dns, cutover, dns_observations, show_propagation)
    gate.judge(judge_dns.judge_cutover, found, cutover)
"""
ZONE = """$ORIGIN example.test.
$TTL 60
@ IN SOA ns1 hostmaster 1 3600 600 604800 60
@ IN NS ns1
app IN A {}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def at_a_terminal(command, folder, limit_s=90):
    """Run a command with its own terminal; return its exit code and everything it wrote there."""
    end, terminal = pty.openpty()
    # The first terminal that the leader of a new session opens becomes its controlling one, which is /dev/tty.
    process = subprocess.Popen(
        ["sh", "-c", 'exec "$@" <"$0"', os.ttyname(terminal), *command],
        cwd=folder,
        env={**os.environ, "COLUMNS": "100", "TERM": "xterm"},
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    written, deadline = b"", time.monotonic() + limit_s
    with contextlib.suppress(OSError):  # Linux returns EIO when the other end is closed
        while select.select([end], [], [], max(0, deadline - time.monotonic()))[0]:
            written += os.read(end, 65536)
    os.close(end)
    try:
        return process.wait(limit_s), written.decode()
    finally:
        process.kill()


def test_the_table_of_a_switch_is_drawn(project):
    """One server has the new answer, one the old: the table shows it, and the live line does not overwrite it."""
    running, named = [], []
    for number, address in enumerate(("192.0.2.10", "198.51.100.1"), 1):
        place = {"address": "127.0.0.1", "port": free_port()}
        zone = {"role": "primary", "zone": "example.test", "text": ZONE.format(address)}
        running += dns_server.serve(zone | place)
        named.append(f"{{name: ns{number}.example.test, address: 127.0.0.1, port: {place['port']}}}")
    project.inventory(
        f"name: prod\ndns:\n  zone: example.test\n  servers: [{', '.join(named)}]\n"
        "  cutover: [{name: app.example.test, addresses: [192.0.2.10], within: 2s}]\n"
    )
    project.suite(SUITE)
    try:
        command = [sys.executable, "-m", "pytest", "-m", "golive", "--inventory", "prod"]
        code, written = at_a_terminal(command, project.path)
    finally:
        for server in running:
            server.shutdown()
            server.server_close()
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written)
    assert code == 1, text
    assert "app.example.test: 1 of 2 have the new answer" in text
    assert re.search(r"ns1\.example\.test.*192\.0\.2\.10 \(TTL 60\) +new", text)
    assert re.search(r"ns2\.example\.test.*198\.51\.100\.1 \(TTL 60\) +waiting", text)
    table = text[text.index("1 of 2 have") : text.rindex("1 of 2 have")]
    assert "test_switched" not in table
