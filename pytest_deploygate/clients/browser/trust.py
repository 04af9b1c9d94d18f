"""Servers with certificates of an own authority, for a browser that does not know it.

Chromium takes no file of authorities. It takes the digests of public keys that it is to accept, so the certificate of each
server is verified here, as `clients/tls` does it everywhere, and its key is named to Chromium.
"""

from __future__ import annotations

import base64
import hashlib
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pytest_deploygate.clients.tls.client_context import client_context
from pytest_deploygate.model import CannotTell


def origin(url: str) -> str:
    """Return the scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def key_of(server: str, ca_file: Path, names: Mapping[str, str], timeout_s: float) -> str:
    """Return the digest of a server's public key, in base64, after its chain and name were verified.

    Raises CannotTell if the server gave no certificate, or one that `ca_file` does not verify.
    """
    parts = urlsplit(server)
    host, port = parts.hostname or "", parts.port or 443
    to, to_port = _mapped(host, port, names)
    try:
        with (
            socket.create_connection((to, to_port), timeout_s) as plain,
            client_context(ca_file).wrap_socket(plain, server_hostname=host) as secure,
        ):
            return _digest(secure.getpeercert(binary_form=True) or b"")
    except ssl.SSLCertVerificationError as error:
        raise CannotTell(
            f"the certificate of {server} is not verified by {ca_file}: {error.verify_message}; correct `browser.ca_file`"
        ) from None
    except OSError as error:
        raise CannotTell(
            f"{server} gave no certificate ({error.strerror or error}), so the browser cannot trust it: check that it is up"
        ) from None


def _mapped(host: str, port: int, names: Mapping[str, str]) -> tuple[str, int]:
    """Return where a name is reached, by the rules that Chromium gets."""
    for name, address in names.items():
        if name == host or (name.startswith("*.") and host.endswith(name[1:])):
            if address.startswith("["):
                inner, _, rest = address[1:].partition("]")
                return inner, int(rest[1:]) if rest else port
            to, _, to_port = address.partition(":")
            return to, int(to_port) if to_port else port
    return host, port


def _digest(certificate: bytes) -> str:
    from cryptography import x509  # noqa: PLC0415 (heavy)
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415

    key = x509.load_der_x509_certificate(certificate).public_key()
    plain = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(plain).digest()).decode()
