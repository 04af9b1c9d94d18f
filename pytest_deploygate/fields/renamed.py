"""Renamed keys: the old name is accepted for one version, with a note that gives file, line and the new name.

A section declares them beside its fields: `renamed = {"old": "new"}`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Self

from pytest_deploygate.lazy import dataclass

_notes: ContextVar[list[FormerKey] | None] = ContextVar("notes", default=None)


@dataclass(frozen=True)
class Renamed:
    """A key's new name. `unless`: if that key is also set, the old name has a new meaning and is kept."""

    to: str
    unless: str = ""


class Key(str):
    """A key in a file, with its line and its path from the top of the file."""

    __slots__ = ("line", "path")

    line: int
    path: str

    def __new__(cls, text: str, line: int = 0, path: str = "") -> Self:
        """Create a key that behaves as its text and knows its position."""
        made = super().__new__(cls, text)
        made.line, made.path = line, path
        return made


@dataclass(frozen=True)
class FormerKey:
    """An old key that a file still uses."""

    line: int
    path: str
    new: str

    def __str__(self) -> str:
        return f"{self.path}: this key was renamed to `{self.new}`; the old name is accepted in this version only"


@contextmanager
def noting(notes: list[FormerKey]) -> Iterator[None]:
    """Add each old key that is accepted in this context to `notes`."""
    token = _notes.set(notes)
    try:
        yield
    finally:
        _notes.reset(token)


def in_new_words(section: Mapping[str, Any], former: Mapping[str, Renamed]) -> dict[str, Any]:
    """Return a section with its old keys replaced. One set together with its new name stays, and is rejected as unknown."""
    made: dict[str, Any] = {}
    for key, value in section.items():
        renamed = former.get(key)
        if renamed is None or renamed.unless in section or renamed.to in section or renamed.to in made:
            made[key] = value
            continue
        made[renamed.to] = value
        notes = _notes.get()
        note = FormerKey(getattr(key, "line", 0), getattr(key, "path", key), renamed.to)
        if notes is not None and note not in notes:
            notes.append(note)
    return made
