"""What is wrong with TLS is said as that: an untrusted certificate, another name, one that has ended, and no TLS at all."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from pytest_deploygate.checks.uptime.probe.ask import Answer, ask
from pytest_deploygate.checks.uptime.section import WatchTarget

HERE = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
#: A loop closes the connection of a failed handshake a little later; one that ends before leaves it to a warning.
SOON_S = 0.05
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


def certificate(folder: Path, name: x509.GeneralName, days: int = 2) -> Path:
    """A self-signed certificate that ends in so many days, with its key in the same file."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=9))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    file.write_bytes(
        made.public_bytes(Encoding.PEM) + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return file


@contextmanager
def serving(file: Path | None) -> Iterator[int]:
    """Serve with this certificate, or without TLS; yield the port."""
    context = None
    if file is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
    ports: list[int] = []
    ready, over = threading.Event(), threading.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(ANSWER)
        await writer.drain()
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
        ports.append(server.sockets[0].getsockname()[1])
        ready.set()
        await asyncio.get_running_loop().run_in_executor(None, over.wait)
        server.close()
        await asyncio.sleep(SOON_S)

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield ports[0]
    finally:
        over.set()
        thread.join(10)


def asked(port: int, ca_file: Path | str | None = None) -> Answer:
    told = {"name": "x", "url": f"https://127.0.0.1:{port}/"} | ({"ca_file": str(ca_file)} if ca_file else {})

    async def main() -> Answer:
        found = await ask(WatchTarget.model_validate(told), 5.0)
        await asyncio.sleep(SOON_S)
        return found

    return asyncio.run(main())


def test_a_trusted_certificate_is_up(tmp_path: Path) -> None:
    file = certificate(tmp_path, HERE)
    with serving(file) as port:
        assert asked(port, file) == Answer(True, pytest.approx(0, abs=5000))


def test_an_untrusted_certificate_is_named(tmp_path: Path) -> None:
    with serving(certificate(tmp_path, HERE)) as port:
        found = asked(port)
    assert found.up is False
    assert f"the certificate of 127.0.0.1:{port} is not trusted: self" in found.why
    assert "not permitted" not in found.why


def test_a_certificate_for_another_name_is_named(tmp_path: Path) -> None:
    file = certificate(tmp_path, x509.DNSName("elsewhere.example"))
    with serving(file) as port:
        found = asked(port, file)
    assert found.up is False
    assert "is not trusted: IP address mismatch" in found.why


def test_a_certificate_that_has_ended_is_named(tmp_path: Path) -> None:
    file = certificate(tmp_path, HERE, -1)
    with serving(file) as port:
        found = asked(port, file)
    assert found.up is False
    assert "certificate has expired" in found.why


def test_a_server_without_tls_is_named() -> None:
    with serving(None) as port:
        found = asked(port)
    assert found.up is False
    assert f"the TLS handshake with 127.0.0.1:{port} failed" in found.why
