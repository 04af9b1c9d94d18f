"""Facts without a limit: what Linux hosts print, and what they cannot tell by name."""

from __future__ import annotations

from dataclasses import fields

import pytest

from pytest_deploygate.checks.hosts.facts import Details
from pytest_deploygate.checks.hosts.probe import commands
from pytest_deploygate.checks.hosts.probe.details import details, newest

TOLD = {
    "login": "deploy",
    "init": "systemd",
    "architecture": "x86_64",
    "processor": "model name\t: AMD EPYC 7B13",
    "virtualisation": "kvm",
    "cgroup": "v2",
    "kernels": "6.1.0-9-amd64\n6.1.0-18-amd64\nextra",
    "load": "0.52 0.58 0.59 1/389 12345",
    "pressure": "some avg10=1.50 avg60=0 avg300=0 total=1\nfull avg10=0 total=0\nsome avg10=0.00 a\nsome avg10=2.25 b",
    "memory": "MemTotal: 100 kB\nMemAvailable:   60 kB\nSwapTotal:  10 kB\nSwapFree:   8 kB",
    "vmstat": "oom_kill 2",
    "open_files": "1504\t0\t9223372036854775807",
    "open_files_limit": "1024 of 524288",
    "listening": "LISTEN 0 128 0.0.0.0:22 0.0.0.0:*\nLISTEN 0 128 [::]:22 [::]:*\n.",
    "connections": "Tcp: RtoAlgorithm MaxConn CurrEstab InSegs\nTcp: 1 -1 40 5",
    "conntrack": "17\n262144",
    "addresses": (
        "1: lo    inet 127.0.0.1/8 scope host lo\n2: eth0    inet 10.0.0.5/24 brd 10.0.0.255 scope global\n"
        "2: eth0    inet6 fe80::1/64 scope link"
    ),
    "default_route": "default via 10.0.0.1 dev eth0",
    "name_servers": "nameserver 10.0.0.2\nnameserver 10.0.0.3",
    "clock": "1790000000.123456789 CET +0100",
    "packages": "612",
    "failed_units": "systemd\nnginx.service loaded failed failed A web server\n.",
    "arrays": (
        "Personalities : [raid1]\nmd0 : active raid1 sdb1[1] sda1[0]\n      100 blocks [2/2] [UU]\n\n"
        "md1 : active raid1 sda2[0]\n      100 blocks [2/1] [U_]\n\nunused devices: <none>\n."
    ),
    "security_module": "selinux Enforcing",
    "sshd": "# PermitRootLogin yes\nPermitRootLogin no\n\tPasswordAuthentication no\nPort 22\nMatch User backup",
    "accounts": "root:x:0:0:root:/root:/bin/bash\ntoor:x:0:0::/root:/bin/sh\nann:x:1000:0::/home/ann:/bin/sh",
    "logged_in": "ann pts/0 2026-11-29\nann pts/1 2026-11-29\nbob tty1 2026-11-29\n.",
    "vm/swappiness": "10",
    "net/ipv4/ip_local_port_range": "32768\t60999",
    "huge_pages": "always [madvise] never",
}


def test_a_host_that_tells_everything():
    found = details(TOLD)
    assert found.not_told == ()
    assert found.newest_kernel == "6.1.0-18-amd64"
    assert (found.load, found.processes) == ((0.52, 0.58, 0.59), 389)
    assert found.pressure_percent == (1.5, 0.0, 2.25)
    assert (found.memory_available_kb, found.swap_kb, found.swap_free_kb) == (60, 10, 8)
    assert (found.listening, found.established, found.conntrack) == (2, 40, (17, 262144))
    assert found.addresses == ("127.0.0.1/8", "10.0.0.5/24", "fe80::1/64")
    assert found.name_servers == ("10.0.0.2", "10.0.0.3")
    assert found.failed_units == ("nginx.service",)
    assert found.degraded_arrays == ("md1",)
    assert found.accounts_of_root == ("root", "toor")
    assert found.kernel_settings == ("vm/swappiness:10", "net/ipv4/ip_local_port_range:32768 60999")
    assert (found.huge_pages, found.open_files) == ("madvise", 1504)
    assert (found.time_zone, found.logged_in) == ("CET +0100", 3)
    assert found.sshd == ("PermitRootLogin no", "PasswordAuthentication no", "Match User backup")


@pytest.mark.parametrize("text", ["", "garbage", "-: unreadable\n[ ]"])
def test_what_a_host_cannot_tell_is_named(text):
    found = details(dict.fromkeys(TOLD, text) if text else {})
    assert set(found.not_told) == {f.name for f in fields(Details) if getattr(found, f.name) is None}
    assert {"load", "packages", "failed_units", "listening", "newest_kernel"} <= set(found.not_told)


def test_those_that_listen_without_ss():
    table = "  sl  local_address rem_address st\n   0: 0100007F:1538 00000000:0000 0A 00000000\n   1: 0A00007F:000A 0A00000A:0A0A 01"
    assert details({"listening": table}).listening == 1
    assert details({"listening": table.splitlines()[0]}).listening == 0
    assert details({"listening": "."}).listening == 0
    assert details({}).listening is None


def test_no_packages_is_not_a_number_that_was_read():
    assert details({"packages": "0"}).packages is None


def test_units_of_a_systemd_that_did_not_answer_are_unknown():
    assert details({"failed_units": "systemd"}).failed_units is None
    assert details({"failed_units": "systemd\n."}).failed_units == ()


@pytest.mark.parametrize(
    ("versions", "found"),
    [
        (["6.1.0-9", "6.1.0-18"], "6.1.0-18"),
        (["5.15.0-100-generic", "6.2.0-1-generic"], "6.2.0-1-generic"),
        (["6.1.0", "6.1.0-rc1"], "6.1.0-rc1"),
        (["build"], None),
        ([], None),
    ],
)
def test_the_newest_kernel_is_that_of_the_largest_number(versions, found):
    assert newest(versions) == found


def test_every_command_has_a_fact_and_there_are_forty():
    assert len(commands.COMMANDS.keys() - {"clock_after", "cpus_online", *commands.KERNEL_SETTINGS}) >= 40
