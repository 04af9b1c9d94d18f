"""Streams that mask what is printed, and print whatever is recorded."""

from __future__ import annotations

import io

import pytest

from pytest_deploygate.streams import Masked


@pytest.mark.parametrize(
    ("encoding", "text", "written"),
    [
        ("utf-8", "Größe", "Größe".encode()),
        ("utf-8", "half \ud800 of a pair", b"half \\ud800 of a pair"),
        ("ascii", "✓ Größe", b"\\u2713 Gr\\xf6\\xdfe"),
        ("latin-1", "✓ Größe", b"\\u2713 Gr\xf6\xdfe"),
    ],
)
def test_what_a_stream_has_no_bytes_for_is_its_escape(encoding, text, written):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    assert Masked(stream).write(text) == len(text)
    stream.flush()
    assert raw.getvalue() == written
