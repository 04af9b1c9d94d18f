"""JSON Web Tokens by hand: libraries refuse to make what must be refused (RFC 7515, 7519)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_deploygate.lazy import dataclass


def encoded(data: bytes) -> str:
    """Return bytes in base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """Return the bytes of a base64url text. Raises ValueError."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def part(fields: Mapping[str, Any]) -> str:
    """Return a header or payload as it stands in a token."""
    return encoded(json.dumps(fields, separators=(",", ":")).encode())


@dataclass(frozen=True)
class Parsed:
    """A token taken apart, not verified."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signature: bytes
    parts: tuple[str, str, str]

    @property
    def signed(self) -> bytes:
        """What the signature is over."""
        return f"{self.parts[0]}.{self.parts[1]}".encode()


def parsed(token: str) -> Parsed | None:
    """Return a token's parts; None if it is no signed JWT, such as an opaque token."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        header, claims = (json.loads(decoded(each)) for each in parts[:2])
        signature = decoded(parts[2])
    except ValueError:
        return None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        return None
    return Parsed(header, claims, signature, (parts[0], parts[1], parts[2]))


def _hs256(header: Mapping[str, Any], claims: str, key: bytes) -> str:
    whole = f"{part(header)}.{claims}"
    return f"{whole}.{encoded(hmac.new(key, whole.encode(), hashlib.sha256).digest())}"


def altered(token: str, at: float = 0.5) -> str:
    """Return a token with one letter changed in the middle: the last one of a signature may have bits that nobody reads."""
    last = token.rfind(".") + 1
    place = last + int((len(token) - last) * at)
    return f"{token[:place]}{'A' if token[place] != 'A' else 'B'}{token[place + 1 :]}"


def forged(token: Parsed, public_keys: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    """Yield bad tokens with their names, made from a good one. `public_keys` are writings of the platform's public key."""
    head, claims, signature = token.parts
    for name in ("none", "nOnE"):
        header = part({**token.header, "alg": name})
        yield f"a token with alg {name}", f"{header}.{claims}."
    yield (
        "a token with alg none that keeps its signature",
        ".".join((part({**token.header, "alg": "none"}), claims, signature)),
    )
    yield "a token without a signature", f"{head}.{claims}."
    yield "a token whose signature is zero", f"{head}.{claims}.{encoded(bytes(len(token.signature)))}"
    changed = {**token.claims, "exp": int(token.claims.get("exp", 0)) + 3600}
    yield "a token with a changed payload", f"{head}.{part(changed)}.{signature}"
    yield "a token altered in the middle", altered(".".join(token.parts))
    for writing, key in public_keys.items():
        header_fields = {**token.header, "alg": "HS256"}
        yield f"a token signed with HS256 and the public key ({writing})", _hs256(header_fields, claims, key)
    traversal = {**token.header, "alg": "HS256", "kid": "../../../../../../dev/null"}
    yield "a token whose kid leads to /dev/null", _hs256(traversal, claims, b"")
