"""A project's own files: the migrations of libraries that are installed in its folder are not its own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from yaml.error import YAMLError

from pytest_deploygate.model import CannotTell


@contextlib.contextmanager
def reading(file: Path) -> Iterator[None]:
    """Read a file within this: one that cannot be read is named. Raises CannotTell."""
    try:
        yield
    except (OSError, ValueError, SyntaxError, RecursionError, YAMLError) as error:
        # Text that is not UTF-8 and JSON are ValueErrors; XML and Python are SyntaxErrors.
        why = getattr(error, "strerror", "") or " ".join(str(error).split())
        raise CannotTell(f"{file} cannot be read: {why}") from error


def below(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder in order, without environments and installed packages. Raises OSError."""
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder")
    for place, inner, names in os.walk(folder):
        inner[:] = sorted(name for name in inner if _own(Path(place), name))
        yield from (Path(place, name) for name in sorted(names))


def _own(place: Path, name: str) -> bool:
    return (
        not name.startswith(".")
        and name not in ("node_modules", "site-packages", "__pycache__")
        and not (place / name / "pyvenv.cfg").exists()
    )
