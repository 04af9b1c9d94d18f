"""TLS and certificates measured on servers with one known defect each, and judged: that defect, and no other."""

from __future__ import annotations

import pytest
import tls_servers as servers
from cryptography import x509
from tls_defects import PROFILE, SERVERS
from tls_servers import build, ecdsa_key, own, s_server

from pytest_deploygate.checks.tls.judge import certificates as judge_certificates
from pytest_deploygate.checks.tls.judge import protocols as judge_tls
from pytest_deploygate.checks.tls.probe import certificates as tls
from pytest_deploygate.checks.tls.probe import protocols as tls_offers
from pytest_deploygate.checks.tls.section.guidelines import profile
from pytest_deploygate.lab import authority
from pytest_deploygate.model import Verdict

INTERMEDIATE = profile("intermediate")


def certificates(folder, made, *arguments, settings=None, **more):
    with s_server(made, *arguments) as port:
        endpoint = servers.endpoint(port, **more)
        found = tls.measure(endpoint, settings or servers.settings(folder))
    return found, judge_certificates.judge_certificates(
        found,
        judge_certificates.ExpectedCertificates(endpoint, settings or servers.settings(folder), INTERMEDIATE),
    )


def offers(folder, made, *arguments, name="intermediate"):
    with s_server(made, *arguments) as port:
        endpoint = servers.endpoint(port)
        found = tls_offers.measure(endpoint, servers.settings(folder))
    return found.addresses[0], judge_tls.judge_protocols(
        found, judge_tls.ExpectedProtocols(endpoint, profile(name))
    )


@pytest.fixture
def good(tmp_path):
    return servers.write(tmp_path, build(), own().intermediate)


def test_a_good_server_passes(tmp_path, good):
    """An RSA leaf with its intermediate: trusted, right name, strong."""
    found, judgement = certificates(tmp_path, good)
    assert judgement.verdict is Verdict.PASS, judgement.reason
    (leaf,) = found.addresses[0].leaves
    assert (leaf.trust.code, leaf.covers_name, leaf.seen) == (0, True, 6)
    assert found.addresses[0].client.ok


#: Servers of the set whose certificates are bad, and what the reason must contain.
SAYS = {
    "expired": "expired",
    "ends soon": "expires in ",
    "wrong name": "not for server.example.test",
    "missing intermediate": "(20); an issuer is missing",
    "wrong order": "out of order",
    "no serverAuth": "serverAuth",
    "not yet valid": "not valid before",
    "RSA 1024": "1024 bits, at least 2048",
    "SHA-1": "signed with SHA1",
    "self-signed": "(18); it is self-signed",
    "X.509 v1 leaf": "X.509 v1",
}


@pytest.mark.parametrize("name", SAYS)
def test_each_defect_of_a_certificate_is_named(tmp_path, name):
    """The reason names the defect; the verdict is fail, and the gate measures again to confirm it."""
    made, arguments = SERVERS[name](tmp_path)
    _, judgement = certificates(tmp_path, made, *arguments)
    assert judgement.verdict is Verdict.FAIL
    assert SAYS[name] in judgement.reason, judgement.reason
    assert not judgement.confirmed


def test_rsa_and_ecdsa_leaves_are_both_seen(tmp_path):
    """Each kind is requested with its own suites; a missing expected kind is a failure."""
    made, arguments = SERVERS["sound, RSA and ECDSA"](tmp_path)
    found, _ = certificates(tmp_path, made, *arguments, keys=["rsa", "ecdsa"])
    assert sorted(leaf.certificate.key for leaf in found.addresses[0].leaves) == ["ecdsa", "rsa"]
    _, judgement = certificates(tmp_path, made, *PROFILE, keys=["rsa", "ecdsa"])
    assert judgement.verdict is Verdict.FAIL
    assert "offers no ECDSA certificate" in judgement.reason


def test_leaves_of_a_server_of_tls_1_3_alone_are_seen(tmp_path, good):
    """Nothing is sent in the clear there: a full handshake gets the leaf."""
    found, judgement = certificates(tmp_path, good, "-tls1_3")
    assert found.addresses[0].leaves[0].certificate.key == "rsa"
    assert judgement.verdict is Verdict.PASS, judgement.reason


def test_nobody_listening_is_inconclusive(tmp_path):
    """An address that refuses is not a bad certificate."""
    servers.write(tmp_path, build())
    endpoint, settings = servers.endpoint(servers.free_port()), servers.settings(tmp_path)
    judgement = judge_certificates.judge_certificates(
        tls.measure(endpoint, settings),
        judge_certificates.ExpectedCertificates(endpoint, settings, INTERMEDIATE),
    )
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "no certificate" in judgement.reason
    offered = judge_tls.judge_protocols(
        tls_offers.measure(endpoint, settings), judge_tls.ExpectedProtocols(endpoint, INTERMEDIATE)
    )
    assert offered.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("verify", "verdict"), [("-Verify", Verdict.PASS), ("-verify", Verdict.FAIL)])
