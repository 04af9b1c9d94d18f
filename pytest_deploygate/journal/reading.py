"""Reading a change's journal: all of its lines, or only those that its last checkpoint names."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from pytest_deploygate.files import bounded
from pytest_deploygate.journal.errors import ODD, JournalError
from pytest_deploygate.journal.lines import (
    CHECKPOINT,
    CONDENSED,
    FILE,
    MOST_BYTES,
    Entry,
    chained,
    each,
    holds,
    parse,
    parse_line,
)
from pytest_deploygate.journal.runs import in_short


def read(folder: Path) -> tuple[list[Entry], int]:
    """Read a change's journal; return the entries that still count and the length in bytes of its complete lines.

    Every byte is verified: by the digest in the last checkpoint up to there, then line by line. An unfinished last line
    (a killed run) is left out. Raises JournalError if the chain is broken.
    """
    path = folder / FILE
    try:
        raw = bounded.read(path, MOST_BYTES)
    except FileNotFoundError:
        return [], 0
    except OSError as error:
        raise JournalError(f"{path} cannot be read: {error.strerror}") from None
    whole = raw.rfind(b"\n") + 1
    point = _last_checkpoint(raw, whole, path)
    if point is None:
        return parse(raw, path)
    kept = list(kept_lines(point, lambda start, length: raw[start : start + length], path))
    return [
        *kept,
        in_place_of(point, path),
        *chained(raw, point.start + point.length + 1, point, path),
    ], whole


def kept_lines(point: Entry, bytes_at: Callable[[int, int], bytes], path: Path) -> Iterator[Entry]:
    """Yield the lines that a checkpoint names. Raises JournalError."""
    with _readable(point, path):
        for start, length in point.body["kept"]:
            yield _kept(bytes_at(start, length), start, path)


def in_place_of(point: Entry, path: Path) -> Entry:
    """Return the entry that stands for the lines which a checkpoint does not name. Raises JournalError."""
    with _readable(point, path):
        for run in point.body["runs"]:
            in_short(run, ())
        numbers = [point.body["numbers"], *(said for _, said in point.body["before"])]
        for _item, _target, _name, values in itertools.chain.from_iterable(numbers):
            sum(values)
        Counter(dict(point.body["earlier"])).update({"": 0})
    return Entry(point.seq, point.at, CONDENSED, point.body, point.sha256, point.start, point.length)


@contextlib.contextmanager
def _readable(point: Entry, path: Path) -> Iterator[None]:
    try:
        yield
    except ODD:
        raise JournalError(
            f"{path}:{point.seq}: this checkpoint cannot be read; the record was damaged or edited. "
            "Move the folder aside (--fresh) and run again"
        ) from None


def stream(folder: Path) -> tuple[Iterator[Entry], bool]:
    """Return every entry of a journal, one after the other, and whether its last line is unfinished.

    Each line is verified when it is read: what was computed of those before counts only once the end is reached without
    a JournalError. Without a journal there is no entry.
    """
    path = folder / FILE
    try:
        raw = bounded.read(path, MOST_BYTES)
    except FileNotFoundError:
        return iter(()), False
    except OSError as error:
        raise JournalError(f"{path} cannot be read: {error.strerror}") from None
    return each(raw, 0, None, path), not raw.endswith(b"\n") and bool(raw)


def _last_checkpoint(raw: bytes, whole: int, path: Path) -> Entry | None:
    """Return the last checkpoint if it holds for the bytes before it; None if there is none, or it does not.

    Then all lines must be parsed, which finds the one that is wrong.
    """
    found = raw.rfind(b'"kind":"checkpoint"', 0, whole)
    if found < 0:
        return None
    start = raw.rfind(b"\n", 0, found) + 1
    line = raw[start : raw.index(b"\n", found)]
    try:
        body = json.loads(line)
        entry = parse_line(line, body["seq"], body["prev"], start, path)
        before = raw[raw.rfind(b"\n", 0, start - 1) + 1 : start - 1]
    except (*ODD, JournalError):
        return None
    follows = hashlib.sha256(before).hexdigest() == body["prev"]
    return (
        entry
        if entry.kind == CHECKPOINT and follows and holds(entry, hashlib.sha256(memoryview(raw)[:start]))
        else None
    )


def _kept(line: bytes, start: int, path: Path) -> Entry:
    """Read a line that a checkpoint names; the checkpoint's digest has verified it. Raises KeyError, TypeError, ValueError."""
    body = json.loads(line)
    return parse_line(line, body["seq"], body["prev"], start, path)
