"""Compressed data that holds a secret is masked, and what cannot be looked into says so; within bounds."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import time
import urllib.parse
import zipfile
import zlib

import pytest

from pytest_deploygate import redaction
from pytest_deploygate.redaction import Secret, may_hold, redact, redact_values

SECRET = "correct-horse-battery"
TEXT = json.dumps({"user": "gate", "password": SECRET, "more": "x" * 200}).encode()
CLEAN = json.dumps({"user": "gate", "more": "x" * 200}).encode()


@pytest.fixture(autouse=True)
def known(monkeypatch):
    """Forget the secrets of earlier tests; one is known."""
    for name in ("_known", "_clues", "_without_clues"):
        monkeypatch.setattr(redaction, name, ())
    for name in ("_weak", "_weak_anywhere", "_sources"):
        monkeypatch.setattr(redaction, name, {})
    Secret(SECRET, "env:PASSWORD")


def zipped(raw: bytes, how: int = zipfile.ZIP_DEFLATED, *, to: io.BytesIO | None = None) -> bytes:
    file = to or io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as archive:
        archive.writestr("readme.txt", "nothing here")
        archive.writestr("settings.json", raw)
    return file.getvalue()


class _Unseekable(io.RawIOBase):
    """A stream without positions: zip then writes sizes after the data."""

    def __init__(self) -> None:
        self.raw = b""

    def writable(self) -> bool:
        return True

    def write(self, raw) -> int:
        self.raw += bytes(raw)
        return len(raw)


def zipped_to_a_stream(raw: bytes) -> bytes:
    stream = _Unseekable()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("readme.txt", "nothing here")
        archive.writestr("settings.json", raw)
    return stream.raw


PACKERS = {
    "gzip": gzip.compress,
    "gzip, stored": lambda raw: gzip.compress(raw, 0),
    "two members": lambda raw: gzip.compress(b"first") + gzip.compress(raw),
    "zlib": zlib.compress,
    "zlib, fast": lambda raw: zlib.compress(raw, 1),
    "zlib, slow": lambda raw: zlib.compress(raw, 9),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zip": zipped,
    "zip, stored": lambda raw: zipped(raw, zipfile.ZIP_STORED),
    "zip of a stream": zipped_to_a_stream,
    "gzip in gzip": lambda raw: gzip.compress(gzip.compress(raw)),
    "zip in gzip": lambda raw: gzip.compress(zipped(raw)),
    "gzip in zip": lambda raw: zipped(gzip.compress(raw)),
    "base64 of gzip in gzip": lambda raw: gzip.compress(b'{"a": "' + base64.b64encode(gzip.compress(raw)) + b'"}'),
    "gzip, cut off": lambda raw: gzip.compress(raw)[:-12],
}  # fmt: skip
WRITERS = {
    "base64": lambda raw: base64.b64encode(raw).decode(),
    "base64 for URLs": lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("="),
    "base64 in lines": lambda raw: base64.encodebytes(raw).decode(),
    "base64 in JSON": lambda raw: json.dumps(base64.encodebytes(raw).decode()).replace("/", "\\/"),
    "base64 in a query": lambda raw: urllib.parse.quote(base64.b64encode(raw).decode(), safe=""),
    "hexadecimal": bytes.hex,
    "HEXADECIMAL": lambda raw: raw.hex().upper(),
    "as it is": lambda raw: raw.decode("latin-1"),
    "Python": repr,
    "Python in JSON": lambda raw: json.dumps(repr(raw)),
    "JSON": lambda raw: json.dumps(raw.decode("latin-1")),
}


@pytest.mark.parametrize("pack", PACKERS)
@pytest.mark.parametrize("write", WRITERS)
def test_a_secret_in_compressed_data_is_masked(pack, write):
    packed, clean = PACKERS[pack](TEXT), PACKERS[pack](CLEAN)
    text = f"body: {WRITERS[write](packed)}"
    masked = redact(text)
    assert masked.startswith("body: ")
    assert "[secret]" in masked, masked[:300]
    assert WRITERS[write](packed)[8:40] not in masked
    assert redact(masked) == masked
    assert may_hold(json.dumps({"said": text}, ensure_ascii=False))
    assert "[secret]" in redact_values({"said": text})["said"]
    healthy = f"body: {WRITERS[write](clean)}"
    assert redact(healthy) == healthy, "what holds no secret stays"


def test_what_stands_around_stays():
    raw = gzip.compress(TEXT)
    for written in (raw.hex(), base64.b64encode(raw).decode(), raw.decode("latin-1")):
        assert redact(f"before [{written}] after") == "before [[secret]] after"


def test_a_weak_secret_counts_where_a_password_stands():
    Secret("tiny", "env:TINY")
    assert redact(base64.b64encode(gzip.compress(b'{"password": "tiny"}')).decode()) == "[secret]"
    same = base64.b64encode(gzip.compress(b"a tiny text about nothing at all")).decode()
    assert redact(same) == same


def test_without_a_secret_nothing_is_looked_at(monkeypatch):
    monkeypatch.setattr(redaction, "_known", ())
    assert redact(gzip.compress(TEXT).hex()) == gzip.compress(TEXT).hex()


def deep(raw: bytes, times: int) -> bytes:
    for _ in range(times):
        raw = gzip.compress(raw)
    return raw


def encrypted() -> bytes:
    raw = bytearray(zipped(TEXT))
    for at in range(len(raw) - 4):
        if raw[at : at + 4] == b"PK\x03\x04":
            raw[at + 6] |= 1
    return bytes(raw)


UNSEEN = {
    "a bomb": (gzip.compress(b"\0" * 50_000_000, 9), "holds more than 4096 kB"),
    "a zip bomb": (zipped(b"\0" * 50_000_000), "holds more than 4096 kB"),
    "a bomb of xz": (lzma.compress(b"\0" * 50_000_000), "holds more than 4096 kB"),
    "too deep": (deep(TEXT, 9), "compressed too often"),
    "encrypted": (encrypted(), "is encrypted"),
    "zstd": (b"\x28\xb5\x2f\xfd\x04\x58" + b"x" * 40, "does not unpack it"),
}


@pytest.mark.parametrize("what", UNSEEN)
@pytest.mark.parametrize("write", ["base64", "hexadecimal", "as it is"])
def test_what_cannot_be_looked_into_is_left_out_and_says_so(what, write):
    raw, why = UNSEEN[what]
    began = time.monotonic()
    masked = redact(f"body: {WRITERS[write](raw)}")
    assert time.monotonic() - began < 2
    assert masked.startswith("body: [")
    assert "not looked into: " in masked
    assert why in masked
    assert len(masked) < 120


def test_a_bomb_of_many_parts_is_bounded():
    part = base64.b64encode(gzip.compress(b"\0" * 1_000_000)).decode()
    began = time.monotonic()
    masked = redact(" ".join([part] * 500))
    assert time.monotonic() - began < 3
    assert "there is too much of it" in masked


@pytest.mark.parametrize(
    "text",
    [
        "x\x01" * 50_000,
        "eJw" * 50_000,
        "789c" * 50_000,
        "H4sI" * 50_000,
        "\x1f\x8b\x08" * 50_000,
        "PK\x03\x04" * 50_000,
        "\\x1f\\x8b\\x08" * 20_000,
        "BZh91AY&SY" * 20_000,
    ],
)
def test_what_only_begins_like_it_is_bounded_too(text):
    began = time.monotonic()
    redact(text)
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    "text",
    [
        "the nodeAddress of typeEJwt is eJwHandler, see PK and BZh",
        "sha256 789c1f8b08aa504b03042fbd425a6831785e78da7801aabbccddeeff0011",
        base64.b64encode(b"a plain text that is not compressed at all").decode(),
        "H4sI is how gzip begins in base64; UEsDB is zip",
    ],
)
def test_ordinary_texts_stay(text):
    assert redact(text) == text
