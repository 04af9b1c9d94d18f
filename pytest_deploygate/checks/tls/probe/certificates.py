"""The certificates of an endpoint: every leaf, on every address, over several fresh connections.

RSA and ECDSA leaves are requested separately, each with its own suites; up to TLS 1.2 they are sent in the clear. In TLS
1.3, where a server may show other leaves, a full handshake is needed for each kind of signature. What an ordinary client
sees is measured first: before our many connections could meet a limit.
"""

from __future__ import annotations

import contextlib
import itertools
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate
from OpenSSL import SSL

from pytest_deploygate.checks.tls.facts import (
    Address,
    Certificates,
    Client,
    Crl,
    Leaf,
)
from pytest_deploygate.checks.tls.probe import connection as tls_connection
from pytest_deploygate.checks.tls.probe import revocation
from pytest_deploygate.checks.tls.probe import x509 as certificates
from pytest_deploygate.checks.tls.probe.connection import Place, connect, hello
from pytest_deploygate.checks.tls.probe.hello import Offer, suites
from pytest_deploygate.checks.tls.probe.mutual import client_control
from pytest_deploygate.checks.tls.probe.starttls import NoTls
from pytest_deploygate.checks.tls.section.endpoints import Endpoint, Tls
from pytest_deploygate.clients.deadline import Deadline
from pytest_deploygate.clients.tls.client_context import client_context
from pytest_deploygate.model import CannotTell

_KINDS = ("rsa", "ecdsa")
#: Attempts of an ordinary client: one that fails may be chance.
_ORDINARY = 3


def measure(endpoint: Endpoint, tls: Tls) -> Certificates:
    """Measure every address of an endpoint. Raises NotReached when its name does not resolve."""
    roots = endpoint.ca_file or tls.ca_file
    timeout_s = tls.timeout.total_seconds()
    found = [
        _address(tls_connection.place(endpoint, address, timeout_s), endpoint, tls, roots)
        for address in tls_connection.addresses(endpoint)
    ]
    return Certificates(endpoint.name, endpoint.host, certificates.now(), tuple(found))


def _address(where: Place, endpoint: Endpoint, tls: Tls, roots: Path | None) -> Address:
    if problem := tls_connection.first_contact(where):
        return Address(where.label, tls.tries, problem=problem)
    client = _client(where, endpoint, roots)
    sent: dict[tuple[bytes, ...], list[bytes | None]] = {}
    asks_client = False
    for kind in _KINDS:
        problem, asked = _ask_in_clear(where, kind, tls.tries, sent, problem)
        asks_client |= asked
    not_probed: tuple[str, ...] = ()
    if where.lost == 0:
        not_probed = _ask_by_handshake(where, tls.tries, sent)
    if not sent:
        return Address(where.label, tls.tries, problem=problem or "no certificate was sent")
    leaves = [_leaf(where, chain, staples, tls, roots) for chain, staples in sent.items()]
    return Address(
        where.label,
        tls.tries,
        tuple(leaves),
        client=client,
        control=client_control(where, endpoint) if endpoint.client_certificate else None,
        not_probed=not_probed,
        asks_client=asks_client,
        connections=where.connections,
        cut=where.cut,
    )


def _ask_in_clear(
    where: Place, kind: str, tries: int, sent: dict[tuple[bytes, ...], list[bytes | None]], problem: str
) -> tuple[str, bool]:
    """Request one kind of leaf by its suites; stop if the server has none.

    Returns the last problem, and whether a certificate was requested from us.
    """
    asks_client = False
    wanted = [code for code, name in suites().items() if _authenticates(name, kind) and code >> 8 != 0x13]
    for version in ("TLSv1.2", "TLSv1.0"):
        got = 0
        for number in range(tries):
            answer = hello(where, Offer(version, wanted), whole=True)
            if answer.outcome == "accepted" and answer.chain:
                sent.setdefault(answer.chain, []).append(answer.staple)
                asks_client |= answer.asks_client
                got += 1
                continue
            problem = f"{answer.outcome}: {answer.detail}"
            if answer.outcome in ("unreachable", "timeout", "no-tls"):
                return problem, asks_client
            if number and not got:
                break
        if got:
            break
    return problem, asks_client


def _authenticates(name: str, kind: str) -> bool:
    if "ADH" in name or "AECDH" in name or "NULL" in name or "EXP" in name or "DSS" in name:
        return False
    return ("ECDSA" in name) == (kind == "ecdsa")


_SIGNATURES = {
    "rsa": b"rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512",
    "ecdsa": b"ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:ecdsa_secp521r1_sha512:ed25519:ed448",
}


