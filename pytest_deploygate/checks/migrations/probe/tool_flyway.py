"""Flyway: `flyway_schema_history` and the files V…, R…, B… (documentation: Migrations, Info, Baseline).

A version is a list of numbers: 1, 1.0 and 001 are the same. Everything up to a baseline's version counts as applied. A
repeatable migration is pending if it never ran, or if its checksum (CRC-32 of its lines) has changed since.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_deploygate.checks.migrations.facts import Compared
from pytest_deploygate.checks.migrations.probe.own_files import below, reading
from pytest_deploygate.files import bounded
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

#: "Optionally versioned SQL migrations can also omit both the separator and the description" (documentation: Migrations).
_FILE = re.compile(r"(?P<kind>[VB])(?P<version>[0-9]+([._][0-9]+)*)(__.+\.(sql|py|java|class)|(__)?\.sql)$")
_REPEATABLE = re.compile(r"R__(?P<description>.+)\.(sql|py|java|class)$")
ROWS = "SELECT version, description, type, script, checksum, success FROM {table} ORDER BY installed_rank"


@dataclass(frozen=True)
class Files:
    """Versions as they are written without leading zeros, and repeatable migrations with their checksum or None."""

    versions: tuple[str, ...]
    repeatable: dict[str, int | None]


def read(folder: Path) -> Files:
    """Read the folder, with those in it. Raises CannotTell where Flyway itself would refuse to run."""
    versions: dict[str, Path] = {}
    repeatable: dict[str, int | None] = {}
    for file in below(folder):
        if (found := _FILE.fullmatch(file.name)) and found["kind"] == "V":
            version = plain(found["version"].replace("_", "."))
            other = versions.setdefault(version, file)
            # Folders of several vendors have the same versions, and Flyway is told of one of them.
            if other != file and other.parent == file.parent:
                raise CannotTell(
                    f"{file.parent} has two migrations of version {version}, {' and '.join(sorted((other.name, file.name)))}: Flyway "
                    "refuses to run them; give one of them another version"
                )
        elif found := _REPEATABLE.fullmatch(file.name):
            repeatable[found["description"].replace("_", " ")] = _checksum(file)
    return Files(tuple(sorted(versions, key=numbers)), repeatable)


def plain(version: str) -> str:
    """Normalize a version as Flyway compares it: without leading zeros and trailing zero parts."""
    parts = [str(int(part)) if part.isdigit() else part for part in version.split(".")]
    while len(parts) > 1 and parts[-1] == "0":
        parts.pop()
    return ".".join(parts)


def numbers(version: str) -> list[int]:
    """Return a version's parts, by which versions are ordered."""
    return [int(part) for part in version.split(".") if part.isdigit()]


def applied(rows: Sequence[Sequence[Any]]) -> tuple[str, ...]:
    """Return the versions whose newest row is a success and neither undone nor deleted."""
    newest = {plain(row[0]): row for row in rows if row[0] is not None and row[2] != "SCHEMA"}
    return tuple(
        version
        for version, (_, _, kind, _, _, success) in newest.items()
        if success and not kind.startswith("UNDO") and kind != "DELETE"
    )


def compare(files: Files, rows: Sequence[Sequence[Any]]) -> Compared:
    """Compare as `flyway info` does."""
    done = set(applied(rows))
    bases = [numbers(plain(row[0])) for row in rows if row[0] is not None and "BASELINE" in row[2] and row[5]]
    base = max(bases, default=[])
    pending = [v for v in files.versions if v not in done and numbers(v) > base]
    deleted = {plain(row[0]) for row in rows if row[0] is not None and row[2] == "DELETE"}
    unknown = [v for v in done if v not in files.versions and numbers(v) > base and v not in deleted]
    newest = max((numbers(v) for v in files.versions), default=[])
    ran = {row[1]: row[4] for row in rows if row[0] is None and row[2] not in ("SCHEMA", "DELETE") and row[5]}
    for description, checksum in files.repeatable.items():
        if description not in ran:
            pending.append(f"repeatable {description}")
        elif checksum is not None and ran[description] is not None and ran[description] != checksum:
            pending.append(f"repeatable {description} (changed since it ran)")
    return Compared(tuple(pending), tuple(unknown), any(numbers(v) > newest for v in unknown))


def _checksum(file: Path) -> int | None:
    """Return Flyway's checksum of a repeatable migration; None if placeholders or another language decide it."""
    if file.suffix != ".sql":
        return None
    with reading(file):
        text = bounded.text(file, bounded.SQL)
    if "${" in text:
        return None
    value = 0
    for line in re.split(r"\r\n|\r|\n", text):
        value = zlib.crc32(line.encode(), value)
    return value - (1 << 32) if value >= 1 << 31 else value
