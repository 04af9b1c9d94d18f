"""The whole measurement over a real sshd on loopback, and from here."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from network_sockets import answering, full, has_ipv6, listening
from ssh_server import serving

from pytest_deploygate.checks.firewall import judge, probe
from pytest_deploygate.checks.firewall.facts import Network, Outcome
from pytest_deploygate.checks.firewall.probe import attempts, host
from pytest_deploygate.checks.firewall.probe.network import _control
from pytest_deploygate.checks.firewall.section import Firewall
from pytest_deploygate.checks.hosts.section import Hosts
from pytest_deploygate.clients import reach
from pytest_deploygate.clients.budget import unrecorded
from pytest_deploygate.judging.silent_hosts import Cause
from pytest_deploygate.model import CannotTell, Verdict


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    folder = tmp_path_factory.mktemp("sshd")
    with serving(folder) as connection:
        yield folder, connection


@pytest.fixture(autouse=True)
def _forget() -> None:
    reach.begin()


def table(*rules: tuple[object, object, object, str], **keys: object) -> Firewall:
    rows = [dict(zip(("from", "to", "ports", "expected"), rule, strict=True)) for rule in rules]
    return Firewall.model_validate({"rules": rows, "timeout": "500ms", "seed": 1, **keys})


def hosts(**connections: str) -> Hosts:
    return Hosts.model_validate(
        {"servers": [{"name": name, "connection": place} for name, place in connections.items()]}
    )


def outcomes(measured: Network, source: str) -> dict[tuple[str, str], Outcome]:
    return {(each.protocol, each.ports): each.outcome for each in measured.seen if each.source == source}


def test_from_here_without_hosts():
    with listening() as opened, full() as filtered, answering() as dns:
        measured = probe.network(
            table(
                ("here", "127.0.0.1", [f"tcp/{opened}", f"dns/{dns}"], "open"),
                ("here", "127.0.0.1", [f"tcp/{filtered}", "tcp/1-2"], "closed"),
            ),
            None,
        )
    assert outcomes(measured, "here") == {
        ("tcp", str(opened)): Outcome.OPEN,
        ("dns", str(dns)): Outcome.OPEN,
        ("tcp", str(filtered)): Outcome.FILTERED,
        ("tcp", "1-2"): Outcome.REFUSED,
    }
    assert measured.seed is None
    assert measured.vantages[0].tried == measured.vantages[0].of == 5


def test_places_that_must_be_open_are_watched_while_attempts_are_made():
    """Those that answer before; what does not is for the table to judge."""
    drawn = unrecorded("sec.firewall")
    with listening() as opened, full() as filtered:
        rows = table(
            ("here", "127.0.0.1", [f"tcp/{opened}", f"tcp/{filtered}"], "open"),
            ("here", "127.0.0.1", ["tcp/1-2"], "closed"),
        )
        probe.network(rows, None, drawn)
        (entry,) = drawn.ledger.entries()
        assert entry.before is not None
        assert (entry.before.answers, entry.before.wrong) == (5, 0)
        asks = _control(rows, None)
        assert asks is not None
        assert asks()
    assert not asks()
    assert _control(rows, None) is None


def test_both_versions_of_ip():
    if not has_ipv6():
        pytest.skip("no ::1 here")
    with listening("::1") as port:
        measured = probe.network(table(("here", ["127.0.0.1", "::1"], f"tcp/{port}", "open")), None)
    assert {each.address: each.outcome for each in measured.seen} == {
        "::1": Outcome.OPEN,
        "127.0.0.1": Outcome.REFUSED,
    }


@pytest.mark.parametrize("python", [True, False])
def test_from_a_host(server, monkeypatch, python):
    """The host tells its listeners in the answer in which it makes the attempts."""
    if not python:
        monkeypatch.setattr(host, "_PYTHON", "P=")
    with listening("127.0.0.1") as opened, full() as filtered:
        firewall = table(
            ("db1", "127.0.0.1", f"tcp/{opened}", "open"),
            ("db1", "127.0.0.1", [f"tcp/{filtered}", "tcp/1"], "closed"),
            listeners={"db1": ["tcp/1-65535", "udp/1-65535"]},
        )
        measured = probe.network(firewall, hosts(db1=server[1]))
    assert outcomes(measured, "db1") == {
        ("tcp", str(opened)): Outcome.OPEN,
        ("tcp", str(filtered)): Outcome.FILTERED,
        ("tcp", "1"): Outcome.REFUSED,
    }
    assert measured.vantages[0].program == ("Python" if python else "bash")
    assert measured.hosts[0].listeners is not None
    assert judge.judge(measured, firewall).verdict is Verdict.PASS


def test_a_plan_that_is_too_long_for_one_command(server, monkeypatch):
    monkeypatch.setattr(host, "_LONGEST_PLAN", 60)
    firewall = table(("db1", [f"127.0.0.{n}" for n in range(1, 9)], "tcp/1-2", "refused"))
    measured = probe.network(firewall, hosts(db1=server[1]))
    assert sum(each.number for each in measured.seen) == 16
    assert {each.outcome for each in measured.seen} == {Outcome.REFUSED}


def test_ports_that_were_drawn_from_one_address_are_split():
    line = f"tcp 127.0.0.1 {attempts.spelled(range(1, 9000, 2))}"
    parts = list(host._parts([line]))
    assert max(map(len, parts)) < 2 * host._LONGEST_PLAN
    found = {key for part in parts for key in attempts.attempts(part.split(";"))}
    assert len(found) == 4500


def test_a_host_that_cannot_be_used_is_inconclusive_by_name(server):
    with listening() as opened:
        firewall = table((["here", "db1"], "127.0.0.1", f"tcp/{opened}", "open"))
        measured = probe.network(firewall, hosts(db1="ssh://nobody@127.0.0.1:1", web1=server[1]))
    (vantage,) = [each for each in measured.vantages if each.name == "db1"]
    assert vantage.failure is not None
    assert vantage.failure.cause is Cause.DOWN
    found = judge.judge(measured, firewall)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reason.startswith("db1: cannot be used: it refuses the connection")


def test_a_host_without_anything_to_try_with(server, monkeypatch):
    monkeypatch.setattr(host, "_attempts", lambda *_: "echo 'with '; echo 'x tcp 127.0.0.1 1'")
    measured = probe.network(table(("db1", "127.0.0.1", "tcp/1", "closed")), hosts(db1=server[1]))
    assert "no python3, bash or nc" in str(measured.vantages[0].failure)


def test_hosts_that_are_only_asked_what_they_listen_on(server):
    with listening() as opened:
        firewall = table(("here", "127.0.0.1", f"tcp/{opened}", "open"), listeners={"db1": "tcp/1"})
        measured = probe.network(firewall, hosts(db1=server[1], web1="ssh://nobody@127.0.0.1:1"))
    assert [side.name for side in measured.hosts] == ["db1"]
    assert measured.hosts[0].declared == (("tcp", 1, 1),)


def test_a_host_asks_its_own_udp_services(server):
    """Its firewall may hide them from us: that they answer there says that silence here is a filter's."""
    with answering() as dns:
        firewall = table(
            ("here", "db1", [f"dns/{dns}", "dns/1", "udp/9", "tcp/9", "quic/2000-2100"], "open"),
            addresses={"db1": "127.0.0.1"},
            listeners={"db1": "tcp/1"},
        )
        measured = probe.network(firewall, hosts(db1=server[1]))
    assert measured.hosts[0].answers == (("dns", "127.0.0.1", dns),)


