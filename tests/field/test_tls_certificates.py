"""What clients make of a certificate decides: OpenSSL is asked in the same test, and its answer is the truth."""

from __future__ import annotations

import http.server
import ipaddress
import re
import subprocess
import threading
from datetime import UTC, datetime, timedelta

import pytest
import tls_servers as servers
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tls_proxy import after_a_warning, changing, with_wrong_signature
from tls_servers import build, ecdsa_key, own, s_server

from pytest_deploygate.checks.tls.judge import certificates as judge_certificates
from pytest_deploygate.checks.tls.judge import protocols as judge_protocols
from pytest_deploygate.checks.tls.probe import certificates, protocols, revocation
from pytest_deploygate.checks.tls.section.guidelines import profile
from pytest_deploygate.lab import authority
from pytest_deploygate.model import Verdict

INTERMEDIATE = profile("intermediate")
TLS_1_2 = ("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256")
DAY = timedelta(days=1)


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def issuer(called, key, by, signing, *, age=400, left=2000 * DAY, crl=""):
    """Make a certificate of an authority. `by` is the name of what signs it."""
    now = datetime.now(UTC).replace(microsecond=0)
    made = (
        x509.CertificateBuilder()
        .subject_name(name(called))
        .issuer_name(name(by))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - age * DAY)
        .not_valid_after(now + left)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if crl:
        point = x509.DistributionPoint([x509.UniformResourceIdentifier(crl)], None, None, None)
        made = made.add_extension(x509.CRLDistributionPoints([point]), critical=False)
    return made.sign(signing, hashes.SHA256())


ROOT, OLD, MIDDLE = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))


def served(folder, *chain, roots, key=None):
    """Write a chain, and the roots that clients trust."""
    made = servers.write(folder, *chain, key=key)
    (folder / "root.pem").write_text(authority.pem(*roots))
    return made


def judged(folder, port, **more):
    """Measure and judge both items; the certificates' judgement comes first."""
    endpoint, settings = servers.endpoint(port, **more), servers.settings(folder, timeout="3s")
    found = certificates.measure(endpoint, settings)
    expected = judge_certificates.ExpectedCertificates(endpoint, settings, INTERMEDIATE)
    offers = judge_protocols.ExpectedProtocols(endpoint, INTERMEDIATE, found)
    return (
        judge_certificates.judge_certificates(found, expected),
        judge_protocols.judge_protocols(protocols.measure(endpoint, settings), offers),
    )


def connects(folder, port, *more):
    """Ask OpenSSL's own client."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", servers.HOST, "-CAfile",
         str(folder / "root.pem"), "-verify_return_error", "-verify_hostname", servers.HOST, *more],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    return done.returncode == 0


def leaf_of_middle(**more):
    return build(signing=MIDDLE, issuer=name("middle"), **more)


def test_a_wrong_signature_in_the_handshake(tmp_path):
    """The key does not fit the certificate: the hello looks good, and nobody connects."""
    made = servers.write(tmp_path, build(), own().intermediate)
    with s_server(made, *TLS_1_2) as port, changing(port, with_wrong_signature) as proxy:
        assert connects(tmp_path, port)
        assert not connects(tmp_path, proxy)
        for judgement in judged(tmp_path, proxy):
            assert judgement.verdict is Verdict.FAIL
            assert "an ordinary client cannot connect" in judgement.reason, judgement.reason


def test_a_handshake_that_is_always_reset(tmp_path):
    """Hellos are answered, but the connection is reset when the handshake goes on."""
    made = servers.write(tmp_path, build(), own().intermediate)

    def change(_number, record):
        return b"" if record[0] == 20 else record  # the server's ChangeCipherSpec

    with s_server(made, *TLS_1_2) as port, changing(port, change) as proxy:
        assert not connects(tmp_path, proxy)
        judgement, _ = judged(tmp_path, proxy)
    assert judgement.verdict is Verdict.FAIL
    assert "an ordinary client cannot connect" in judgement.reason


def test_every_fourth_connection_is_reset(tmp_path):
    """It is repeated, and the note says so."""
    made = servers.write(tmp_path, build(), own().intermediate)

    def change(number, record):
        return b"" if number % 4 == 0 else record

    with s_server(made, *TLS_1_2) as port, changing(port, change) as proxy:
        judgement, _ = judged(tmp_path, proxy)
    assert judgement.verdict is Verdict.PASS, judgement.reason
    assert any("connections ended without an answer" in note for note in judgement.notes), judgement.notes


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_warning_before_the_hello(tmp_path, version):
    """OpenSSL's client goes on after unrecognized_name, and so do we."""
    made = servers.write(tmp_path, build(), own().intermediate)
    with s_server(made, version, *TLS_1_2[1:]) as port, changing(port, after_a_warning()) as proxy:
        assert connects(tmp_path, proxy)
        for judgement in judged(tmp_path, proxy):
            assert judgement.verdict is Verdict.PASS, judgement.reason


