"""Forms of encrypted values, told by how they begin. Pure.

OpenPGP: RFC 9580 (pgcrypto's functions), armored or not. Fernet: the Fernet specification, version 0x80. Vault: the transit
engine of HashiCorp Vault and OpenBao. JWE: RFC 7516, compact. age: age-encryption.org/v1.
"""

from __future__ import annotations

import base64
import binascii
import re

ENCRYPTED, READABLE, UNKNOWN = "encrypted", "readable", "unknown"
_TEXTS = {
    "openpgp": re.compile(rb"-----BEGIN PGP MESSAGE-----"),
    "fernet": re.compile(rb"gAAAAA[\w-]{92,}={0,2}$"),
    "vault": re.compile(rb"vault:v\d+:[A-Za-z0-9+/]{38,}={0,2}$"),
    "jwe": re.compile(rb"eyJ[\w-]+\.[\w-]*\.[\w-]+\.[\w-]+\.[\w-]+$"),
    "age": re.compile(rb"-----BEGIN AGE ENCRYPTED FILE-----|age-encryption\.org/v1\n"),
}
#: Packets that an encrypted message begins with: a session key for a public key (1) or a passphrase (3), old and new form.
_PACKETS = {0x84, 0x85, 0x86, 0x8C, 0x8D, 0x8E, 0xC1, 0xC3}
#: A nonce of 12 bytes, a tag of 16, and a byte.
_LEAST = 29


def kind(value: object, form: str | None) -> str:
    """Return what a value of a column is: it has the form (any known one without), can be read without a key, or neither."""
    if isinstance(value, str):
        raw = value.encode()
    elif isinstance(value, bytes | bytearray | memoryview):
        raw = bytes(value)
    else:  # a number, a date, json: the server has it in the clear
        return READABLE
    stripped = raw.strip() if isinstance(value, str) else raw
    if form in ("bytes", "base64"):
        inner = stripped if form == "bytes" else _decoded(stripped)
        if inner is not None and len(inner) >= _LEAST and not _is_text(inner):
            return ENCRYPTED
    elif _is_of(stripped, form):
        return ENCRYPTED
    inner = _decoded(stripped)
    hidden = not _is_text(stripped) or (inner is not None and not _is_text(inner))
    return UNKNOWN if hidden else READABLE


def _is_of(raw: bytes, form: str | None) -> bool:
    if form in (None, "openpgp") and len(raw) > _LEAST and raw[0] in _PACKETS and not _is_text(raw):
        return True
    return any(pattern.match(raw) for name, pattern in _TEXTS.items() if form in (None, name))


def _decoded(raw: bytes) -> bytes | None:
    """Return what base64 or hexadecimal digits stand for; None if they do not, or are too few to be encrypted."""
    if len(raw) >= 2 * _LEAST and re.fullmatch(rb"(?:\\x)?(?:[0-9a-fA-F]{2})+", raw):
        return bytes.fromhex(raw.removeprefix(b"\\x").decode())
    try:
        found = base64.b64decode(raw.translate(bytes.maketrans(b"-_", b"+/")), validate=True)
    except (binascii.Error, ValueError):
        return None
    return found if len(found) >= _LEAST else None


def _is_text(raw: bytes) -> bool:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return False
    return all(letter.isprintable() or letter in "\r\n\t" for letter in text)
