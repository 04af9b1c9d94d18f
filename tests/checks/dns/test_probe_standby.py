"""The standby's health, requested by name at its address, as users would reach it after a failover."""

from __future__ import annotations

import contextlib
import http.server
import socket
import ssl
import threading

import pytest
import tls_servers as servers
from tls_servers import build, own

from pytest_deploygate.checks.dns.probe import standby
from pytest_deploygate.checks.dns.section import DnsName


class _Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.headers["Host"] == servers.HOST else 404)
        self.end_headers()
        self.wfile.write(b'{"status": "UP", "database": "DOWN"}')

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def site(made, address="127.0.0.1"):
    """A site that serves only one name: another server name, or none, aborts the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    context.sni_callback = lambda _socket, name, _context: (
        None if name == servers.HOST else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    )
    kind = type("Site", (http.server.ThreadingHTTPServer,), {"address_family": family(address)})
    server = kind((address, 0), _Health)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def wanted(address, port, primary="192.0.2.1"):
    return DnsName.model_validate(
        {"name": servers.HOST, "addresses": [primary], "standby": {"address": address, "port": port}}
    )


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_standby_is_asked_by_the_name_that_fails_over(tmp_path, address):
    """Its address alone is not enough for a server with many names."""
    with contextlib.suppress(OSError), socket.socket(family(address)) as probe:
        probe.bind((address, 0))
        made = servers.write(tmp_path, build(), own().intermediate)
        with site(made, address) as port:
            found = standby.standby_health(wanted(address, port), 3)
        assert (found.status, found.attempts) == (200, 1), found.problem
        assert found.place == (f"[::1]:{port}" if ":" in address else f"127.0.0.1:{port}")
        return
    pytest.skip(f"no {address} here")


def test_the_site_in_use_is_the_control_of_one_that_does_not_answer(tmp_path):
    """No answer from the standby: three attempts, and the active site as a control."""
    made = servers.write(tmp_path, build(), own().intermediate)
    with site(made) as port:
        found = standby.standby_health(wanted("127.0.0.2", port, "127.0.0.1"), 3)
    assert (found.status, found.attempts, found.primary_status) == (None, 3, 200)


@pytest.mark.parametrize(
    ("expected", "lacking", "unseen"),
    [
        ({}, "", True),
        ({"contains": '"status": "UP"'}, "", False),
        ({"lacks": "DOWN"}, "body with 'DOWN'", False),
        ({"contains": ["UP", "ready"]}, "body without 'ready'", False),
    ],
)
def test_an_error_within_an_answer_of_200(tmp_path, expected, lacking, unseen):
    """The body counts if something is known of it; else that it was not looked at is said."""
    made = servers.write(tmp_path, build(), own().intermediate)
    with site(made) as port:
        name = wanted("127.0.0.1", port).model_dump(exclude_none=True)
        found = standby.standby_health(
            DnsName.model_validate(name | {"standby": name["standby"] | expected}), 3
        )
    assert (found.status, found.lacking, found.unseen) == (200, lacking, unseen)
    assert found.attempts == (3 if lacking else 1)
