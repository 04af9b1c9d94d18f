"""Codings are undone; a broken one is told from one that we cannot undo."""

from __future__ import annotations

import gzip
import sys
import zlib

import brotli
import pytest
import zstandard

from pytest_deploygate.checks.cdn.probe.coding import identity

BODY = b"const answer = 42;\n" * 200


def _raw_deflate(body: bytes) -> bytes:
    packing = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packing.compress(body) + packing.flush()


GOOD = {
    "": BODY,
    "identity": BODY,
    "gzip": gzip.compress(BODY),
    "x-gzip": gzip.compress(BODY),
    "GZIP": gzip.compress(BODY[:100]) + gzip.compress(BODY[100:]),
    "deflate": zlib.compress(BODY),
    "deflate ": _raw_deflate(BODY),
    "br": brotli.compress(BODY),
    "zstd": zstandard.ZstdCompressor().compress(BODY),
    "gzip, br": brotli.compress(gzip.compress(BODY)),
}


@pytest.mark.parametrize("coding", GOOD)
def test_it_is_undone(coding):
    assert identity(GOOD[coding], coding).body == BODY


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_half_of_it_is_broken(coding):
    whole = GOOD[coding]
    found = identity(whole[: len(whole) // 2], coding)
    assert found.body is None
    assert found.broken
    assert not found.undecoded


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_something_else_is_broken(coding):
    found = identity(b"<html>not compressed at all</html>", coding)
    assert (found.body, bool(found.broken)) == (None, True)


def test_what_we_do_not_know_is_said():
    assert "the coding 'dcb' is not known here" in identity(BODY, "dcb").undecoded
    assert "4 codings" in identity(BODY, "gzip, gzip, gzip, gzip").undecoded


@pytest.mark.parametrize(("coding", "module"), [("br", "brotli"), ("zstd", "zstandard")])
def test_what_is_not_installed_is_said(monkeypatch, coding, module):
    monkeypatch.setitem(sys.modules, module, None)
    found = identity(GOOD[coding], coding)
    assert (found.body, found.broken) == (None, "")
    assert "pip install 'pytest-deploygate[cdn]'" in found.undecoded
