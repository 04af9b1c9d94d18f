"""The journal of a comparison: what was read of each side and part, so that a killed comparison goes on from there.

`comparison.jsonl` has one JSON object per line. The first has the fingerprint; it is compared before anything is resumed.

    {"comparison": 1, "shard": "1/1", "checksum": …, "fingerprint": {what: digest, …}}
    {"plan": TABLE, "bounds": [[…], …], "bits": N, "by_hash": …}
    {"side": "source", "table": TABLE, "unit": N, "sums": [[part, rows, sum], …], "s": SECONDS}
    {"looked": TABLE, "part": N, "bytes": LENGTH OF ITS FILE, "found": {…}}
    {"done": TABLE, "outcome": {…}}
    {"joined": BYTES OF ALL DIFFERENCES, "at": TIME}

A line that was being written when the comparison was killed is cut off. Lines are not brought to the disk one by one: they
outlive the process, and after a crash of the machine what is lost is read again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pytest_deploygate.comparison.spec import Shard, Table
from pytest_deploygate.lazy import dataclass

NAME = "comparison.jsonl"
_VERSION = 1


class CannotResume(Exception):  # noqa: N818 (it is an answer, not an error)
    """Raised where a journal is of another comparison; the text says what changed and what to do."""


@dataclass(frozen=True)
class Header:
    """The first line. `fingerprint` has a digest for the sides, the settings, and each table."""

    shard: str
    checksum: str
    fingerprint: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """Return it as it is written."""
        return {
            "comparison": _VERSION,
            "shard": self.shard,
            "checksum": self.checksum,
            "fingerprint": dict(self.fingerprint),
        }


def header(
    tables: Iterable[Table],
    sides: Mapping[str, Mapping[str, str]],
    settings: object,
    checksum: str,
    shard: Shard,
) -> Header:
    """Return the header of a comparison: what may not change while it is resumed."""
    found = {f"the {side}": _digest(identity) for side, identity in sides.items()}
    found["the settings"] = _digest(settings)
    found |= {f"table {table.name}": _digest(_described(table)) for table in tables}
    return Header(f"{shard.number}/{shard.of}", checksum, found)


def _described(table: Table) -> list[object]:
    columns = [[c.name, c.source, c.target, c.source_sql, c.target_sql, c.sensitive] for c in table.columns]
    types = [table.source_types, table.target_types, table.types]
    return [table.source, table.target, columns, [c.name for c in table.key], table.ordered, types]


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


class Journal:
    """An open journal. `lines` are those that were there."""

    def __init__(self, folder: Path, wanted: Header, *, resume: bool) -> None:
        """Begin a journal, or go on with the one that is there. Raises CannotResume, OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / NAME
        self.lines: list[dict[str, Any]] = []
        if resume and self._path.exists():
            self._take_up(wanted)
        self.resumed = bool(self.lines)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | (0 if self.resumed else os.O_TRUNC)
        self._file = os.open(self._path, flags, 0o600)
        if not self.resumed:
            self.write(wanted.as_json())

    @property
    def finished(self) -> bool:
        """Whether the comparison was over when it was resumed: its file of differences is whole."""
        return bool(self.lines) and "joined" in self.lines[-1]

    def write(self, line: Mapping[str, object]) -> None:
        """Append one line."""
        left = memoryview((json.dumps(line, separators=(",", ":")) + "\n").encode())
        while left:
            left = left[os.write(self._file, left) :]

    def close(self) -> None:
        """Bring it to the disk and close it."""
        os.fsync(self._file)
        os.close(self._file)

    def _take_up(self, wanted: Header) -> None:
        lines, whole = read(self._path)
        if not lines:
            return
        if changed := differing(lines[0], wanted):
            raise CannotResume(
                f"{self._path} is of another comparison: {changed}; compare from the beginning, without --resume"
            )
        os.truncate(self._path, whole)
        self.lines = lines[1:]


def read(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Return the whole lines of a journal, and how many bytes they have: the last one may be cut off. Raises OSError."""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    return [json.loads(line) for line in content[:whole].splitlines()], whole


def differing(first: Mapping[str, Any], wanted: Header) -> str:
    """Say what distinguishes the header of a journal from the one wanted; empty if nothing does."""
    if first.get("comparison") != _VERSION:
        return "its first line is no header of this version"
    if first["shard"] != wanted.shard:
        return f"it is of shard {first['shard']}, not of {wanted.shard}"
    if first["checksum"] != wanted.checksum:
        return f"its checksums are of {first['checksum']}, not of {wanted.checksum}"
    there = first["fingerprint"]
    changed = [name for name, digest in wanted.fingerprint.items() if there.get(name) != digest]
    changed += [name for name in there if name not in wanted.fingerprint]
    if not changed:
        return ""
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return (
        f"{', '.join(changed[:3])}{more} changed since (columns, types, key, expressions, server or settings)"
    )