def _ask_by_handshake(
    where: Place, tries: int, sent: dict[tuple[bytes, ...], list[bytes | None]]
) -> tuple[str, ...]:
    """Request the leaves that clients of TLS 1.3 see, by full handshakes. Returns what could not be requested."""
    lib = getattr(SSL, "_lib", None)
    restrict = getattr(lib, "SSL_CTX_set1_sigalgs_list", None)
    for kind in _KINDS if restrict else ("either",):
        for _ in range(tries):
            staples: list[bytes | None] = []
            context = SSL.Context(SSL.TLS_CLIENT_METHOD)
            context.set_min_proto_version(SSL.TLS1_3_VERSION)
            context.set_verify(SSL.VERIFY_NONE, lambda *_: True)
            context.set_cipher_list(b"ALL:@SECLEVEL=0")
            context.set_ocsp_client_callback(_keeping(staples))
            if restrict:
                # pyOpenSSL has no public API for this.
                restrict(context._context, _SIGNATURES[kind])  # noqa: SLF001
            chain = _handshake(where, context)
            where.connections += 1
            if not chain:
                break
            sent.setdefault(chain, []).append(staples[0] if staples else None)
    return () if restrict else ("a second certificate beside the default one, which TLS 1.3 keeps encrypted",)


def _keeping(staples: list[bytes | None]) -> Callable[[SSL.Connection, bytes, object], bool]:
    def keep(_connection: SSL.Connection, data: bytes, _more: object) -> bool:
        staples.append(data or None)
        return True

    return keep


def _handshake(where: Place, context: SSL.Context) -> tuple[bytes, ...]:
    try:
        with connect(where) as plain:
            connection = SSL.Connection(context, plain)
            connection.set_tlsext_host_name(where.host.encode())
            connection.request_ocsp()
            connection.set_connect_state()
            tls_connection.handshake(connection, plain, Deadline(where.timeout_s))
            chain = connection.get_peer_cert_chain(as_cryptography=True)
    except (OSError, SSL.Error, NoTls):
        return ()
    return tuple(one.public_bytes(Encoding.DER) for one in chain or ())


def _leaf(
    where: Place, chain: tuple[bytes, ...], staples: Sequence[bytes | None], tls: Tls, roots: Path | None
) -> Leaf:
    leaf, *others = [certificates.read(der) for der in chain]
    staple = next((staple for staple in staples if staple), None)
    issuer = certificates.issuer_of(chain, roots) if staple or leaf.crls else None
    trust, path = certificates.trust(chain, roots)
    return Leaf(
        certificate=leaf,
        chain=tuple(others),
        trust=trust,
        path=tuple(certificates.read(der) for der in path),
        spare=certificates.spare(chain, path, roots),
        path_crls=_path_crls(path, tls) if tls.revocation else (),
        covers_name=leaf.covers(where.host),
        seen=len(staples),
        staple=revocation.staple(staple, leaf.serial, issuer) if staple else None,
        crl=revocation.crl(leaf, issuer, tls.timeout.total_seconds()) if tls.revocation else None,
    )


def _path_crls(path: Sequence[bytes], tls: Tls) -> tuple[tuple[str, Crl], ...]:
    """Look up each issuer in the list that it names; a root revokes nothing about itself."""
    found = []
    for der, above in itertools.pairwise(path):
        issuer = certificates.read(der)
        seen = revocation.crl(issuer, load_der_x509_certificate(above), tls.timeout.total_seconds())
        if seen is not None:
            found.append((issuer.subject, seen))
    return tuple(found)


def _client(where: Place, endpoint: Endpoint, roots: Path | None) -> Client:
    """Connect as an ordinary client that checks chain and name; a failure is tried again."""
    try:
        context = client_context(roots)
        if own := endpoint.client_certificate:
            context = ssl.create_default_context(cafile=roots)
            context.verify_flags = client_context(roots).verify_flags
            with contextlib.suppress(OSError):  # an unusable one is reported by the control
                context.load_cert_chain(own.certificate, own.key)
    except OSError as error:
        raise CannotTell(f"the trusted roots {roots} cannot be read: {error}; see `tls.ca_file`") from None
    found = Client(ok=False, code=-2, text="it was not tried")
    for _ in range(_ORDINARY):
        found = _as_client(where, context)
        where.connections += 1
        if found.code >= 0:
            break
    return found


def _as_client(where: Place, context: ssl.SSLContext) -> Client:
    try:
        with connect(where) as plain, context.wrap_socket(plain, server_hostname=where.host) as connection:
            return Client(ok=True, code=0, text=connection.version() or "")
    except ssl.SSLCertVerificationError as error:
        return Client(ok=False, code=error.verify_code, text=error.verify_message)
    except ssl.SSLError as error:
        return Client(ok=False, code=-1, text=f"{error.reason or error}")
    except ConnectionError as error:
        return Client(ok=False, code=-1, text=str(error.strerror or error))
    except (OSError, NoTls) as error:
        return Client(ok=False, code=-2, text=str(error) or type(error).__name__)
