"""What a table stands for: hosts, names and networks filled in, and the draw from a table that is too large."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pytest_deploygate.checks.firewall.probe.plan import Plan, plans
from pytest_deploygate.checks.firewall.section import Firewall
from pytest_deploygate.checks.hosts.section import Hosts

HOSTS = Hosts.model_validate(
    {
        "servers": [
            {"name": name, "connection": f"ssh://{name}.example.com", "roles": [role]}
            for name, role in (("web1", "web"), ("db1", "database"), ("db2", "database"))
        ]
    }
)
NAMES = {
    "web1.example.com": ("192.0.2.1", "2001:db8::1"),
    "db1.example.com": ("192.0.2.11",),
    "db2.example.com": ("192.0.2.12",),
}


def planned(*rules: Sequence[object], seed: int = 1, **keys: object) -> dict[str, Plan]:
    rows = [dict(zip(("from", "to", "ports", "expected"), rule, strict=True)) for rule in rules]
    firewall = Firewall.model_validate({"rules": rows, **keys})
    found = plans(firewall, HOSTS, lambda name: NAMES.get(name, ()), seed)
    return {plan.source: plan for plan in found}


def test_hosts_roles_and_names_become_addresses():
    plan = planned(("here", ["web", "db1"], ["tcp/443", "udp/53"], "open"))["here"]
    assert plan.lines() == [
        "tcp 192.0.2.1 443",
        "dns 192.0.2.1 53",
        "tcp 2001:db8::1 443",
        "dns 2001:db8::1 53",
        "tcp 192.0.2.11 443",
        "dns 192.0.2.11 53",
    ]


def test_a_host_does_not_try_itself():
    found = planned(("database", "database", "tcp/5432", "open"))
    assert found["db1"].lines() == ["tcp 192.0.2.12 5432"]
    assert found["db2"].lines() == ["tcp 192.0.2.11 5432"]


def test_only_the_versions_asked_for():
    firewall = {"from": "here", "to": "web1", "ports": "tcp/80", "expected": "open", "ip_versions": [6]}
    found = list(plans(Firewall.model_validate({"rules": [firewall]}), HOSTS, NAMES.__getitem__, 1))
    assert found[0].lines() == ["tcp 2001:db8::1 80"]


def test_addresses_of_the_firewall_replace_those_of_connections():
    plan = planned(("here", "db1", "tcp/1", "open"), addresses={"db1": ["10.0.0.1", "fd00::1"]})["here"]
    assert plan.lines() == ["tcp 10.0.0.1 1", "tcp fd00::1 1"]


def test_a_name_without_an_address_is_kept_by_name():
    assert planned(("here", "gone.example.com", "tcp/1", "open"))["here"].unresolved == ["gone.example.com"]


def test_a_network_has_its_hosts():
    plan = planned(("here", "192.0.2.0/29", "tcp/1", "closed"))["here"]
    assert [line.split()[1] for line in plan.lines()] == [f"192.0.2.{number}" for number in range(1, 7)]
    assert plan.of == 6


def test_a_large_table_is_drawn_and_small_rows_are_whole():
    rows = (("here", "2001:db8::/64", "tcp/1-1000", "closed"), ("here", "10.0.0.0/16", "tcp/80", "closed"),
            ("here", "db1", ["tcp/5432", "tcp/22"], "open"))  # fmt: skip
    began = time.process_time()
    plan = planned(*rows, most=1000)["here"]
    assert time.process_time() - began < 2
    assert plan.of == 2**64 * 1000 + 65534 + 2
    assert len(plan.asked) == 1000
    assert {("tcp", "192.0.2.11", 5432), ("tcp", "192.0.2.11", 22)} <= set(plan.asked)
    six = sum(":" in address for _, address, _ in plan.asked)
    assert 400 < six < 600


def test_the_same_seed_draws_the_same():
    row = ("here", "10.0.0.0/8", "tcp/1-1000", "closed")
    first, again, other = (planned(row, most=100, seed=seed)["here"].lines() for seed in (7, 7, 8))
    assert first == again != other


def test_two_rows_of_one_attempt_are_tried_once_and_judged_twice():
    plan = planned(("here", "db1", "tcp/22", "open"), ("here", "192.0.2.11", "tcp/22", "closed"))["here"]
    assert plan.lines() == ["tcp 192.0.2.11 22"]
    assert [len(pieces) for pieces in plan.asked.values()] == [2]
