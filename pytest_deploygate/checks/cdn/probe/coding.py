"""The content of an answer without its content coding. What cannot be undone is said, and never taken for the content."""

from __future__ import annotations

import zlib

from pytest_deploygate.lazy import dataclass

#: A small body that unpacks to more than this is not unpacked further.
_LARGEST = 64 * 1024**2
_LAYERS = 3


@dataclass(frozen=True)
class Content:
    """The content (None if it is not known): `broken` says what is wrong with its coding, `undecoded` what we lack."""

    body: bytes | None
    broken: str = ""
    undecoded: str = ""


def identity(body: bytes, coding: str) -> Content:
    """Undo the codings of a Content-Encoding, the last one first."""
    names = [
        name.strip().lower() for name in coding.split(",") if name.strip().lower() not in ("", "identity")
    ]
    if len(names) > _LAYERS:
        return Content(None, undecoded=f"it has {len(names)} codings, one over the other")
    for name in reversed(names):
        found = _one(body, name)
        if found.body is None:
            return found
        body = found.body
    return Content(body)


def _one(body: bytes, name: str) -> Content:
    if name in ("gzip", "x-gzip"):
        return _zlib(body, 16 + zlib.MAX_WBITS, name)
    if name == "deflate":
        found = _zlib(body, zlib.MAX_WBITS, name)
        # Some servers send it without zlib's frame, and browsers take that.
        return found if found.body is not None else _zlib(body, -zlib.MAX_WBITS, name)
    if name == "br":
        return _brotli(body)
    if name == "zstd":
        return _zstd(body)
    return Content(None, undecoded=f"the coding {name!r} is not known here")


def _zlib(body: bytes, bits: int, name: str) -> Content:
    """Undo gzip, which may have several members, or deflate."""
    whole = bytearray()
    while True:
        unpacking = zlib.decompressobj(bits)
        try:
            whole += unpacking.decompress(body, _LARGEST)
        except zlib.error as error:
            return Content(None, broken=f"it is no {name} ({error})")
        if not unpacking.eof:
            more = "is larger than we unpack" if unpacking.unconsumed_tail else ""
            return (
                Content(None, undecoded=more) if more else Content(None, broken=f"its {name} ends too early")
            )
        if not unpacking.unused_data:
            return Content(bytes(whole))
        if name == "deflate" or len(whole) > _LARGEST:
            return Content(None, broken=f"something stands after the end of its {name}")
        body = unpacking.unused_data


def _brotli(body: bytes) -> Content:
    try:
        import brotli  # noqa: PLC0415 (an extra, and few need it)
    except ImportError:
        return Content(None, undecoded="br cannot be undone here: pip install 'pytest-deploygate[cdn]'")
    try:
        return Content(brotli.decompress(body))
    except brotli.error as error:
        return Content(None, broken=f"it is no br ({error})")


def _zstd(body: bytes) -> Content:
    try:
        import zstandard  # noqa: PLC0415 (an extra, and few need it)
    except ImportError:
        return Content(None, undecoded="zstd cannot be undone here: pip install 'pytest-deploygate[cdn]'")
    unpacking = zstandard.ZstdDecompressor(max_window_size=2**27).decompressobj()
    try:
        whole = unpacking.decompress(body)
    except zstandard.ZstdError as error:
        return Content(None, broken=f"it is no zstd ({error})")
    if not unpacking.eof:
        return Content(None, broken="its zstd ends too early")
    return Content(whole)
