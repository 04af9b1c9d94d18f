"""The lab's certificate authority: a root, an intermediate, leaves with RSA and ECDSA keys, a revocation list, OCSP answers.

Made anew each time the lab comes up; one RSA key of 2048 bits serves all RSA leaves, because making one costs most.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from pytest_deploygate.lazy import dataclass

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Authority:
    """A root and the intermediate that signs. `crl` and `responder` are URLs that leaves name."""

    root: x509.Certificate
    root_key: Key
    intermediate: x509.Certificate
    key: Key
    crl: str
    responder: str


def make(crl: str, responder: str, now: datetime) -> Authority:
    """Make root and intermediate."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = _ca("deploygate lab root", "deploygate lab root", root_key, root_key, now, path_length=1)
    intermediate = _ca(
        "deploygate lab intermediate", "deploygate lab root", key, root_key, now, path_length=0
    )
    return Authority(root, root_key, intermediate, key, crl, responder)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _ca(
    name: str, issuer: str, key: Key, signing: Key, now: datetime, *, path_length: int
) -> x509.Certificate:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 400 * _DAY)
        .not_valid_after(now + 2000 * _DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False
        )
        .add_extension(_USAGE, critical=True)
        .sign(signing, hashes.SHA256())
    )


_USAGE = x509.KeyUsage(
    digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
    key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
)  # fmt: skip


def leaf(
    authority: Authority,
    key: Key,
    names: Sequence[str],
    *,
    age_d: float = 20,
    left_d: float = 70,
    ocsp_responder: bool = False,
    client: bool = False,
) -> x509.Certificate:
    """Sign a leaf for names and addresses, issued `age_d` days ago, with `left_d` days to go (negative: expired)."""
    now = datetime.now(UTC).replace(microsecond=0)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(names[0]))
        .issuer_name(authority.intermediate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - age_d * _DAY)
        .not_valid_after(now + left_d * _DAY)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH]
            ),
            critical=False,
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False
        )
        .add_extension(
            x509.CRLDistributionPoints(
                [x509.DistributionPoint([x509.UniformResourceIdentifier(authority.crl)], None, None, None)]
            ),
            critical=False,
        )
    )
    if ocsp_responder:
        access = x509.AccessDescription(
            AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(authority.responder)
        )
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    return builder.sign(authority.key, hashes.SHA256())


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def revocations(authority: Authority, serials: Sequence[int] = ()) -> bytes:
    """Return a revocation list in DER with these serial numbers, good for 30 days."""
    now = datetime.now(UTC).replace(microsecond=0)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.intermediate.subject)
        .last_update(now - _DAY)
        .next_update(now + 30 * _DAY)
    )
    for serial in serials:
        one = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - _DAY).build()
        builder = builder.add_revoked_certificate(one)
    return builder.sign(authority.key, hashes.SHA256()).public_bytes(Encoding.DER)


def ocsp_answer(authority: Authority, certificate: x509.Certificate, *, next_update_d: float = 7) -> bytes:
    """Return a signed OCSP answer in DER: good, made yesterday."""
    now = datetime.now(UTC).replace(microsecond=0)
    return (
        ocsp.OCSPResponseBuilder()
        .add_response(
            cert=certificate,
            issuer=authority.intermediate,
            algorithm=hashes.SHA1(),  # noqa: S303 (the hash of RFC 6960's CertID, no signature)
            cert_status=ocsp.OCSPCertStatus.GOOD,
            this_update=now - 8 * _DAY if next_update_d < 0 else now - _DAY,
            next_update=now + next_update_d * _DAY,
            revocation_time=None,
            revocation_reason=None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, authority.intermediate)
        .sign(authority.key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )


def pem(*certificates: x509.Certificate) -> str:
    """Return certificates in PEM, one after the other."""
    return "".join(certificate.public_bytes(Encoding.PEM).decode() for certificate in certificates)


def key_pem(key: Key) -> str:
    """Return a private key in PEM, without a passphrase."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
