"""STARTTLS and IPv6 on real servers: PostgreSQL, aiosmtpd, OpenLDAP's slapd if it is installed; each with and without TLS."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import time

import pytest
import tls_servers as servers
from aiosmtpd.controller import Controller
from tls_servers import build, own

from pytest_deploygate.checks.tls.judge import certificates as judge_certificates
from pytest_deploygate.checks.tls.judge import protocols as judge_tls
from pytest_deploygate.checks.tls.probe import certificates as tls
from pytest_deploygate.checks.tls.probe import protocols as tls_offers
from pytest_deploygate.checks.tls.section.guidelines import profile
from pytest_deploygate.model import Verdict

LOOPBACKS = ("127.0.0.1", "::1")
SLAPD = shutil.which("slapd", path=f"{os.environ['PATH']}:/usr/sbin")


def has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


HERE = [a for a in LOOPBACKS if ":" not in a or has_ipv6()]


@pytest.fixture
def made(tmp_path):
    return servers.write(tmp_path, build(), own().intermediate)


def looked(folder, port, protocol, addresses=("127.0.0.1",)):
    """Certificates and what was agreed to, judged."""
    endpoint = servers.endpoint(port, starttls=protocol, addresses=list(addresses))
    settings = servers.settings(folder)
    found, offered = tls.measure(endpoint, settings), tls_offers.measure(endpoint, settings)
    intermediate = profile("intermediate")
    return (
        judge_certificates.judge_certificates(
            found, judge_certificates.ExpectedCertificates(endpoint, settings, intermediate)
        ),
        judge_tls.judge_protocols(offered, judge_tls.ExpectedProtocols(endpoint, intermediate, found)),
        offered,
    )


def has_no_tls(folder, port, protocol, says, addresses=("127.0.0.1",)):
    """The negative control: no TLS is inconclusive in both, with the server's own message."""
    certificates, offers, _ = looked(folder, port, protocol, addresses)
    for judgement in (certificates, offers):
        assert judgement.verdict is Verdict.INCONCLUSIVE
        assert says in judgement.reason, judgement.reason


def test_postgresql(tmp_path, made, nodes):
    """TLS turned on for a moment in db1 by a reload; db2 has it off."""
    for name in ("chain.pem", "key.pem"):
        nodes.folder.joinpath(name).write_bytes((tmp_path / name).read_bytes())
        nodes.folder.joinpath(name).chmod(0o600)
        if os.getuid() == 0:
            shutil.chown(nodes.folder / name, "postgres", "postgres")
    on = {"ssl_cert_file": nodes.folder / "chain.pem", "ssl_key_file": nodes.folder / "key.pem", "ssl": "on"}
    try:
        for name, value in on.items():
            nodes.sql("db1", f"ALTER SYSTEM SET {name} = '{value}'")
        nodes.sql("db1", "SELECT pg_reload_conf()")
        deadline = time.monotonic() + 60
        while looked(tmp_path, nodes.ports["db1"], "postgresql")[0].verdict is not Verdict.PASS:
            assert time.monotonic() < deadline, looked(tmp_path, nodes.ports["db1"], "postgresql")[0].reason
            time.sleep(0.1)
        _, _, offered = looked(tmp_path, nodes.ports["db1"], "postgresql")
        assert {"TLSv1.2", "TLSv1.3"} == set(offered.addresses[0].suites)
        has_no_tls(tmp_path, nodes.ports["db2"], "postgresql", "it has no TLS (ssl = off)")
    finally:
        for name in on:
            nodes.sql("db1", f"ALTER SYSTEM RESET {name}")
        nodes.sql("db1", "SELECT pg_reload_conf()")


@contextlib.contextmanager
def smtp(address, context=None):
    server = Controller(
        object(), hostname=address, port=servers.free_port(), tls_context=context, ready_timeout=30
    )
    server.start()
    try:
        yield server.port
    finally:
        server.stop()


@pytest.mark.parametrize("address", HERE)
def test_smtp(tmp_path, made, address):
    """aiosmtpd over IPv4 and IPv6: a server that starts TLS on request, and one that does not list STARTTLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    with smtp(address, context) as port:
        certificates, offers, _ = looked(tmp_path, port, "smtp", [address])
    assert certificates.verdict is Verdict.PASS, certificates.reason
    assert offers.verdict is Verdict.PASS, offers.reason
    with smtp(address) as port:
        has_no_tls(tmp_path, port, "smtp", "does not list STARTTLS", [address])


@pytest.mark.skipif(SLAPD is None, reason="no slapd is installed here")
@pytest.mark.parametrize("with_tls", [True, False])
def test_ldap(tmp_path, made, with_tls):
    """OpenLDAP on every loopback address, with a certificate and without."""
    port = servers.free_port()
    lines = [f"pidfile {tmp_path}/slapd.pid", "database config"]
    if with_tls:
        lines[:0] = [f"TLSCertificateFile {made.certificate}", f"TLSCertificateKeyFile {made.key}"]
    (tmp_path / "slapd.conf").write_text("\n".join(lines) + "\n")
    urls = [f"ldap://{f'[{a}]' if ':' in a else a}:{port}" for a in HERE]
    command = [SLAPD, "-d", "0", "-f", str(tmp_path / "slapd.conf"), "-h", " ".join(urls)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.05)
            if not with_tls:
                has_no_tls(tmp_path, port, "ldap", "refuses StartTLS", HERE)
                return
            certificates, _, offered = looked(tmp_path, port, "ldap", HERE)
        finally:
            process.terminate()
    assert certificates.verdict is Verdict.PASS, certificates.reason
    assert all("TLSv1.2" in address.suites for address in offered.addresses)


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_a_name_is_looked_at_on_its_ipv6_address_too(tmp_path, made):
    """The same server on both loopbacks: one endpoint, two addresses, and each is named in findings."""
    import tls_defects

    with (
        servers.s_server(made, *tls_defects.PROFILE) as port,
        servers.s_server(made, *tls_defects.PROFILE, address="::1", port=port),
    ):
        certificates, offers, offered = looked(tmp_path, port, "none", LOOPBACKS)
    assert certificates.verdict is Verdict.PASS, certificates.reason
    assert "on 2 addresses" in certificates.reason
    assert offers.verdict is Verdict.PASS, offers.reason
    assert [address.address for address in offered.addresses] == [f"127.0.0.1:{port}", f"[::1]:{port}"]
