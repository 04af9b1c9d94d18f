"""STARTTLS in four protocols, against small scripted peers (not real servers): the preamble is scripted, TLS is real."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading

import pytest
import tls_servers as servers
from tls_servers import build, own

from pytest_deploygate.checks.tls.judge import certificates as judge_certificates
from pytest_deploygate.checks.tls.judge import protocols as judge_tls
from pytest_deploygate.checks.tls.probe import certificates as tls
from pytest_deploygate.checks.tls.probe import protocols as tls_offers
from pytest_deploygate.checks.tls.section.guidelines import profile
from pytest_deploygate.model import Verdict


def postgresql(peer, *, offers):
    assert peer.recv(8) == b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
    peer.sendall(b"S" if offers else b"N")


def smtp(peer, *, offers):
    peer.sendall(b"220 mail.example.test ESMTP\r\n")
    assert peer.recv(100).startswith(b"EHLO")
    peer.sendall(
        b"250-mail.example.test\r\n250-PIPELINING\r\n" + (b"250 STARTTLS\r\n" if offers else b"250 HELP\r\n")
    )
    if offers:
        assert peer.recv(100) == b"STARTTLS\r\n"
        peer.sendall(b"220 go ahead\r\n")


def imap(peer, *, offers):
    peer.sendall(b"* OK IMAP4rev1 ready\r\n")
    assert peer.recv(100) == b"d1 STARTTLS\r\n"
    peer.sendall(b"d1 OK begin\r\n" if offers else b"d1 BAD unknown command\r\n")


def ldap(peer, *, offers):
    assert b"1.3.6.1.4.1.1466.20037" in peer.recv(100)
    code = b"\x00" if offers else b"\x02"
    peer.sendall(b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01" + code + b"\x04\x00\x04\x00")


PEERS = {"postgresql": postgresql, "smtp": smtp, "imap": imap, "ldap": ldap}


@contextlib.contextmanager
def peer(folder, speak, *, offers=True):
    """Speak the preamble to every caller, then TLS 1.2 and 1.3."""
    made = servers.write(folder, build(), own().intermediate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.2)
    over = threading.Event()

    def one(connection):
        connection.settimeout(3)
        with contextlib.suppress(OSError, AssertionError), connection:
            speak(connection, offers=offers)
            if offers:
                with context.wrap_socket(connection, server_side=True) as inside:
                    inside.recv(100)

    def accept():
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        thread.join()
        listener.close()


@pytest.mark.parametrize("protocol", PEERS)
def test_certificates_and_protocols_are_seen_behind_starttls(tmp_path, protocol):
    """The same verdicts as on a port that begins with TLS."""
    with peer(tmp_path, PEERS[protocol]) as port:
        endpoint, settings = servers.endpoint(port, starttls=protocol), servers.settings(tmp_path)
        found = tls.measure(endpoint, settings)
        offered = tls_offers.measure(endpoint, settings).addresses[0]
    judgement = judge_certificates.judge_certificates(
        found, judge_certificates.ExpectedCertificates(endpoint, settings, profile("intermediate"))
    )
    assert judgement.verdict is Verdict.PASS, judgement.reason
    assert [v for v, outcome in offered.protocols.items() if outcome == "accepted"] == ["TLSv1.2", "TLSv1.3"]


@pytest.mark.parametrize("protocol", PEERS)
def test_a_peer_without_tls_is_not_a_pass(tmp_path, protocol):
    """Its reply is in the reason."""
    with peer(tmp_path, PEERS[protocol], offers=False) as port:
        endpoint, settings = servers.endpoint(port, starttls=protocol), servers.settings(tmp_path)
        offered = tls_offers.measure(endpoint, settings)
    judgement = judge_tls.judge_protocols(
        offered, judge_tls.ExpectedProtocols(endpoint, profile("intermediate"))
    )
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "no-tls" in judgement.reason