def alert(level, code):
    return bytes((0x15, 3, 3, 0, 2, level, code))


@pytest.mark.parametrize(
    "first", [alert(1, 90), alert(1, 112) * 2, alert(1, 112) * 4, alert(2, 112), alert(2, 40)],
    ids=["another warning", "two warnings", "four warnings", "unrecognized_name, fatal", "handshake_failure"],
)  # fmt: skip
def test_alerts_before_the_hello(tmp_path, first):
    """Whether OpenSSL's client goes on decides: warnings are none of ours, and a fatal one is a refusal."""
    made = servers.write(tmp_path, build(), own().intermediate)
    begun = set()

    def change(number, record):
        new = number not in begun
        begun.add(number)
        return first + record if new else record

    with s_server(made, *TLS_1_2) as port, changing(port, change) as proxy:
        goes_on = connects(tmp_path, proxy)
        for judgement in judged(tmp_path, proxy):
            assert (judgement.verdict is Verdict.PASS) is goes_on, judgement.reason
    assert goes_on is (first[5] == 1)


def test_a_client_certificate_that_the_inventory_does_not_name(tmp_path):
    """No failure of the server: what its clients see is unknown."""
    made = servers.write(tmp_path, build(), own().intermediate)
    required = (*TLS_1_2, "-Verify", "2", "-CAfile", str(tmp_path / "root.pem"), "-verify_return_error")
    with s_server(made, *required) as port:
        judgement, _ = judged(tmp_path, port)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "add `client_certificate`" in judgement.reason


@pytest.mark.parametrize(
    ("left", "verdict", "says"),
    [
        (10, Verdict.FAIL, "its intermediate CN=middle expires in 10"),
        (24 * 5, Verdict.FAIL, "its intermediate CN=middle expires in 5 d"),
        (24 * 20, Verdict.PASS, "its successor is due"),
        (24 * 60, Verdict.PASS, ""),
    ],
)
def test_the_intermediate_ends_before_the_leaf(tmp_path, left, verdict, says):
    root = issuer("root", ROOT, "root", ROOT)
    middle = issuer("middle", MIDDLE, "root", ROOT, left=timedelta(hours=left, minutes=1))
    made = served(tmp_path, leaf_of_middle(), middle, roots=[root])
    with s_server(made) as port:
        assert connects(tmp_path, port)
        assert (
            connects(
                tmp_path,
                port,
                "-attime",
                f"{(datetime.now(UTC) + timedelta(hours=left + 1)).timestamp():.0f}",
            )
            is False
        )
        judgement, _ = judged(tmp_path, port)
    assert judgement.verdict is verdict, judgement.reason
    assert says in judgement.reason or any(says in note for note in judgement.notes), judgement


def test_the_root_ends(tmp_path):
    root = issuer("root", ROOT, "root", ROOT, left=timedelta(hours=10, minutes=1))
    made = served(tmp_path, leaf_of_middle(), issuer("middle", MIDDLE, "root", ROOT), roots=[root])
    with s_server(made) as port:
        judgement, _ = judged(tmp_path, port)
    assert judgement.verdict is Verdict.FAIL
    assert "its root CN=root expires in 10" in judgement.reason


def test_an_issuer_that_ends_while_another_path_is_there(tmp_path):
    """Another certificate of the same intermediate is sent too: OpenSSL takes it afterwards."""
    root = issuer("root", ROOT, "root", ROOT)
    soon = issuer("middle", MIDDLE, "root", ROOT, left=timedelta(hours=10))
    later = issuer("middle", MIDDLE, "root", ROOT)
    made = served(tmp_path, leaf_of_middle(), soon, later, roots=[root])
    with s_server(made) as port:
        at = f"{(datetime.now(UTC) + timedelta(hours=11)).timestamp():.0f}"
        assert connects(tmp_path, port, "-attime", at)
        endpoint, settings = servers.endpoint(port), servers.settings(tmp_path)
        found = certificates.measure(endpoint, settings)
    (leaf,) = found.addresses[0].leaves
    assert len(leaf.path) == 2
    ends = {one.sha256 for one in leaf.path if one.not_after < leaf.certificate.not_after}
    assert ends <= leaf.spare


def test_an_expired_cross_signed_root_beside_a_good_path(tmp_path):
    """Modern clients go by the new root; the note names those that do not."""
    root = issuer("root", ROOT, "root", ROOT)
    cross = issuer("root", ROOT, "old root", OLD, left=-2 * DAY)
    middle = issuer("middle", MIDDLE, "root", ROOT)
    old = issuer("old root", OLD, "old root", OLD, left=-3 * DAY)
    made = served(tmp_path, leaf_of_middle(), middle, cross, old, roots=[root, old])
    with s_server(made) as port:
        assert connects(tmp_path, port)
        judgement, _ = judged(tmp_path, port)
    assert judgement.verdict is Verdict.PASS, judgement.reason
    said = [note for note in judgement.notes if "OpenSSL 1.0.2" in note]
    assert len(said) == 2
    assert "CN=root" in said[0]


