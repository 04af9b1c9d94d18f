"""Servers that close instead of refusing: what they support must not count as off.

Dovecot 2.3 without DH parameters is like this: offered everything, it takes DHE, finds no parameters, and closes without
an alert, although it speaks TLS 1.2. A scripted relay in front of a real `openssl s_server` imitates it.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading

import pytest
import tls_servers as servers
from tls_defects import SERVERS

from pytest_deploygate.checks.tls.judge import protocols as judge_tls
from pytest_deploygate.checks.tls.probe import protocols as tls_offers
from pytest_deploygate.checks.tls.probe.hello import key_exchange, suites
from pytest_deploygate.checks.tls.section.guidelines import profile
from pytest_deploygate.model import CannotTell, Verdict


def offered(hello):
    """The suites of a ClientHello, whose session id has its length at byte 43."""
    at = 44 + hello[43]
    size = int.from_bytes(hello[at : at + 2], "big")
    codes = [int.from_bytes(hello[n : n + 2], "big") for n in range(at + 2, at + 2 + size, 2)]
    return [code for code in codes if code in suites()]


@contextlib.contextmanager
def relay(port, closes):
    """Pass hellos on to a server, and its answers back; close at once where `closes(hello)` says so."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.2)
    over = threading.Event()

    def one(client):
        with contextlib.suppress(OSError), client, socket.create_connection(("127.0.0.1", port)) as server:
            client.settimeout(3)
            hello = client.recv(5000)
            if not hello or closes(hello):
                return
            server.sendall(hello)
            ways = {client: server, server: client}
            while ready := select.select([*ways], [], [], 3)[0]:
                for end in ready:
                    if not (part := end.recv(5000)):
                        return
                    ways[end].sendall(part)

    def accept():
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                one(listener.accept()[0])

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        thread.join()
        listener.close()


def stumbles_over_dhe(hello):
    return any(key_exchange(code) == "DHE" for code in offered(hello))


def test_suites_behind_one_that_the_server_cannot_do_are_seen(tmp_path):
    """TLS 1.2 with a weak suite is on, although every hello that offers DHE is closed without an alert."""
    made, arguments = SERVERS["weak suites"](tmp_path)
    with servers.s_server(made, *arguments) as real, relay(real, stumbles_over_dhe) as port:
        endpoint = servers.endpoint(port)
        found = tls_offers.measure(endpoint, servers.settings(tmp_path))
    (address,) = found.addresses
    assert address.protocols["TLSv1.2"] == "accepted"
    assert sorted(address.suites["TLSv1.2"]) == [
        "AES128-SHA",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES128-SHA",
    ]
    assert address.closed_on["TLSv1.2"] == ("DHE",)
    judgement = judge_tls.judge_protocols(
        found, judge_tls.ExpectedProtocols(endpoint, profile("intermediate"))
    )
    assert judgement.verdict is Verdict.FAIL
    assert "AES128-SHA" in judgement.reason
    assert any("TLSv1.2 with DHE" in note for note in judgement.notes)


def test_a_server_that_stops_answering_is_not_called_clean(tmp_path):
    """A limit on connections from the eleventh hello on: apparent refusals are then inconclusive."""
    count = 0

    def limited(_hello):
        nonlocal count
        count += 1
        return count > 10

    made, arguments = SERVERS["weak suites"](tmp_path)
    with servers.s_server(made, *arguments) as real, relay(real, limited) as port:
        endpoint = servers.endpoint(port)
        with pytest.raises(CannotTell, match=r"TLSv1\.2 at first but no longer after"):
            tls_offers.measure(endpoint, servers.settings(tmp_path))
