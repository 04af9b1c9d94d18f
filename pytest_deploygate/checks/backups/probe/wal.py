"""Names of WAL segments, and the gaps between them. Pure.

A name is 24 hexadecimal digits: timeline, log, segment (PostgreSQL manual, "WAL internals"; `XLogFileName`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

SEGMENT = re.compile(r"[0-9A-F]{24}")
_COMPRESSED = re.compile(r"\.(gz|lz4|zst|bz2|xz|lzo|br|snappy)$")
_IN_TEXT = re.compile(r"(?<![0-9A-F])([0-9A-F]{24})(?![0-9A-F.])(?!\.partial|\.backup)")


def names(text: str) -> frozenset[str]:
    """Return the segments named in a listing of files; `.partial` and `.backup` files are not segments."""
    return frozenset(_IN_TEXT.findall(text))


def whole(sizes: Mapping[str, int]) -> frozenset[str]:
    """Return the segments among files that are whole, by path and size in bytes.

    No file may be empty. Files without a compression suffix have the same size, that of the largest; a smaller one was
    cut off while it was copied.
    """
    plain = {path: size for path, size in sizes.items() if not _COMPRESSED.search(path)}
    largest = max(plain.values(), default=0)
    good = [
        _COMPRESSED.sub("", path)
        for path, size in sizes.items()
        if size and (path not in plain or size == largest)
    ]
    return names("\n".join(good))


def number(name: str, segment_bytes: int) -> int:
    """Return a segment's number on its timeline, counted from 0."""
    return int(name[8:16], 16) * (0x100000000 // segment_bytes) + int(name[16:], 16)


def name(timeline: int, segment: int, segment_bytes: int) -> str:
    """Return the name of the segment with this number."""
    per_log = 0x100000000 // segment_bytes
    return f"{timeline:08X}{segment // per_log:08X}{segment % per_log:08X}"


def at(timeline: int, position: int, segment_bytes: int) -> str:
    """Return the segment that holds a position (bytes from 0/0)."""
    return name(timeline, position // segment_bytes, segment_bytes)


def missing(
    there: Collection[str], first: str, last: str, segment_bytes: int, most: int = 1_000_000
) -> tuple[str, ...]:
    """Return the segments that a recovery from `first` to `last` needs and that are missing.

    Where the timeline changes, a segment of any of the timelines in between is enough. `most` bounds the loop.
    """
    timelines = range(int(first[:8], 16), int(last[:8], 16) + 1)
    begin, end = number(first, segment_bytes), number(last, segment_bytes)
    gone = []
    for segment in range(begin, min(end, begin + most) + 1):
        candidates = [name(t, segment, segment_bytes) for t in timelines]
        if not any(c in there for c in candidates):
            gone.append(candidates[0] if segment < end else last)
    return tuple(gone)


def newest(segments: Iterable[str], segment_bytes: int) -> str:
    """Return the newest of some segments; empty for none."""
    return max(segments, key=lambda s: (int(s[:8], 16), number(s, segment_bytes)), default="")
