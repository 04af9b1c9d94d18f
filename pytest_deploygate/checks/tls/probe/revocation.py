"""Whether a certificate was revoked: stapled OCSP responses and revocation lists."""

from __future__ import annotations

import threading
import time

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from pytest_deploygate.checks.tls.facts import Certificate, Crl, Staple
from pytest_deploygate.lazy import dataclass

_LARGEST = 20_000_000
_KEPT_S = 60.0


def staple(der: bytes, serial: str, issuer: x509.Certificate | None) -> Staple:
    """Read a stapled OCSP response for this serial number; one without a valid signature is not trusted."""
    try:
        found = ocsp.load_der_ocsp_response(der)
        if found.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            return Staple(
                found.response_status.name.lower(), about_this=False, this_update=None, next_update=None
            )
        status = found.certificate_status.name.lower()
        return Staple(
            status
            if _by_the_issuer(found, issuer)
            else "not signed by the issuer or its delegated responder",
            about_this=f"{found.serial_number:x}" == serial,
            this_update=found.this_update_utc,
            next_update=found.next_update_utc,
        )
    except ValueError as error:
        return Staple(f"not readable: {error}", about_this=False, this_update=None, next_update=None)


def _by_the_issuer(found: ocsp.OCSPResponse, issuer: x509.Certificate | None) -> bool:
    """Check the signature: the issuer's, or that of a responder authorized by the issuer (RFC 6960 section 4.2.2.2)."""
    if issuer is None:
        return False
    signers = [issuer, *(one for one in found.certificates if _may_answer_for(one, issuer))]
    return any(_fits(found, signer) for signer in signers)


def _may_answer_for(one: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        one.verify_directly_issued_by(issuer)
        usage = one.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm, x509.ExtensionNotFound):
        return False
    return ExtendedKeyUsageOID.OCSP_SIGNING in usage


def _fits(found: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    key, digest = signer.public_key(), found.signature_hash_algorithm
    signature, signed = found.signature, found.tbs_response_bytes
    try:
        match key:
            case rsa.RSAPublicKey() if digest:
                key.verify(signature, signed, padding.PKCS1v15(), digest)
            case ec.EllipticCurvePublicKey() if digest:
                key.verify(signature, signed, ec.ECDSA(digest))
            case ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey():
                key.verify(signature, signed)
            case _:
                return False
    except InvalidSignature:
        return False
    return True


@dataclass(frozen=True)
class _List:
    at: float
    content: x509.CertificateRevocationList | str


_lists: dict[str, _List] = {}
_locks: dict[str, threading.Lock] = {}
_guard = threading.Lock()


def crl(leaf: Certificate, issuer: x509.Certificate | None, timeout_s: float) -> Crl | None:
    """Look up a certificate in the list that it names; None if it names none over HTTP.

    The list is fetched over plain HTTP, so it counts only with the issuer's signature: anyone could serve an empty one.
    """
    url = next((url for url in leaf.crls if url.startswith("http")), None)
    if url is None:
        return None
    found = _fetch(url, timeout_s)
    if isinstance(found, str):
        return Crl(url, None, None, found)
    if issuer is None:
        return Crl(url, None, None, f"{url} cannot be verified: the server does not send its issuer")
    if found.issuer != issuer.subject or not found.is_signature_valid(issuer.public_key()):  # type: ignore[arg-type]
        return Crl(url, None, None, f"{url} is not signed by the certificate's issuer")
    revoked = found.get_revoked_certificate_by_serial_number(int(leaf.serial, 16)) is not None
    return Crl(url, revoked, found.next_update_utc)


def _fetch(url: str, timeout_s: float) -> x509.CertificateRevocationList | str:
    """Return a list, which many endpoints share; cached for a minute."""
    with _guard:
        lock = _locks.setdefault(url, threading.Lock())
    with lock:
        kept = _lists.get(url)
        if kept is None or time.monotonic() - kept.at > _KEPT_S:
            kept = _lists[url] = _List(time.monotonic(), _download(url, timeout_s))
            if isinstance(kept.content, str):
                del _lists[url]
    return kept.content


def forget() -> None:
    """Clear the cached lists."""
    _lists.clear()


def _download(url: str, timeout_s: float) -> x509.CertificateRevocationList | str:
    # Imported here: most certificates name no list, and the import takes longer than a handshake.
    import requests  # noqa: PLC0415

    from pytest_deploygate.clients.http import sending, whole  # noqa: PLC0415

    try:
        with sending.once(
            f"GET {url}", url, timeout_s, lambda s: whole.request("GET", url, s, stream=True)
        ) as answer:
            if answer.status_code != requests.codes.ok:
                return f"{url} answers {answer.status_code}"
            raw, all_of_it = whole.read(answer, _LARGEST)
        if not all_of_it:
            return f"{url} is larger than {_LARGEST} bytes"
        if raw.startswith(b"-----"):
            return x509.load_pem_x509_crl(raw)
        return x509.load_der_x509_crl(raw)
    except (requests.RequestException, OSError) as error:
        return f"{url} cannot be fetched: {sending.why(error)}"
    except ValueError as error:
        return f"{url} is not a revocation list: {error}"
