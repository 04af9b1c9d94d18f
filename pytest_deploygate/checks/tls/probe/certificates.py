"""The certificates of an endpoint: every leaf, on every address, over several fresh connections.

RSA and ECDSA leaves are requested separately, each with its own suites; up to TLS 1.2 they are sent in the clear. A
server that only speaks TLS 1.3 needs a full handshake for each kind of signature.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

from pytest_deploygate.checks.tls.facts import (
    Address,
    Certificates,
    Client,
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
    sent: dict[tuple[bytes, ...], list[bytes | None]] = {}
    for kind in _KINDS:
        problem = _ask_in_clear(where, kind, tls.tries, sent, problem)
    not_probed: tuple[str, ...] = ()
    if not sent and where.lost == 0:
        not_probed = _ask_by_handshake(where, tls.tries, sent)
    if not sent:
        return Address(where.label, tls.tries, problem=problem or "no certificate was sent")
    leaves = [_leaf(where, chain, staples, tls, roots) for chain, staples in sent.items()]
    return Address(
        where.label,
        tls.tries,
        tuple(leaves),
        client=_client(where, roots),
        control=client_control(where, endpoint) if endpoint.client_certificate else None,
        not_probed=not_probed,
    )


def _ask_in_clear(
    where: Place, kind: str, tries: int, sent: dict[tuple[bytes, ...], list[bytes | None]], problem: str
) -> str:
    """Request one kind of leaf by its suites; stop if the server has none. Returns the last problem."""
    wanted = [code for code, name in suites().items() if _authenticates(name, kind) and code >> 8 != 0x13]
    for version in ("TLSv1.2", "TLSv1.0"):
        got = 0
        for number in range(tries):
            answer = hello(where, Offer(version, wanted), whole=True)
            if answer.outcome == "accepted" and answer.chain:
                sent.setdefault(answer.chain, []).append(answer.staple)
                got += 1
                continue
            problem = f"{answer.outcome}: {answer.detail}"
            if answer.outcome in ("unreachable", "timeout", "no-tls"):
                return problem
            if number and not got:
                break
        if got:
            return problem
    return problem


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
    """Request leaves by full handshakes, from servers that only speak TLS 1.3. Returns what could not be requested."""
    lib = getattr(SSL, "_lib", None)
    restrict = getattr(lib, "SSL_CTX_set1_sigalgs_list", None)
    for kind in _KINDS if restrict else ("either",):
        for _ in range(tries):
            staples: list[bytes | None] = []
            context = SSL.Context(SSL.TLS_CLIENT_METHOD)
            context.set_verify(SSL.VERIFY_NONE, lambda *_: True)
            context.set_cipher_list(b"ALL:@SECLEVEL=0")
            context.set_ocsp_client_callback(_keeping(staples))
            if restrict:
                # pyOpenSSL has no public API for this.
                restrict(context._context, _SIGNATURES[kind])  # noqa: SLF001
            chain = _handshake(where, context)
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
    return Leaf(
        certificate=leaf,
        chain=tuple(others),
        trust=certificates.trust(chain, roots),
        covers_name=leaf.covers(where.host),
        seen=len(staples),
        staple=revocation.staple(staple, leaf.serial, issuer) if staple else None,
        crl=revocation.crl(leaf, issuer, tls.timeout.total_seconds()) if tls.revocation else None,
    )


def _client(where: Place, roots: Path | None) -> Client:
    """Connect as an ordinary client that checks chain and name."""
    try:
        context = client_context(roots)
    except OSError as error:
        raise CannotTell(f"the trusted roots {roots} cannot be read: {error}; see `tls.ca_file`") from None
    try:
        with connect(where) as plain, context.wrap_socket(plain, server_hostname=where.host) as connection:
            return Client(ok=True, code=0, text=connection.version() or "")
    except ssl.SSLCertVerificationError as error:
        return Client(ok=False, code=error.verify_code, text=error.verify_message)
    except ssl.SSLError as error:
        return Client(ok=False, code=-1, text=f"{error.reason or error}")
    except (OSError, NoTls) as error:
        return Client(ok=False, code=-1, text=str(error))
