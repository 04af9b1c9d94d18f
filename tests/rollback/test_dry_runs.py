"""A dry run whose server does not answer fails: without reading the current state there is no plan. Uses a small DNS server."""

from __future__ import annotations

import base64
import socket
from collections.abc import Iterator

import pytest

from pytest_deploygate.checks.way_back.section.rollback import DnsSwitch, Haproxy
from pytest_deploygate.lab import dns_server
from pytest_deploygate.redaction import Secret
from pytest_deploygate.rollback import dns_switch, haproxy

KEY = base64.b64encode(b"k" * 32).decode()
ZONE = """$ORIGIN example.test.
$TTL 60
@ IN SOA ns hostmaster 1 60 60 60 60
@ IN NS ns
ns IN A 127.0.0.1
app IN A 192.0.2.20
"""


@pytest.fixture
def port() -> Iterator[int]:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        number = found.getsockname()[1]
    servers = dns_server.serve(
        {
            "address": "127.0.0.1",
            "port": number,
            "role": "primary",
            "zone": "example.test",
            "text": ZONE,
            "key": ["k", KEY],
        }
    )
    yield number
    for server in servers:
        server.shutdown()
        server.server_close()


def switch(port: int, **more: object) -> DnsSwitch:
    given = {
        "zone": "example.test", "name": "app.example.test", "now": ["192.0.2.20"], "to": ["192.0.2.10"],
        "primary": "127.0.0.1", "port": port, "key_name": "k", "key": Secret(KEY, "env:KEY"),
    }  # fmt: skip
    return DnsSwitch.model_validate(given | more)


def test_a_dns_dry_run_tries_the_key_and_changes_nothing(port):
    looked = dns_switch.plan(switch(port))
    assert looked.good, looked.said
    assert "now 192.0.2.20; 127.0.0.1" in looked.said
    assert not dns_switch.verify(switch(port)).good, "nothing was switched"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (
            {"key": Secret(base64.b64encode(b"x" * 32).decode(), "env:KEY")},
            "does not accept updates: PeerBadSignature",
        ),
        ({"now": ["192.0.2.99"]}, "neither the new side nor the old"),
        ({"name": "nothing.example.test"}, "neither the new side nor the old"),
    ],
)
def test_a_dns_dry_run_that_would_not_go_through_is_no_good(port, more, says):
    looked = dns_switch.plan(switch(port, **more))
    assert (looked.good, says in looked.said) == (False, True), looked.said


def test_a_server_that_does_not_answer_is_no_plan(tmp_path):
    looked = haproxy.plan(Haproxy(socket=str(tmp_path / "none"), backend="app", maint=["a"]))
    assert (looked.good, "cannot be queried" in looked.said) == (False, True)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        looked = dns_switch.plan(switch(closed.getsockname()[1]))
    assert (looked.good, "no answer" in looked.said) == (False, True)


def test_a_server_that_closes_the_connection_has_not_taken_the_update(port, monkeypatch):
    """It answers over UDP and hangs up over TCP, as seen with a proxy in front of the primary."""
    monkeypatch.setattr(dns_server._Tcp, "handle", lambda self: self.rfile.read(2))
    looked = dns_switch.plan(switch(port))
    assert (looked.good, "closed the connection without answering" in looked.said) == (False, True)
    assert "did not accept the update: it closed the connection" in dns_switch.switch(switch(port))
