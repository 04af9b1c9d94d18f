"""The table as people write it: ports, hosts, roles, and what a misspelt one gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_deploygate.checks.firewall.section import Firewall, places_of, ports
from pytest_deploygate.checks.hosts.section import Host
from pytest_deploygate.inventory import loader

HOSTS = """name: staging
hosts:
  servers:
    - {name: web1, connection: "ssh://deploy@web1.example.com:2222", roles: [web]}
    - {name: db1, connection: "docker://db1", roles: [database]}
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tcp/443", ["tcp/443"]),
        ("tcp/8000-8100", ["tcp/8000-8100"]),
        ("udp/53", ["dns/53"]),
        (
            "udp/1-200",
            ["udp/1-52", "dns/53", "udp/54-122", "ntp/123", "udp/124-160", "snmp/161", "udp/162-200"],
        ),
        ("quic/8443", ["quic/8443"]),
    ],
)
def test_ports(text, expected):
    assert [str(each) for each in ports(text)] == expected


@pytest.mark.parametrize("text", ["443", "tcp/0", "tcp/70000", "tcp/90-80", "http/80", "tcp/", "tcp/80,443"])
def test_what_is_no_port(text):
    with pytest.raises(ValueError, match="port"):
        ports(text)


def load(tmp_path: Path, firewall: str, hosts: str = HOSTS):
    path = tmp_path / "staging.yml"
    path.write_text(hosts + firewall)
    return loader.load(str(path), tmp_path).inventory


GOOD = """firewall:
  rules:
    - {from: here, to: [web, db1, 10.0.0.0/24, "2001:db8::/64", api.example.com], ports: [tcp/443, udp/53], expected: open}
    - {from: [web, all], to: database, ports: tcp/5432, expected: closed}
  addresses: {db1: 10.0.0.5}
  controls: {here: [{to: web1, ports: tcp/22}]}
  listeners: {web: [tcp/443], all: tcp/22}
  host_policy: {database: nftables}
"""


def test_a_table(tmp_path):
    inventory = load(tmp_path, GOOD)
    web1, db1 = inventory.hosts.servers
    assert places_of(web1, inventory.firewall) == ["web1.example.com"]
    assert places_of(db1, inventory.firewall) == ["10.0.0.5"]


WRONG = {
    "a role": (
        "[web, db1,",
        "[wbe, db1,",
        r":8: firewall\.rules\[0\]\.to: no host or role is named 'wbe'; did you mean 'web'",
    ),
    "from": (
        "{from: [web, all]",
        "{from: [web, databas]",
        r":9: firewall\.rules\[1\]\.from: .*did you mean 'database'",
    ),
    "here": ("{from: here", "{from: her", r":8: firewall\.rules\[0\]\.from: .*did you mean 'here'"),
    "an address": ("{db1: 10", "{db2: 10", r":10: firewall\.addresses\.db2: .*did you mean 'db1'"),
    "a control's place": (
        "{to: web1",
        "{to: web2",
        r":11: firewall\.controls.*to: .*did you mean 'web1'",
    ),
    "a control's vantage point": (
        "controls: {here",
        "controls: {hare",
        r":11: firewall\.controls\.hare: .*did you mean 'here'",
    ),
    "listeners": ("{web: [tcp", "{wep: [tcp", r":12: firewall\.listeners\.wep: .*did you mean 'web'"),
    "host policy": (
        "{database: nft",
        "{databases: nft",
        r":13: firewall\.host_policy\.databases: .*did you mean 'database'",
    ),
    "a port": ("tcp/5432", "tcp-5432", r":9: firewall\.rules\[1\]\.ports: 'tcp-5432' is not a port"),
    "what is expected": (
        "expected: closed",
        "expected: close",
        r":9: firewall\.rules\[1\]\.expected: must be `open`, or `closed`",
    ),
}


@pytest.mark.parametrize(("good", "bad", "says"), WRONG.values(), ids=WRONG)
def test_a_misspelt_name_is_a_usage_error_with_line_and_nearest_name(tmp_path, good, bad, says):
    assert good in GOOD
    with pytest.raises(loader.InventoryError, match=says):
        load(tmp_path, GOOD.replace(good, bad, 1))


def test_a_role_without_hosts(tmp_path):
    with pytest.raises(loader.InventoryError, match="the inventory has no `hosts` section"):
        load(
            tmp_path,
            "firewall: {rules: [{from: here, to: web, ports: tcp/443, expected: open}]}\n",
            "name: a\n",
        )


def test_a_table_without_hosts(tmp_path):
    text = "firewall: {rules: [{from: here, to: web.example.com, ports: tcp/443, expected: open}]}\n"
    assert load(tmp_path, text, "name: a\n").firewall.rules


def test_a_plan_before_references_have_values(tmp_path, monkeypatch):
    """What is missing is collected, and no target of that name is missed."""
    monkeypatch.setenv("DEPLOYGATE_LAB", str(tmp_path / "none"))
    path = tmp_path / "staging.yml"
    path.write_text(
        "name: a\nfirewall: {rules: [{from: here, to: 'lab:target', ports: tcp/443, expected: open}]}\n"
    )
    missing: list[str] = []
    assert loader.load(str(path), tmp_path, missing).inventory.firewall.rules
    assert missing


@pytest.mark.parametrize(
    ("connection", "expected"),
    [
        ("ssh://deploy@db1.example.com:22?ssh_config=/x", ["db1.example.com"]),
        ("ssh://[2001:db8::1]:22", ["2001:db8::1"]),
        ("ssh://db1", ["db1"]),
        ("docker://db1", []),
        ("local://", []),
    ],
)
def test_the_address_of_a_connection(connection, expected):
    firewall = Firewall.model_validate(
        {"rules": [{"from": "here", "to": "a.b", "ports": "tcp/1", "expected": "open"}]}
    )
    assert places_of(Host(name="db1", connection=connection), firewall) == expected
