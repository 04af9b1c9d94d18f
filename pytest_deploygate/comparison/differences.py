"""The file of differences: CSV, written row by row, with a limit to its lines.

`table,key,kind,column,source,target,rows`: one line for each value that differs, each row that is on one side only, and each
row of a table without a key that is there more often on one side. Values of sensitive columns are digests with a key that
stays beside the journal.
"""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
import os
import secrets
from pathlib import Path

from pytest_deploygate.lazy import dataclass

NAME = "differences.csv"
FIELDS = ("table", "key", "kind", "column", "source", "target", "rows")
_KEY = "digest.key"
#: As in COPY: a text `NULL` is something else.
NULL = r"\N"


@dataclass(frozen=True)
class Difference:
    """One line. `kind` is missing, extra, or changed; `rows` how many rows it is about."""

    table: str
    key: str
    kind: str
    column: str
    source: str | None
    target: str | None
    rows: int = 1


class Digests:
    """Digests of values, the same in one folder and different in every other: short values cannot be guessed from them."""

    def __init__(self, folder: Path) -> None:
        path = folder / _KEY
        try:
            self._key = path.read_bytes()
        except FileNotFoundError:
            self._key = secrets.token_bytes(32)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(self._key)

    def of(self, value: str | None) -> str | None:
        """Return the digest of a value; NULL has none."""
        if value is None:
            return None
        return "digest:" + hmac.new(self._key, value.encode(), hashlib.sha256).hexdigest()[:24]


class Writer:
    """Appends to the file of one table. `size` are the bytes that count: what comes after them is cut off."""

    def __init__(self, path: Path, size: int = 0) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(self._file, size)
        os.lseek(self._file, 0, os.SEEK_END)
        self.size = size

    def write(self, found: list[Difference]) -> None:
        """Append some lines."""
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        for one in found:
            values = (one.table, one.key, one.kind, one.column, one.source, one.target)
            rows.writerow((*(NULL if value is None else value for value in values), one.rows))
        left = memoryview(text.getvalue().encode(errors="backslashreplace"))
        self.size += len(left)
        while left:
            left = left[os.write(self._file, left) :]

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def joined(parts: list[Path], whole: Path) -> None:
    """Write the file of all tables from those of each, in this order; with none, only the names of the fields."""
    unfinished = whole.with_name(f".{whole.name}.part")
    with unfinished.open("wb") as out:
        out.write((",".join(FIELDS) + "\n").encode())
        for part in parts:
            if part.exists():
                with part.open("rb") as one:
                    while block := one.read(1 << 16):
                        out.write(block)
    unfinished.replace(whole)
