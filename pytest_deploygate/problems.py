"""Mistakes in files that people write, reported with file, line and the nearest valid name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class Problem:
    """One mistake in a file. `line` counts from 1; 0 means the file as a whole."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return one_line(f"{where}: {self.text}")


def one_line(text: str) -> str:
    """Return a text without line ends, escapes and marks of direction: printed, it cannot look like lines of ours.

    File names, names of targets and what servers answer may contain anything. White space becomes a blank, the rest �.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in text)


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return `; did you mean 'x'?`, the list of valid names if none is close, or nothing if there are none."""
    names = list(valid)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; valid here: {', '.join(names)}" if names else ""
