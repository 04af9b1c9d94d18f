"""Attempts at real sockets: each answer, and each kind of no answer, is told apart."""

from __future__ import annotations

import ast
import contextlib
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from network_sockets import answering, full, has_ipv6, listening, silent

from pytest_deploygate.checks.firewall.probe import attempts


def made(
    *plan: str, timeout_s: float = 0.5, at_once: int = 100, within_s: float = 30
) -> dict[attempts.Key, str]:
    return attempts.make(attempts.attempts(plan), timeout_s, at_once, time.monotonic() + within_s)


def one(protocol: str, port: int, address: str = "127.0.0.1", **more: float) -> str:
    (letter,) = made(f"{protocol} {address} {port}", **more).values()
    return letter


def test_open():
    with listening() as port:
        assert one("tcp", port) == attempts.OPEN


def test_open_over_ipv6():
    if not has_ipv6():
        pytest.skip("no ::1 here")
    with listening("::1") as port:
        assert one("tcp", port, "::1") == attempts.OPEN
        assert one("tcp", port) == attempts.REFUSED


def test_refused():
    assert one("tcp", 1) == attempts.REFUSED


def test_no_answer_is_tried_twice_and_filtered():
    with full() as port:
        began = time.monotonic()
        assert one("tcp", port) == attempts.SILENT
        assert 0.9 < time.monotonic() - began < 10


def test_no_route():
    assert one("tcp", 80, "224.0.0.1") == attempts.NOT_SENT


@pytest.mark.parametrize("protocol", ["dns", "ntp", "snmp", "quic", "udp"])
def test_udp_that_answers(protocol):
    with answering() as port:
        assert one(protocol, port) == attempts.OPEN


def test_udp_where_nobody_listens():
    assert one("dns", 1) == attempts.REFUSED


def test_udp_that_is_silent():
    with silent() as port:
        assert one("dns", port) == attempts.SILENT


def test_many_ports_and_addresses_at_once():
    with listening() as first, listening() as second:
        found = made(f"tcp 127.0.0.1 {first},{second},1-50", "tcp 127.0.0.2 1-50", at_once=7)
    assert {key[2] for key, letter in found.items() if letter == attempts.OPEN} == {first, second}
    assert sum(letter == attempts.REFUSED for letter in found.values()) == 100


def test_the_time_is_over():
    with full() as port:
        found = made(f"tcp 127.0.0.1 {port}", "tcp 127.0.0.1 1-5", at_once=1, within_s=0.2)
    assert attempts.UNTRIED in found.values()
    assert found["tcp", "127.0.0.1", port] == attempts.UNTRIED  # silent once is not enough


def test_our_own_pause_is_not_taken_for_a_filter(monkeypatch):
    """A machine that stands still sees no answers; they are tried again, and are not known if that does not help."""
    real = attempts.selectors.DefaultSelector.select

    def late(self, timeout=None):
        found = real(self, timeout)
        time.sleep(0.4)
        return found

    monkeypatch.setattr(attempts.selectors.DefaultSelector, "select", late)
    with silent() as port:
        assert one("dns", port) == attempts.OWN_LAG


def test_an_answer_that_came_while_we_were_late_counts(monkeypatch):
    real = attempts.selectors.DefaultSelector.select

    def late(self, timeout=None):
        time.sleep(0.8)  # longer than the timeout: the answer is there when we look
        return real(self, timeout)

    monkeypatch.setattr(attempts.selectors.DefaultSelector, "select", late)
    with listening() as port:
        assert one("tcp", port) == attempts.OPEN


@contextlib.contextmanager
def few_files(number: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_files_that_run_out_are_our_own_limit():
    with few_files(max(int(name.name) for name in Path("/proc/self/fd").iterdir()) + 2):
        assert set(made("tcp 127.0.0.1 1-3").values()) <= {attempts.OWN_LIMIT, attempts.REFUSED}


def test_a_connection_with_itself_is_not_open():
    """On an address of our own, the kernel may choose the port that is tried as the one it tries from."""
    with socket.socket() as mine:
        mine.bind(("127.0.0.1", 0))
        mine.connect(mine.getsockname())
        assert attempts._connected(mine) == attempts.REFUSED


def test_runs_with_the_pythons_that_hosts_have():
    source = Path(attempts.__file__).read_text()
    ast.parse(source, feature_version=(3, 7))
    with listening() as port:
        said = subprocess.run(
            [
                sys.executable,
                "-I",
                "-c",
                source,
                "1",
                "10",
                "10",
                f"tcp 127.0.0.1 1-3,{port};dns 127.0.0.1 1",
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    assert set(said.splitlines()) == {"r tcp 127.0.0.1 1-3", f"o tcp 127.0.0.1 {port}", "r dns 127.0.0.1 1"}


def test_ports_are_read_as_they_are_written():
    assert attempts.spelled([5, 1, 2, 3, 9]) == "1-3,5,9"
    assert list(attempts.numbers("1-3,5,9")) == [1, 2, 3, 5, 9]


def test_no_address_is_flooded():
    """Ports of one address come after those of the others."""
    found = attempts.attempts(["tcp 10.0.0.1 1-2", "tcp 10.0.0.2 1-2"])
    assert [address for _, address, _ in found] == ["10.0.0.1", "10.0.0.2"] * 2


def test_no_thread_is_left():
    before = threading.active_count()
    assert one("tcp", 1) == attempts.REFUSED
    assert threading.active_count() == before
