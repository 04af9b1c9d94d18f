"""Mistakes in files that people write, reported with file, line and the nearest valid name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a file. `line` counts from 1; 0 means the file as a whole."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.text}"


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return `; did you mean 'x'?`, the list of valid names if none is close, or nothing if there are none."""
    names = list(valid)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; valid here: {', '.join(names)}" if names else ""
