"""Revocation lists and stapled OCSP responses: what counts only with the issuer's signature."""

from __future__ import annotations

import http.server
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
import tls_servers as servers
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID
from tls_servers import NOW, build, ecdsa_key, own, rsa_key

from pytest_deploygate.checks.tls.probe import revocation
from pytest_deploygate.checks.tls.probe import x509 as certificates
from pytest_deploygate.lab import authority


@pytest.fixture
def served():
    """A server on loopback that returns `body` with `status`."""
    said = {"status": 200, "body": b""}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(said["status"])
            self.end_headers()
            self.wfile.write(said["body"])

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    revocation.forget()
    yield said, f"http://127.0.0.1:{server.server_port}/list.crl"
    server.shutdown()
    server.server_close()


def leaf_naming(url):
    return replace(certificates.read(build().public_bytes(Encoding.DER)), crls=(url,))


def test_a_list_of_the_issuer_is_believed(served):
    said, url = served
    leaf = leaf_naming(url)
    said["body"] = authority.revocations(own(), [int(leaf.serial, 16)])
    assert revocation.crl(leaf, own().intermediate, 3).revoked is True
    assert revocation.crl(leaf_naming(url), own().intermediate, 3).revoked is False


def test_a_list_of_somebody_else_is_not(served):
    """The same issuer name with another key: the certificate is not listed, which proves nothing."""
    said, url = served
    said["body"] = authority.revocations(authority.make("", "", NOW))
    found = revocation.crl(leaf_naming(url), own().intermediate, 3)
    assert found.revoked is None
    assert "not signed by the certificate's issuer" in found.problem


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (404, b"", "answers 404"),
        (200, b"<html>", "is not a revocation list"),
        (200, b"", "is not a revocation list"),
    ],
)
def test_what_is_no_list_tells_nothing(served, status, body, says):
    said, url = served
    said |= {"status": status, "body": body}
    found = revocation.crl(leaf_naming(url), own().intermediate, 3)
    assert found.revoked is None
    assert says in found.problem


def test_without_the_issuer_a_list_cannot_be_verified(served):
    said, url = served
    said["body"] = authority.revocations(own())
    assert revocation.crl(leaf_naming(url), None, 3).revoked is None


def test_the_issuer_is_taken_from_what_was_sent_or_from_the_roots(tmp_path):
    """Sent with the leaf; a root that is not sent, as in many companies; and none."""
    servers.write(tmp_path, build())
    leaf, intermediate = build().public_bytes(Encoding.DER), own().intermediate.public_bytes(Encoding.DER)
    roots = tmp_path / "root.pem"
    assert certificates.issuer_of([leaf, intermediate], roots) == own().intermediate
    below_root = build(signing=own().root_key, issuer=own().root.subject).public_bytes(Encoding.DER)
    assert certificates.issuer_of([below_root], roots) == own().root
    assert certificates.issuer_of([leaf], roots) is None


def answer(certificate, *, key=None, responder=None, status=ocsp.OCSPCertStatus.GOOD, sent=()):
    signer = responder or own().intermediate
    revoked = status is ocsp.OCSPCertStatus.REVOKED
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            cert=certificate,
            issuer=own().intermediate,
            algorithm=hashes.SHA1(),
            cert_status=status,
            this_update=NOW,
            next_update=NOW + timedelta(days=7),
            revocation_time=NOW if revoked else None,
            revocation_reason=None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, signer)
    )
    builder = builder.certificates(list(sent)) if sent else builder
    return builder.sign(key or own().key, hashes.SHA256()).public_bytes(Encoding.DER)


def responder(key, *, usage=ExtendedKeyUsageOID.OCSP_SIGNING, signing=None):
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "responder")]))
        .issuer_name(own().intermediate.subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=7))
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .sign(signing or own().key, hashes.SHA256())
    )


def stapled(certificate, **more):
    return revocation.staple(
        answer(certificate, **more), f"{certificate.serial_number:x}", own().intermediate
    )


@pytest.mark.parametrize("key", [rsa_key(), ecdsa_key()])
def test_an_answer_of_the_issuer_or_its_responder_is_believed(key):
    """Signed by the issuer itself, or by a responder with an RSA or ECDSA key authorized by the issuer."""
    certificate = build()
    assert stapled(certificate).status == "good"
    assert stapled(certificate, status=ocsp.OCSPCertStatus.REVOKED).status == "revoked"
    made = responder(key)
    assert stapled(certificate, key=key, responder=made, sent=[made]).status == "good"


def test_an_answer_of_anybody_else_is_not():
    """An authority of the same name; a responder without the usage; one authorized by another key."""
    certificate, key, other = build(), ecdsa_key(), authority.make("", "", NOW)
    unfit = responder(key, usage=ExtendedKeyUsageOID.SERVER_AUTH)
    foreign = responder(key, signing=rsa_key())
    same_name = (other.intermediate, other.key)
    for made, signing in (same_name, (unfit, key), (foreign, key)):
        found = stapled(certificate, key=signing, responder=made, sent=[made])
        assert "not signed by the issuer" in found.status


def test_an_answer_about_another_certificate_is_not_about_this_one():
    found = revocation.staple(answer(build()), f"{build().serial_number:x}", own().intermediate)
    assert not found.about_this