def test_mutual_tls_is_judged_by_a_read(tmp_path, good, verify, verdict):
    """`-Verify` requires a client's certificate, `-verify` only requests one: in TLS 1.3 both handshakes succeed."""
    client = tmp_path / "client"
    client.mkdir()
    own_certificate = servers.write(
        client, build(ecdsa_key(), server_auth=False), own().intermediate, key=ecdsa_key()
    )
    arguments = (verify, "2", "-CAfile", str(tmp_path / "root.pem"), "-verify_return_error")
    certificate = {"certificate": str(own_certificate.certificate), "key": str(own_certificate.key)}
    found, judgement = certificates(
        tmp_path, good, *arguments, client_certificate=certificate, http={"redirect_port": "none"}
    )
    assert judgement.verdict is verdict, (judgement.reason, found.addresses[0].control)


def test_tls_1_0_is_seen_where_it_is_on(tmp_path, good):
    """The positive control: a server of TLS 1.0 alone, which today's OpenSSL would refuse to connect to."""
    found, judgement = offers(tmp_path, good, "-tls1", "-cipher", "ALL:@SECLEVEL=0")
    assert found.protocols["TLSv1.0"] == "accepted"
    assert [v for v, outcome in found.protocols.items() if outcome == "accepted"] == ["TLSv1.0"]
    assert judgement.verdict is Verdict.FAIL
    assert "TLSv1.0 is on" in judgement.reason


def test_each_version_is_told_apart(tmp_path, good):
    """1.1, 1.2 and 1.3 alone; a refusal is an answer, not a guess."""
    for flag, version in (("-tls1_1", "TLSv1.1"), ("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
        found, _ = offers(tmp_path, good, flag, "-cipher", "ALL:@SECLEVEL=0")
        assert [v for v, outcome in found.protocols.items() if outcome == "accepted"] == [version]
        assert set(found.protocols.values()) <= {"accepted", "refused", "closed"}


def test_exactly_the_suites_of_the_server_are_found(tmp_path, good):
    """The groups configured on the server are the ones found, in TLS 1.2 and 1.3; the weak ones are named."""
    given = ["ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-SHA", "AES128-SHA", "AES256-SHA256"]
    found, judgement = offers(
        tmp_path, good, "-cipher", ":".join(given) + ":@SECLEVEL=0", "-no_tls1", "-no_tls1_1"
    )
    assert sorted(found.suites["TLSv1.2"]) == sorted(given)
    assert len(found.suites["TLSv1.3"]) == 3
    assert judgement.verdict is Verdict.FAIL
    assert "AES128-SHA" in judgement.reason
    assert "no forward secrecy" in judgement.reason


def test_a_server_of_the_profile_passes(tmp_path, good):
    """The profile's own suites and versions: pass, with a note of what was not probed."""
    suites = ":".join(sorted(s for s in INTERMEDIATE.suites if not s.startswith("TLS_")))
    found, judgement = offers(tmp_path, good, "-cipher", suites, "-no_tls1", "-no_tls1_1")
    assert judgement.verdict is Verdict.PASS, judgement.reason
    assert "not probed: SSL 2.0" in judgement.notes[0]
    assert found.secure_renegotiation
    assert not found.compression
    assert "X25519" in found.groups
    _, judgement = offers(tmp_path, good, "-cipher", suites, "-no_tls1", "-no_tls1_1", name="modern")
    assert judgement.verdict is Verdict.FAIL
    assert "TLSv1.2" in judgement.reason


def test_anonymous_suites_are_seen(tmp_path, good):
    """They send no certificate at all, which must not stop the scan."""
    found, judgement = offers(
        tmp_path, good, "-tls1_2", "-cipher", "ADH-AES128-SHA256:AES128-SHA:@SECLEVEL=0"
    )
    assert "ADH-AES128-SHA256" in found.suites["TLSv1.2"]
    assert "no authentication" in judgement.reason


def test_a_weak_group_is_seen(tmp_path, good):
    """secp224r1 has 224 bits, the profile wants 256."""
    found, judgement = offers(
        tmp_path,
        good,
        "-tls1_2",
        "-groups",
        "secp224r1",
        "-cipher",
        "ECDHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0",
    )
    assert found.groups == ("secp224r1",)
    assert "weak groups" in judgement.reason


def test_a_silent_peer_is_inconclusive_and_bounded(tmp_path):
    """A port that accepts and never answers: no verdict on protocols, and not a timeout for each hello."""
    import socket
    import time

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(50)
        endpoint = servers.endpoint(silent.getsockname()[1])
        began = time.monotonic()
        found = tls_offers.measure(endpoint, servers.Tls.model_validate({"timeout": "200ms"}))
        assert time.monotonic() - began < 20
    judgement = judge_tls.judge_protocols(found, judge_tls.ExpectedProtocols(endpoint, INTERMEDIATE))
    assert judgement.verdict is Verdict.INCONCLUSIVE


def test_revocation_lists_are_read(tmp_path):
    """A serial number on the list is found; another one is not."""
    serial = 0x1234
    listed = x509.load_der_x509_crl(authority.revocations(own(), [serial]))
    assert listed.get_revoked_certificate_by_serial_number(serial) is not None
    assert listed.get_revoked_certificate_by_serial_number(serial + 1) is None
