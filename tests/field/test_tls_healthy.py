"""Unusual servers to which clients connect without trouble: they pass. OpenSSL's own client is asked in the same test."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time

import pytest
import tls_servers as servers
from tls_proxy import changing
from tls_servers import build, ecdsa_key, own, s_server

from pytest_deploygate.checks.tls.judge import certificates as judge_certificates
from pytest_deploygate.checks.tls.judge import protocols as judge_protocols
from pytest_deploygate.checks.tls.probe import certificates, protocols
from pytest_deploygate.checks.tls.section.guidelines import profile
from pytest_deploygate.model import Verdict

INTERMEDIATE = profile("intermediate")
TLS_1_2 = ("-cipher", "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256", "-no_renegotiation")
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")


def passes(folder, port, address="127.0.0.1", **more):
    """Ask OpenSSL's client, then measure and judge both items; all agree that this is fine."""
    where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    truth = subprocess.run(
        ["openssl", "s_client", "-connect", where, "-servername", servers.HOST, "-CAfile",
         str(folder / "root.pem"), "-verify_return_error", "-verify_hostname", servers.HOST],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert truth.returncode == 0, truth.stderr
    endpoint = servers.endpoint(port, addresses=[address], **more)
    settings = servers.settings(folder, timeout="6s")
    found = certificates.measure(endpoint, settings)
    expected = judge_certificates.ExpectedCertificates(endpoint, settings, INTERMEDIATE)
    judged = judge_certificates.judge_certificates(found, expected)
    assert judged.verdict is Verdict.PASS, judged.reason
    offers = judge_protocols.ExpectedProtocols(endpoint, INTERMEDIATE, found)
    judged = judge_protocols.judge_protocols(protocols.measure(endpoint, settings), offers)
    assert judged.verdict is Verdict.PASS, judged.reason


@pytest.mark.parametrize(
    ("leaf", "key"),
    [
        (lambda: build(age=1, left=5), None),
        (lambda: build(age=2, left=5), None),
        (lambda: build(ecdsa_key()), ecdsa_key),
        (lambda: build(age=1, left=396), None),
    ],
    ids=["six days", "a week", "ECDSA alone", "a year"],
)
def test_leaves(tmp_path, leaf, key):
    made = servers.write(tmp_path, leaf(), own().intermediate, key=key() if key else None)
    with s_server(made, *TLS_1_2) as port:
        passes(tmp_path, port)


@pytest.mark.parametrize(
    "options",
    [
        ("-tls1_3",),
        ("-groups", "P-384"),
        ("-tls1_3", "-groups", "P-384"),
        ("-tls1_3", "-groups", "P-256:P-384", "-num_tickets", "0"),
    ],
    ids=["TLS 1.3 alone", "P-384", "P-384 after another hello", "no tickets"],
)
def test_what_is_agreed(tmp_path, options):
    made = servers.write(tmp_path, build(), own().intermediate)
    with s_server(made, *TLS_1_2, *options) as port:
        passes(tmp_path, port)


def test_ipv6(tmp_path):
    made = servers.write(tmp_path, build(), own().intermediate)
    with s_server(made, *TLS_1_2, address="::1") as port:
        passes(tmp_path, port, "::1")


@pytest.mark.long
def test_a_handshake_that_takes_its_time(tmp_path):
    """Each connection's first record comes 0.25 s late."""
    made = servers.write(tmp_path, build(), own().intermediate)
    begun = set()

    def late(number, record):
        if number not in begun:
            begun.add(number)
            time.sleep(0.25)
        return record

    with s_server(made, *TLS_1_2) as port, changing(port, late) as proxy:
        passes(tmp_path, proxy)


@contextlib.contextmanager
def nginx(folder, default):
    """Serve the name of the endpoint beside another default server."""
    port = servers.free_port()
    paths = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log stderr crit; events {{}}\n"
        f"http {{ {paths} access_log off; ssl_protocols TLSv1.2 TLSv1.3;\n"
        "ssl_ciphers ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384; ssl_ecdh_curve X25519:prime256v1;\n"
        f"server {{ listen 127.0.0.1:{port} ssl default_server; {default} return 404; }}\n"
        f"server {{ listen 127.0.0.1:{port} ssl; server_name {servers.HOST}; ssl_certificate {folder}/chain.pem;\n"
        f"ssl_certificate_key {folder}/key.pem; return 200 ok; }} }}\n"
    )
    with subprocess.Popen([NGINX, "-e", "stderr", "-p", folder, "-c", folder / "nginx.conf"]) as server:
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(0.7)
            yield port
        finally:
            server.terminate()


@pytest.mark.skipif(NGINX is None, reason="no nginx")
@pytest.mark.parametrize("default", ["rejects", "another certificate"])
def test_a_server_that_needs_the_name(tmp_path, default):
    """A real nginx refuses whoever names no host, or shows such clients an expired certificate for another name."""
    other = tmp_path / "other"
    other.mkdir()
    servers.write(other, build(name="old.example.test", age=90, left=-1), own().intermediate)
    servers.write(tmp_path, build(), own().intermediate)
    said = (
        "ssl_reject_handshake on;"
        if default == "rejects"
        else f"ssl_certificate {other}/chain.pem; ssl_certificate_key {other}/key.pem;"
    )
    with nginx(tmp_path, said) as port:
        passes(tmp_path, port)
