"""Codes that a person reads from a message and types: 80 random bits in Crockford's base 32, in groups of four."""

from __future__ import annotations

import hashlib
import secrets

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH, _GROUP = 16, 4
#: What people read for another character.
_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})


def made() -> str:
    """Return a new code: `K7QF-2M3X-9ABC-DEF0`."""
    chosen = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    return "-".join(chosen[i : i + _GROUP] for i in range(0, _LENGTH, _GROUP))


def plain(typed: str) -> str:
    """Return a code as it is compared, however it was typed. Raises ValueError for what cannot be one."""
    found = "".join(typed.split()).upper().translate(_READ_AS)
    if len(found) != _LENGTH or not set(found) <= set(_ALPHABET):
        raise ValueError(
            f"this is no code: a code has {_LENGTH} letters and digits, such as K7QF-2M3X-9ABC-DEF0"
        )
    return found


def digest(salt: str, text: str) -> str:
    """Return the digest that stands for a code or an address in the record."""
    return hashlib.sha256(f"{salt}:{text}".encode()).hexdigest()