@pytest.mark.parametrize(
    ("cross_left", "root_left", "notes"),
    [(100, 100, 0), (-2, None, 1), (-2, 100, 1), (100, -3, 1)],
    ids=[
        "both are valid",
        "the cross-signed one alone",
        "the old root is valid",
        "the cross-signed one is valid",
    ],
)
def test_other_certificates_beside_a_good_path(tmp_path, cross_left, root_left, notes):
    """What has ended is noted, each with the clients that it hurts; what is valid is not."""
    root = issuer("root", ROOT, "root", ROOT)
    sent = [issuer("middle", MIDDLE, "root", ROOT)]
    if cross_left is not None:
        sent.append(issuer("root", ROOT, "old root", OLD, left=cross_left * DAY))
    if root_left is not None:
        sent.append(issuer("old root", OLD, "old root", OLD, left=root_left * DAY))
    made = served(tmp_path, leaf_of_middle(), *sent, roots=[root])
    with s_server(made) as port:
        assert connects(tmp_path, port)
        judgement, _ = judged(tmp_path, port)
    assert judgement.verdict is Verdict.PASS, judgement.reason
    assert len([note for note in judgement.notes if "OpenSSL 1.0.2" in note]) == notes, judgement.notes


@pytest.mark.parametrize("first", ["rsa", "ecdsa"])
@pytest.mark.parametrize("only", [True, False], ids=["TLS 1.3 only", "and TLS 1.2 with RSA alone"])
def test_a_second_leaf_in_tls_1_3(tmp_path, only, first):
    """Clients that prefer the other kind of signature get a leaf with two days left."""
    lefts = {"rsa": 70, "ecdsa": 70} | {("ecdsa" if first == "rsa" or not only else "rsa"): 2}
    made = servers.write(tmp_path, build(left=lefts["rsa"]), own().intermediate)
    second = tmp_path / "second"
    second.mkdir()
    other = servers.write(
        second, build(ecdsa_key(), left=lefts["ecdsa"]), own().intermediate, key=ecdsa_key()
    )
    more = ["-dcert", str(other.certificate), "-dkey", str(other.key), "-dcert_chain", str(other.rest)]
    version = ["-tls1_3"] if only else ["-cipher", "ECDHE-RSA-AES128-GCM-SHA256", "-no_tls1", "-no_tls1_1"]
    with s_server(made, *more, *version) as port:
        judgement, _ = judged(tmp_path, port)
    assert judgement.verdict is Verdict.FAIL, judgement.reason
    assert re.search("expires in 4[78]", judgement.reason), judgement.reason


def test_a_revoked_intermediate(tmp_path):
    """The list that the intermediate names, signed by the root."""
    middle_serial = []
    root = issuer("root", ROOT, "root", ROOT)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            now = datetime.now(UTC)
            revoked = (
                x509.RevokedCertificateBuilder().serial_number(middle_serial[0]).revocation_date(now).build()
            )
            made = (
                x509.CertificateRevocationListBuilder()
                .issuer_name(root.subject)
                .last_update(now - DAY)
                .next_update(now + DAY)
                .add_revoked_certificate(revoked)
                .sign(ROOT, hashes.SHA256())
            )
            self.send_response(200)
            self.end_headers()
            self.wfile.write(made.public_bytes(Encoding.DER))

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as lists:
        threading.Thread(target=lists.serve_forever, args=(0.05,), daemon=True).start()
        revocation.forget()
        middle = issuer("middle", MIDDLE, "root", ROOT, crl=f"http://127.0.0.1:{lists.server_port}/root.crl")
        middle_serial.append(middle.serial_number)
        made = served(tmp_path, leaf_of_middle(), middle, roots=[root])
        with s_server(made) as port:
            judgement, _ = judged(tmp_path, port)
        lists.shutdown()
    assert judgement.verdict is Verdict.FAIL
    assert "its issuer CN=middle was revoked" in judgement.reason


def test_an_address_as_a_dns_name(tmp_path):
    """Clients look for an address among the IP addresses."""
    made = servers.write(tmp_path, build(name="127.0.0.1"), own().intermediate)
    with s_server(made) as port:
        judgement, _ = judged(tmp_path, port, host="127.0.0.1")
    assert judgement.verdict is Verdict.FAIL
    assert "SAN DNS:127.0.0.1" in judgement.reason
    assert "SAN IP:127.0.0.1" in judgement.reason


IP = "127.0.0.1"