def test_ports_that_the_table_opens_are_declared(server):
    firewall = table(
        ("here", "db1", "tcp/5432", "open"), ("here", "db1", "tcp/9", "closed"), listeners={"db1": "tcp/22"}
    )
    measured = probe.network(firewall, hosts(db1=server[1]))
    assert measured.hosts[0].declared == (("tcp", 22, 22), ("tcp", 5432, 5432))


def test_a_draw_is_repeatable_and_says_its_seed():
    firewall = table(("here", "127.0.0.0/16", "tcp/1-10", "refused"), most=200)
    first, again = probe.network(firewall, None), probe.network(firewall, None)
    assert first.seed == 1
    assert [each.address for each in first.seen] == [each.address for each in again.seen]
    assert first.vantages[0].of == 655340
    assert first.vantages[0].tried == 200


def test_a_table_that_stands_for_nothing():
    row = {"from": "here", "to": "127.0.0.1", "ports": "tcp/1", "expected": "open", "ip_versions": [6]}
    with pytest.raises(CannotTell, match="stands for no attempt"):
        probe.network(Firewall.model_validate({"rules": [row]}), None)


def test_a_name_that_does_not_resolve_is_inconclusive():
    firewall = table(("here", "no-such-name.invalid", "tcp/1", "open"))
    found = judge.judge(probe.network(firewall, None), firewall)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "no-such-name.invalid has no address" in found.reason


def test_controls_are_tried_and_count():
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(listening())
        rule = ("here", "127.0.0.1", "tcp/1", "closed")
        control = [{"to": "127.0.0.1", "ports": f"tcp/{opened}"}]
        firewall = table(rule, controls={"here": control})
        assert judge.judge(probe.network(firewall, None), firewall).verdict is Verdict.PASS
        bare = table(rule)
        assert judge.judge(probe.network(bare, None), bare).verdict is Verdict.INCONCLUSIVE


def test_a_table_of_many_attempts_takes_seconds():
    """200 addresses and 100 ports, on loopback."""
    began = time.process_time()
    measured = probe.network(table(("here", "127.1.1.0/24", "tcp/1-100", "refused"), most=25_500), None)
    assert sum(each.number for each in measured.seen) == 25_400
    assert time.process_time() - began < 10
