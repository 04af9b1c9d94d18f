from __future__ import annotations

import base64
import os

import pytest
from cryptography.fernet import Fernet

from pytest_deploygate.checks.encryption.probe import forms

RANDOM = bytes(range(128, 192))
TOKEN = "gAAAAABrDK5AbeXW64btQxMqV47kXMPviATdFx7I1_vmKDpVrWU9QXq3j5YAnM1Ft4qfxCLqygUbMwO226xSXQXEOA3m4c-Cww=="
VAULT = "vault:v1:" + base64.b64encode(RANDOM).decode()
JWE = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..MDEyMzQ1Njc4OTAx.c29tZQ.dGFnZ2VkdGFnZ2Vk"
ARMORED = "-----BEGIN PGP MESSAGE-----\n\nww0EBwMC\n-----END PGP MESSAGE-----\n"
AGE = "-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n-----END AGE ENCRYPTED FILE-----\n"


@pytest.mark.parametrize(
    ("value", "form", "expected"),
    [
        (TOKEN, None, forms.ENCRYPTED),
        (TOKEN, "fernet", forms.ENCRYPTED),
        (TOKEN, "vault", forms.UNKNOWN),  # encrypted, but not as declared
        (VAULT, None, forms.ENCRYPTED),
        (JWE, "jwe", forms.ENCRYPTED),
        (ARMORED, None, forms.ENCRYPTED),
        (AGE, None, forms.ENCRYPTED),
        (b"\xc3\x0d\x04\x07\x03\x02" + RANDOM, None, forms.ENCRYPTED),  # pgp_sym_encrypt of pgcrypto
        (b"\x85\x01\x0c\x03" + RANDOM, "openpgp", forms.ENCRYPTED),
        (memoryview(RANDOM), None, forms.UNKNOWN),
        (memoryview(RANDOM), "bytes", forms.ENCRYPTED),
        (RANDOM[:28], "bytes", forms.UNKNOWN),  # too short for nonce and tag
        (base64.b64encode(RANDOM).decode(), "base64", forms.ENCRYPTED),
        (base64.b64encode(RANDOM).decode(), None, forms.UNKNOWN),
        (RANDOM.hex(), "base64", forms.ENCRYPTED),
        ("someone@example.com", None, forms.READABLE),
        ("someone@example.com", "base64", forms.READABLE),
        (b"someone@example.com", "bytes", forms.READABLE),
        (base64.b64encode(b"someone with a long name, and an address").decode(), "base64", forms.READABLE),
        ("vault:v1:", None, forms.READABLE),
        ("gAAAAA", "fernet", forms.READABLE),
        ("J\u00e4rvinen", None, forms.READABLE),
        ("", None, forms.READABLE),
        (19771231, None, forms.READABLE),
    ],
)
def test_kind(value: object, form: str | None, expected: str) -> None:
    assert forms.kind(value, form) == expected


def test_any_fernet_token_is_known() -> None:
    token = Fernet(Fernet.generate_key()).encrypt(os.urandom(20))
    assert forms.kind(token.decode(), "fernet") == forms.ENCRYPTED


def test_random_bytes_are_never_taken_for_text() -> None:
    assert {forms.kind(os.urandom(64), "bytes") for _ in range(500)} == {forms.ENCRYPTED}
