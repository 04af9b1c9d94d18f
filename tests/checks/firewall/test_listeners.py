"""What hosts print of their listeners, and the kernel's tables where there is no `ss`."""

from __future__ import annotations

import shutil
import socket
import subprocess

import pytest
from network_sockets import listening

from pytest_deploygate.checks.firewall.facts import Listener
from pytest_deploygate.checks.firewall.probe import listeners

SS = """\
udp   UNCONN 0      0            0.0.0.0:123       0.0.0.0:*    users:(("ntpd",pid=7,fd=3))
udp   UNCONN 0      0      192.0.2.5%eth0:68        0.0.0.0:*
udp   UNCONN 0      0               [::1]:323          [::]:*    users:(("chronyd",pid=9,fd=6))
udp   UNCONN 0      0      [fe80::1%eth0]:546          [::]:*
tcp   LISTEN 0      128          127.0.0.1:631       0.0.0.0:*
tcp   LISTEN 0      128      127.0.0.53%lo:53        0.0.0.0:*
tcp   LISTEN 0      128 [::ffff:127.0.0.1]:8005            *:*
tcp   LISTEN 0      128                  *:22              *:*    users:(("sshd",pid=1,fd=3),("systemd",pid=1,fd=4))
tcp   LISTEN 0      128               [::]:443          [::]:*    users:(("nginx: worker",pid=2,fd=3))
ended"""


def test_ss():
    assert listeners.read({"sockets": SS})["listeners"] == (
        Listener("tcp", "*", 22, "sshd"),
        Listener("tcp", "::", 443, "nginx: worker"),
        Listener("udp", "192.0.2.5", 68),
        Listener("udp", "0.0.0.0", 123, "ntpd"),
        Listener("udp", "fe80::1", 546),
    )


TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1
   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2
   2: 050200C0:0016 090200C0:C350 01 00000000:00000000 00:00000000 00000000     0        0 3
  sl  local_address                         remote_address                        st tx_queue
   0: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000
   1: 00000000000000000000000001000000:0019 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000"""
UDP = """\
   0: 00000000:007B 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4
   1: 050200C0:D431 35020 0C0:0035 01 00000000:00000000 00:00000000 00000000     0        0 5"""


def test_the_kernels_tables():
    found = listeners.read({"sockets_tcp": TCP, "sockets_udp": UDP})["listeners"]
    assert found == (
        Listener("tcp", "0.0.0.0", 22),
        Listener("tcp", "::", 443),
        Listener("udp", "0.0.0.0", 123),
    )


@pytest.mark.parametrize(
    "parts", [{}, {"sockets": SS.removesuffix("ended")}, {"sockets": "something else\nended"}]
)
def test_what_cannot_be_read_is_unknown(parts):
    assert listeners.read(parts)["listeners"] is None


def test_a_form_of_ss_that_is_not_known_is_replaced_by_the_kernels_tables():
    found = listeners.read({"sockets": "tcp ?\nended", "sockets_tcp": TCP})["listeners"]
    assert found[0] == Listener("tcp", "0.0.0.0", 22)


def told() -> dict[str, str]:
    """Ask this machine."""
    return {
        name: subprocess.run(
            ["sh", "-c", command], capture_output=True, text=True, check=False
        ).stdout.strip()
        for name, command in listeners.COMMANDS.items()
    }


def test_this_machine_tells_both_ways_alike():
    if shutil.which("ss") is None:
        pytest.skip("there is no ss: apt install iproute2")
    with socket.socket() as there, listening():
        there.bind(("0.0.0.0", 0))
        there.listen()
        parts = told()
        port = there.getsockname()[1]
    by_ss = listeners.read(parts)["listeners"]
    by_kernel = listeners.read({name: said for name, said in parts.items() if name != "sockets"})["listeners"]
    mine = [each for each in by_ss if each.port == port]
    assert [(each.transport, each.address) for each in mine] == [("tcp", "0.0.0.0")]
    assert Listener("tcp", "0.0.0.0", port) in by_kernel


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("ended", False),
        ("00000000000000000000000000000001 01 80 10 80       lo\nended", False),
        ("fe800000000000000000000000000001 02 40 20 80     eth0\nended", True),
        ("", None),
    ],
)
def test_whether_a_host_has_ipv6(said, expected):
    assert listeners.read({"ipv6": said})["has_ipv6"] is expected


def test_the_range_of_outgoing_ports():
    assert listeners.read({"ephemeral": "1024\t2048"})["ephemeral"] == (1024, 2048)
    assert "ephemeral" not in listeners.read({})