@pytest.mark.parametrize(
    ("host", "names", "fits"),
    [
        (IP, [x509.IPAddress(ipaddress.ip_address(IP))], True),
        (IP, [x509.DNSName(IP), x509.IPAddress(ipaddress.ip_address(IP))], True),
        (IP, [x509.IPAddress(ipaddress.ip_address("127.0.0.2"))], False),
        (IP, [x509.DNSName(servers.HOST)], False),
        (servers.HOST, [x509.IPAddress(ipaddress.ip_address(IP))], False),
        (servers.HOST, [x509.DNSName(servers.HOST), x509.IPAddress(ipaddress.ip_address(IP))], True),
    ],
)
def test_names_and_addresses_in_a_certificate(tmp_path, host, names, fits):
    """OpenSSL's client says whether they fit."""
    leaf = (
        x509.CertificateBuilder()
        .subject_name(name("leaf"))
        .issuer_name(own().intermediate.subject)
        .public_key(servers.rsa_key().public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - 20 * DAY)
        .not_valid_after(datetime.now(UTC) + 70 * DAY)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(own().key, hashes.SHA256())
    )
    made = servers.write(tmp_path, leaf, own().intermediate)
    with s_server(made) as port:
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", str(tmp_path / "root.pem"),
             "-verify_return_error", "-verify_ip" if host == IP else "-verify_hostname", host],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False,
        )  # fmt: skip
        judgement, _ = judged(tmp_path, port, host=host)
    assert (done.returncode == 0) is fits
    assert judgement.verdict is (Verdict.PASS if fits else Verdict.FAIL), judgement.reason
    if not fits:
        assert host in judgement.reason


@pytest.mark.parametrize("turns", [2, 3, 5])
def test_several_servers_with_the_same_certificate(tmp_path, turns):
    """They are told from each other by nothing, and need not be."""
    made = servers.write(tmp_path, build(), own().intermediate)
    ports = {}
    with (
        s_server(made) as ports["one"],
        s_server(made) as ports["two"],
        changing(
            lambda number: ports["one" if number % turns else "two"], lambda _n, record: record
        ) as proxy,
    ):
        judgement, _ = judged(tmp_path, proxy)
    assert judgement.verdict is Verdict.PASS, judgement.reason


@pytest.mark.parametrize("turns", [2, 3])
def test_more_connections_get_an_old_certificate(tmp_path, turns):
    made = servers.write(tmp_path, build(), own().intermediate)
    before = tmp_path / "before"
    before.mkdir()
    old = servers.write(before, build(age=75, left=15), own().intermediate)
    ports = {}
    with (
        s_server(made) as ports["new"],
        s_server(old) as ports["old"],
        changing(
            lambda number: ports["new" if number % turns else "old"], lambda _n, record: record
        ) as proxy,
    ):
        judgement, _ = judged(tmp_path, proxy)
    assert judgement.verdict is Verdict.FAIL, judgement.reason
    assert "2 different RSA certificates are served" in judgement.reason


@pytest.mark.parametrize("turns", [2, 3, 5])
def test_other_shares_of_connections_are_reset(tmp_path, turns):
    """It is noted, and is no failure of the certificate."""
    made = servers.write(tmp_path, build(), own().intermediate)

    def change(number, record):
        return b"" if number % turns == 0 else record

    with s_server(made, *TLS_1_2) as port, changing(port, change) as proxy:
        judgement, _ = judged(tmp_path, proxy)
    assert judgement.verdict is Verdict.PASS, judgement.reason
    assert any("ended without an answer" in note for note in judgement.notes), judgement.notes


def test_one_of_five_connections_gets_an_old_certificate(tmp_path):
    """One of five servers behind a balancer was not reloaded."""
    made = servers.write(tmp_path, build(), own().intermediate)
    before = tmp_path / "before"
    before.mkdir()
    old = servers.write(before, build(age=75, left=15), own().intermediate)

    def as_it_is(_number, record):
        return record

    ports = {}
    with (
        s_server(made) as ports["new"],
        s_server(old) as ports["old"],
        changing(lambda number: ports["new" if number % 5 else "old"], as_it_is) as proxy,
    ):
        judgement, _ = judged(tmp_path, proxy)
    assert judgement.verdict is Verdict.FAIL, judgement.reason
    assert "2 different RSA certificates are served" in judgement.reason


def test_the_number_of_connections_is_said(tmp_path):
    """Rarer ones are not seen: the reader can tell how many were looked at."""
    made = servers.write(tmp_path, build(), own().intermediate)
    with s_server(made, "-tls1_3") as port:
        judgement, _ = judged(tmp_path, port)
    assert judgement.verdict is Verdict.PASS
    (seen,) = (reading.value for reading in judgement.readings if reading.name.endswith("connections"))
    assert seen >= 4
