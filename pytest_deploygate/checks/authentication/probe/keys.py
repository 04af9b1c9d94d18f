"""Public keys of a JWKS, and signatures by keys of our own. Imports cryptography, so only probes that run import it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from pytest_deploygate.checks.authentication.facts import Key
from pytest_deploygate.checks.authentication.probe import jwt

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
Public = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
_HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
_CURVES: Mapping[str, ec.EllipticCurve] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
}
#: Members of a JWK that only its owner may have.
_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")


def _number(text: Any) -> int:
    return int.from_bytes(jwt.decoded(str(text)), "big")


def public(jwk: Mapping[str, Any]) -> Public:
    """Return the key of a JWK. Raises ValueError if it is none that signs tokens."""
    try:
        kty, curve = jwk.get("kty"), str(jwk.get("crv"))
        if kty == "RSA":
            return rsa.RSAPublicNumbers(_number(jwk["e"]), _number(jwk["n"])).public_key()
        if kty == "EC" and curve in _CURVES:
            numbers = ec.EllipticCurvePublicNumbers(_number(jwk["x"]), _number(jwk["y"]), _CURVES[curve])
            return numbers.public_key()
        if kty == "OKP" and curve == "Ed25519":
            return ed25519.Ed25519PublicKey.from_public_bytes(jwt.decoded(str(jwk["x"])))
    except KeyError as error:
        raise ValueError(f"its member {error} is missing") from None
    raise ValueError(f"a key of the type {kty} is none that signs tokens here")


def described(jwk: Mapping[str, Any]) -> Key:
    """Return what is worth judging of a published key."""
    kid, kty = str(jwk.get("kid", "")), str(jwk.get("kty", ""))
    secret = any(name in jwk for name in _PRIVATE)
    try:
        key = public(jwk)
    except ValueError as error:
        return Key(kid, kty, private=secret, problem=str(error))
    bits = key.key_size if not isinstance(key, ed25519.Ed25519PublicKey) else 256
    return Key(kid, kty, bits, secret)


def writings(key: Public) -> dict[str, bytes]:
    """Return the texts that a confused verifier could take for a secret."""
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return {"PEM": pem, "PEM without the last line end": pem.rstrip(b"\n"), "DER": der}


def verifies(key: Public, algorithm: str, token: jwt.Parsed) -> bool:
    """Tell whether a key verifies a token."""
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(token.signature, token.signed, _padding(algorithm), _HASHES[algorithm[2:]])
        elif isinstance(key, ec.EllipticCurvePublicKey):
            half = len(token.signature) // 2
            numbers = (
                int.from_bytes(token.signature[:half], "big"),
                int.from_bytes(token.signature[half:], "big"),
            )
            whole = utils.encode_dss_signature(*numbers)
            key.verify(whole, token.signed, ec.ECDSA(_HASHES[algorithm[2:]]))
        else:
            key.verify(token.signature, token.signed)
    except (InvalidSignature, KeyError):
        return False
    return True


def _padding(algorithm: str) -> padding.AsymmetricPadding:
    if algorithm.startswith("PS"):
        return padding.PSS(padding.MGF1(_HASHES[algorithm[2:]]), padding.PSS.DIGEST_LENGTH)
    return padding.PKCS1v15()


def private(pem: str) -> Private:
    """Return the private key of a PEM text. Raises ValueError for none, or one that signs no tokens."""
    try:
        key = serialization.load_pem_private_key(pem.encode(), None)
    except TypeError:
        raise ValueError("it needs a password") from None
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        raise ValueError("a key of this type signs no tokens here")  # noqa: TRY004
    return key


@cache
def like(algorithm: str) -> Private:
    """Return a key of our own, of the kind that the platform uses."""
    if algorithm.startswith("ES"):
        curves = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
        return ec.generate_private_key(_CURVES[curves.get(algorithm, "P-256")])
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, 2048)


def sign(key: Private, header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    """Return a token signed with a key by the algorithm in its header."""
    algorithm = str(header.get("alg", ""))
    whole = f"{jwt.part(header)}.{jwt.part(claims)}"
    data = whole.encode()
    digest = _HASHES.get(algorithm[2:], hashes.SHA256())
    if isinstance(key, rsa.RSAPrivateKey):
        signature = key.sign(data, _padding(algorithm), digest)
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        numbers = utils.decode_dss_signature(key.sign(data, ec.ECDSA(digest)))
        size = (key.key_size + 7) // 8
        signature = b"".join(number.to_bytes(size, "big") for number in numbers)
    else:
        signature = key.sign(data)
    return f"{whole}.{jwt.encoded(signature)}"


def as_jwk(key: Private) -> dict[str, str]:
    """Return the public half as a JWK, for a header that brings its own key along."""

    def text(number: int) -> str:
        return jwt.encoded(number.to_bytes((number.bit_length() + 7) // 8, "big"))

    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.public_key().public_numbers()
        return {"kty": "RSA", "n": text(numbers.n), "e": text(numbers.e)}
    if isinstance(key, ec.EllipticCurvePrivateKey):
        point = key.public_key().public_numbers()
        size = (key.key_size + 7) // 8
        curve = next(name for name, curve in _CURVES.items() if curve.name == key.curve.name)
        x, y = (jwt.encoded(n.to_bytes(size, "big")) for n in (point.x, point.y))
        return {"kty": "EC", "crv": curve, "x": x, "y": y}
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return {"kty": "OKP", "crv": "Ed25519", "x": jwt.encoded(raw)}
