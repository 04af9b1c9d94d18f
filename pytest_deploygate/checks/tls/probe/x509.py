"""The fields of a certificate as plain values, and whether a chain leads to a trusted root."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID
from OpenSSL import crypto

from pytest_deploygate.checks.tls.facts import Certificate, Trust
from pytest_deploygate.model import CannotTell


def read(der: bytes) -> Certificate:
    """Read a certificate. Raises ValueError if it is not one."""
    found = x509.load_der_x509_certificate(der)
    unread = ""
    try:
        extensions: x509.Extensions | list[x509.Extension[x509.ExtensionType]] = found.extensions
    except (ValueError, x509.DuplicateExtension, UnsupportedAlgorithm) as error:
        extensions, unread = [], f"its extensions cannot be read: {error}"
    by_type = {type(extension.value): extension.value for extension in extensions}
    names = by_type.get(x509.SubjectAlternativeName)
    usage = by_type.get(x509.ExtendedKeyUsage)
    constraints = by_type.get(x509.BasicConstraints)
    features = by_type.get(x509.TLSFeature)
    key, bits, curve = _key(found)
    return Certificate(
        subject=found.subject.rfc4514_string(),
        issuer=found.issuer.rfc4514_string(),
        serial=f"{found.serial_number:x}",
        sha256=found.fingerprint(hashes.SHA256()).hex(),
        not_before=found.not_valid_before_utc,
        not_after=found.not_valid_after_utc,
        key=key,
        key_bits=bits,
        curve=curve,
        signature_hash=_signature_hash(found),
        version=found.version.value + 1,
        ca=isinstance(constraints, x509.BasicConstraints) and constraints.ca,
        self_issued=found.subject == found.issuer,
        server_auth=_serves(usage) if isinstance(usage, x509.ExtendedKeyUsage) else None,
        names=tuple(names.get_values_for_type(x509.DNSName))
        if isinstance(names, x509.SubjectAlternativeName)
        else (),
        addresses=tuple(str(a) for a in names.get_values_for_type(x509.IPAddress))
        if isinstance(names, x509.SubjectAlternativeName)
        else (),
        responders=_responders(by_type.get(x509.AuthorityInformationAccess)),
        crls=_crls(by_type.get(x509.CRLDistributionPoints)),
        must_staple=isinstance(features, x509.TLSFeature) and x509.TLSFeatureType.status_request in features,
        unread=unread,
    )


def _serves(usage: x509.ExtendedKeyUsage) -> bool:
    return ExtendedKeyUsageOID.SERVER_AUTH in usage or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usage


def _key(found: x509.Certificate) -> tuple[str, int, str]:
    try:
        key = found.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return "other", 0, ""
    match key:
        case rsa.RSAPublicKey():
            return "rsa", key.key_size, ""
        case ec.EllipticCurvePublicKey():
            return "ecdsa", key.key_size, {"secp256r1": "prime256v1"}.get(key.curve.name, key.curve.name)
        case ed25519.Ed25519PublicKey():
            return "ed25519", 256, "ed25519"
        case ed448.Ed448PublicKey():
            return "ed448", 448, "ed448"
    return "other", 0, ""


def _signature_hash(found: x509.Certificate) -> str:
    try:
        algorithm = found.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return f"unknown ({found.signature_algorithm_oid.dotted_string})"
    return algorithm.name if algorithm else "in the signature"


def _responders(access: object) -> tuple[str, ...]:
    if not isinstance(access, x509.AuthorityInformationAccess):
        return ()
    return tuple(
        str(entry.access_location.value)
        for entry in access
        if entry.access_method == AuthorityInformationAccessOID.OCSP
    )


def _crls(points: object) -> tuple[str, ...]:
    if not isinstance(points, x509.CRLDistributionPoints):
        return ()
    names = [name for point in points for name in point.full_name or []]
    return tuple(str(name.value) for name in names if isinstance(name, x509.UniformResourceIdentifier))


def trust(chain: Sequence[bytes], roots: Path | None) -> tuple[Trust, tuple[bytes, ...]]:
    """Verify a chain as it was sent, leaf first, at the current time; return the result and the issuers up to the root.

    Raises CannotTell when the roots cannot be read.
    """
    return _verified(chain, _store(str(roots) if roots else None, _changed(roots)))


def spare(chain: Sequence[bytes], path: Sequence[bytes], roots: Path | None) -> frozenset[str]:
    """Return the issuers of a path (SHA-256) after whose end OpenSSL finds another path for the same leaf."""
    leaf = x509.load_der_x509_certificate(chain[0])
    found = set()
    for der in path:
        issuer = x509.load_der_x509_certificate(der)
        after = issuer.not_valid_after_utc + timedelta(seconds=1)
        if after > leaf.not_valid_after_utc:
            continue  # the leaf ends first, so nothing can be verified then
        store = _loaded(str(roots) if roots else None)
        store.set_time(after)
        if _verified(chain, store)[0].code == 0:
            found.add(issuer.fingerprint(hashes.SHA256()).hex())
    return frozenset(found)


def _verified(chain: Sequence[bytes], store: crypto.X509Store) -> tuple[Trust, tuple[bytes, ...]]:
    try:
        leaf, *others = [crypto.X509.from_cryptography(x509.load_der_x509_certificate(der)) for der in chain]
        _, *issuers = crypto.X509StoreContext(store, leaf, others).get_verified_chain()
    except crypto.X509StoreContextError as error:
        code, depth, text = error.errors
        return Trust(int(code), str(text), int(depth)), ()
    except ValueError as error:
        return Trust(-1, f"it cannot be parsed: {error}"), ()
    path = tuple(one.to_cryptography().public_bytes(Encoding.DER) for one in issuers)
    return Trust(0, "leads to a trusted root"), path


def issuer_of(chain: Sequence[bytes], roots: Path | None) -> x509.Certificate | None:
    """Return the certificate that signed the leaf, from what was sent or from the roots; None if neither has it."""
    leaf, *others = [x509.load_der_x509_certificate(der) for der in chain]
    for one in others:
        if _signed(leaf, one):
            return one
    try:
        store = _store(str(roots) if roots else None, _changed(roots))
        found = crypto.X509StoreContext(store, crypto.X509.from_cryptography(leaf)).get_verified_chain()
    except (crypto.X509StoreContextError, ValueError):
        return None
    return found[1].to_cryptography() if len(found) > 1 else None


def _signed(one: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        one.verify_directly_issued_by(by)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _changed(roots: Path | None) -> int:
    try:
        return roots.stat().st_mtime_ns if roots else 0
    except OSError as error:
        raise CannotTell(
            f"the trusted roots {roots} cannot be read: {error.strerror}; see `tls.ca_file`"
        ) from None


@lru_cache(maxsize=16)
def _store(roots: str | None, _changed_ns: int) -> crypto.X509Store:
    """Load roots once: the platform has some 140 certificates."""
    return _loaded(roots)


def _loaded(roots: str | None) -> crypto.X509Store:
    store = crypto.X509Store()
    paths = ssl.get_default_verify_paths()
    try:
        store.load_locations(roots or paths.cafile, None if roots else paths.capath)
    except (crypto.Error, TypeError):
        where = roots or "the platform's folder"
        raise CannotTell(f"no trusted roots can be read from {where}; see `tls.ca_file`") from None
    return store


def now() -> datetime:
    """Return the current time in UTC: a measurement carries the time that its judge uses."""
    return datetime.now(UTC)
