"""A watched target whose certificate no client trusts is down, and the record says that the certificate is why."""

from __future__ import annotations

import asyncio
import ssl

import pytest
import tls_servers as servers
from slow_peer import dripping

from pytest_deploygate.checks.uptime.probe import ask
from pytest_deploygate.checks.uptime.section import WatchTarget

BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize(
    ("trusted", "host", "says"),
    [
        (False, "localhost", "is not trusted: "),
        (True, "localhost", "is not trusted: Hostname mismatch"),
    ],
)
def test_a_certificate_that_is_not_trusted(tmp_path, trusted, host, says):
    made = servers.write(tmp_path, servers.build(), servers.own().intermediate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    trust = {"ca_file": str(servers.settings(tmp_path).ca_file)} if trusted else {}
    with dripping(BODY, tls=context) as port:
        target = WatchTarget.model_validate({"name": "app", "url": f"https://{host}:{port}/", **trust})
        found = asyncio.run(ask.ask(target, 3.0))
    assert found.up is False
    assert says in found.why, found.why
    assert "permitted" not in found.why


def test_tls_that_fails_for_another_reason():
    with dripping(BODY, waits=False) as port:
        target = WatchTarget.model_validate({"name": "app", "url": f"https://127.0.0.1:{port}/"})
        found = asyncio.run(ask.ask(target, 3.0))
    assert found.up is False
    assert "TLS handshake" in found.why, found.why
