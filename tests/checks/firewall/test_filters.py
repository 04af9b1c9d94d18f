"""What packet filters print: nftables from a real kernel, the others as they were recorded."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from pytest_deploygate.checks.firewall.facts import Filter
from pytest_deploygate.checks.firewall.probe.filters import COMMANDS, READERS

BASE = "type filter hook input priority 0; policy"
NFT = {
    "nothing": ("", False, False),
    "drops": (f"table inet t {{ chain i {{ {BASE} drop; tcp dport 22 accept }} }}", True, True),
    "accepts": (f"table inet t {{ chain i {{ {BASE} accept; tcp dport 22 accept }} }}", False, False),
    "IPv4 alone": (f"table ip t {{ chain i {{ {BASE} drop; }} }}", True, False),
    "IPv6 alone": (f"table ip6 t {{ chain i {{ {BASE} drop; }} }}", False, True),
    "a last rule that rejects": (
        f"table inet t {{ chain i {{ {BASE} accept; iif lo accept; counter reject }} }}",
        True,
        True,
    ),
    "a rule with a condition at the end": (
        f"table inet t {{ chain i {{ {BASE} accept; iif lo accept; tcp dport 1 drop }} }}",
        False,
        False,
    ),
    "a first rule that accepts everything": (
        f"table inet t {{ chain i {{ {BASE} drop; counter accept; tcp dport 1 drop }} }}",
        False,
        False,
    ),
    "a chain that drops": (
        f"table inet t {{ chain d {{ log; drop }}; chain i {{ {BASE} accept; tcp dport 22 accept; jump d }} }}",
        True,
        True,
    ),
    "a chain that returns": (
        f"table inet t {{ chain d {{ return; drop }}; chain i {{ {BASE} accept; jump d }} }}",
        False,
        False,
    ),
    "goto a chain that ends": (
        f"table inet t {{ chain d {{ tcp dport 22 accept }}; chain i {{ {BASE} drop; goto d }} }}",
        True,
        True,
    ),
    "of two chains one drops": (
        f"table inet t {{ chain a {{ {BASE} accept; }}; chain i {{ type filter hook input priority 5; policy drop; }} }}",
        True,
        True,
    ),
    "the hook of forwarding": (
        "table inet t { chain i { type filter hook forward priority 0; policy drop; } }",
        False,
        False,
    ),
    "the way out": (
        "table inet t { chain i { type filter hook output priority 0; policy drop; } }",
        False,
        False,
    ),
    "a limit is a condition": (
        f"table inet t {{ chain i {{ {BASE} drop; limit rate 5/second accept }} }}",
        True,
        True,
    ),
    "a set is a condition": (
        f"table inet t {{ set s {{ type ipv4_addr; }}; chain i {{ {BASE} drop; ip saddr @s accept }} }}",
        True,
        True,
    ),
}


def nft(rules: str) -> str:
    """Load rules into the kernel, in a network of their own, and return what the command of the host prints."""
    if os.getuid():
        pytest.skip("only root can make a network namespace")
    if shutil.which("nft") is None:
        pytest.skip("there is no nft: apt install nftables")
    if subprocess.run(
        ["unshare", "--net", "nft", "add table inet t"], capture_output=True, check=False
    ).returncode:
        pytest.skip("no network namespaces here")
    script = f"nft -f - <<'END'\n{rules.replace(' }', chr(10) + '}')}\nEND\nT=\n{COMMANDS['nftables']}"
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", script], capture_output=True, text=True, check=False
    )
    assert not done.stderr, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(("rules", "ipv4", "ipv6"), NFT.values(), ids=NFT)
def test_nftables(rules, ipv4, ipv6):
    assert READERS["nftables"](nft(rules)) == Filter("nftables", ipv4, ipv6)


def test_nftables_without_permission():
    said = "Error: Could not process rule: Operation not permitted\nended 1"
    found = READERS["nftables"](said)
    assert (found.ipv4, found.ipv6) == (None, None)
    assert "permission" in found.why


def save(*lines: str, policy: str = "ACCEPT") -> str:
    rules = "\n".join(lines)
    return f"# Generated\n*nat\n:INPUT ACCEPT [0:0]\nCOMMIT\n*filter\n:INPUT {policy} [0:0]\n:OUTPUT ACCEPT [0:0]\n:OWN - [0:0]\n{rules}\nCOMMIT\nended 0"


IPTABLES = {
    "drops": (save("-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT", policy="DROP"), True),
    "accepts": (save("-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT"), False),
    "a last rule": (
        save("-A INPUT -i lo -j ACCEPT", "-A INPUT -j REJECT --reject-with icmp-host-prohibited"),
        True,
    ),
    "a last rule with a comment": (save('-A INPUT -m comment --comment "the rest -j ACCEPT" -j DROP'), True),
    "a first rule that accepts everything": (save("-A INPUT -j ACCEPT", policy="DROP"), False),
    "another chain": (save("-A INPUT -j OWN", "-A OWN -i lo -j ACCEPT", "-A OWN -j DROP"), True),
    "another chain that returns": (save("-A INPUT -j OWN", "-A OWN -j RETURN", "-A OWN -j DROP"), False),
    "a log before it": (save("-A INPUT -j LOG --log-prefix x", "-A INPUT -j DROP"), True),
    "no filter table": ("*nat\n:INPUT ACCEPT [0:0]\nCOMMIT\nended 0", False),
    "no rules at all": ("ended 0", False),
    "not root": (
        "iptables-save v1.8.9 (nf_tables): Could not fetch rule set generation id: Permission denied (you must be root)\nended 4",
        None,
    ),
    "not installed": ("missing", None),
}


@pytest.mark.parametrize(("said", "drops"), IPTABLES.values(), ids=IPTABLES)
def test_iptables(said, drops):
    good = save(policy="DROP")
    found = READERS["iptables"](f"{said}\n\n== 6\n{good}")
    assert (found.ipv4, found.ipv6) == (drops, True)
    assert bool(found.why) is (drops is None)
    assert READERS["iptables"](f"{good}\n== 6\n{said}").ipv6 is drops


OTHERS = {
    "firewalld, default zone": (
        "firewalld",
        "running\nzone public default\nzone public default\nended 0",
        True,
        True,
        "",
    ),
    "firewalld accepts": (
        "firewalld",
        "running\nzone public default\nzone trusted ACCEPT\nended 0",
        False,
        False,
        "zone trusted",
    ),
    "firewalld is stopped": (
        "firewalld",
        "not running\nzone public FirewallD is not running\nended 0",
        False,
        False,
        "not running",
    ),
    "firewalld, no permission": (
        "firewalld",
        "running\nzone public Authorization failed.\n    Make sure polkit agent is running\nended 0",
        None,
        None,
        "permission",
    ),
    "firewalld is missing": ("firewalld", "missing", None, None, "not installed"),
    "ufw denies": (
        "ufw",
        "Status: active\nLogging: on (low)\nDefault: deny (incoming), allow (outgoing), disabled (routed)\nended 0\nIPV6=yes",
        True,
        True,
        "",
    ),
    "ufw without IPv6": (
        "ufw",
        "Status: active\nDefault: reject (incoming), allow (outgoing)\nended 0\nIPV6=no",
        True,
        False,
        "",
    ),
    "ufw allows": (
        "ufw",
        "Status: active\nDefault: allow (incoming), allow (outgoing)\nended 0\nIPV6=yes",
        False,
        False,
        "",
    ),
    "ufw is off": ("ufw", "Status: inactive\nended 0\nIPV6=yes", False, False, "inactive"),
    "ufw, no root": (
        "ufw",
        "ERROR: You need to be root to run this script\nended 1\nIPV6=yes",
        None,
        None,
        "permission",
    ),
    "ufw, defaults not readable": (
        "ufw",
        "Status: active\nDefault: deny (incoming)\nended 0",
        True,
        None,
        "/etc/default/ufw",
    ),
}


@pytest.mark.parametrize(("program", "said", "ipv4", "ipv6", "why"), OTHERS.values(), ids=OTHERS)
def test_firewalld_and_ufw(program, said, ipv4, ipv6, why):
    found = READERS[program](said)
    assert (found.ipv4, found.ipv6) == (ipv4, ipv6)
    assert why in found.why


@pytest.mark.parametrize("program", READERS)
@pytest.mark.parametrize(
    "said", ["", "ended", "ended 0", "{}\nended 0", '{"nftables": 5}\nended 0', "strange\nended 0"]
)
def test_strange_answers_are_never_green(program, said):
    found = READERS[program](said)
    assert found.ipv4 is not True
    assert found.ipv6 is not True


@pytest.mark.parametrize("program", READERS)
def test_the_command_says_that_a_program_is_missing(program, tmp_path):
    done = subprocess.run(
        ["/bin/sh", "-c", f"T=\n{COMMANDS[program]}"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": str(tmp_path)},
    )
    assert "not installed" in READERS[program](done.stdout.strip()).why
