"""Servers on loopback with one known defect each: OpenSSL's own `s_server`, and certificates made for them."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pytest_deploygate.checks.tls.section.endpoints import Endpoint, Tls
from pytest_deploygate.lab import authority

HOST = "server.example.test"
NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Made:
    """A chain as the server sends it, and its key."""

    certificate: Path
    key: Path

    @property
    def rest(self) -> Path:
        """The chain without the leaf."""
        return self.certificate.with_name("rest.pem")


@cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


@cache
def ecdsa_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def own() -> authority.Authority:
    return authority.make("", "", NOW)


def build(key=None, *, name=HOST, age=20, left=70, server_auth=True, signing=None, digest=None, issuer=None):
    """Sign a leaf by the intermediate, without a revocation list."""
    key = key or rsa_key()
    usage = ExtendedKeyUsageOID.SERVER_AUTH if server_auth else ExtendedKeyUsageOID.CLIENT_AUTH
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or own().intermediate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - age * DAY)
        .not_valid_after(NOW + left * DAY)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .sign(signing or own().key, digest or hashes.SHA256())
    )


def write(folder: Path, *chain: x509.Certificate, key=None) -> Made:
    """Write a chain and its key."""
    made = Made(folder / "chain.pem", folder / "key.pem")
    made.certificate.write_text(authority.pem(*chain))
    if chain[1:]:
        made.rest.write_text(authority.pem(*chain[1:]))
    made.key.write_text(authority.key_pem(key or rsa_key()))
    (folder / "root.pem").write_text(authority.pem(own().root))
    return made


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def s_server(made: Made, *arguments: str, address: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """Run `openssl s_server` with a chain; gives its port."""
    port = port or free_port()
    place = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    leaf = ["-cert", str(made.certificate), "-key", str(made.key)]
    if made.rest.exists():
        leaf += ["-cert_chain", str(made.rest)]
    process = subprocess.Popen(
        ["openssl", "s_server", "-accept", place, *leaf, "-www", "-quiet", *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=1):
                break
            time.sleep(0.02)
        yield port
    finally:
        process.kill()
        process.wait()


def endpoint(port: int, **more) -> Endpoint:
    return Endpoint.model_validate({"host": HOST, "port": port, "addresses": ["127.0.0.1"], **more})


def settings(folder: Path, **more) -> Tls:
    return Tls.model_validate({"ca_file": str(folder / "root.pem"), "timeout": "10s", **more})
