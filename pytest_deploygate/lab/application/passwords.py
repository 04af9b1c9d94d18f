"""Passwords of users, stored as salted hashes."""

from __future__ import annotations

import hashlib
import hmac
import secrets

# About 10 ms: the lab's processors are shared.
_COST = {"n": 2**12, "r": 8, "p": 1}


def hashed(password: str) -> str:
    """Return what is stored of a password."""
    salt = secrets.token_bytes(16)
    return f"{salt.hex()}${hashlib.scrypt(password.encode(), salt=salt, **_COST).hex()}"


#: Compared with where there is no such user, so that the answer takes as long.
OF_NOBODY = hashed(secrets.token_urlsafe())


def fits(password: str, stored: str) -> bool:
    """Return whether a password is the one that was stored."""
    salt, _, expected = stored.partition("$")
    found = hashlib.scrypt(password.encode(), salt=bytes.fromhex(salt), **_COST)
    return hmac.compare_digest(found, bytes.fromhex(expected))
