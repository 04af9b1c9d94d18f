"""Whether a file is outside a folder, whatever path leads to it: links, hard links and mounts are followed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_MOST_LINKS = 40


def reached_through(folder: Path, file: Path) -> str:
    """Return how the folder's author could decide what `file` is; empty if they could not. Raises OSError.

    The file or a folder above it is in the folder, under any name, or a link in the folder was followed on the way.
    """
    own = dict(_entries(folder.resolve(strict=True)))
    links, end = _followed(file)
    for link in links:
        if there := own.get(_identity(link)):
            return f"leads through {there}, a link in the folder"
    for place in (end, *end.parents):
        if there := own.get(_identity(place)):
            other_name = place == end and str(end) != there
            return f"is the same file as {there} in the folder" if other_name else "is inside the folder"
    return ""


def _identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino


def _entries(folder: Path) -> Iterator[tuple[tuple[int, int], str]]:
    """Yield everything in a folder with its path, the folder first. Links are not followed."""
    yield _identity(folder), str(folder)
    for place, inner, files in os.walk(folder):
        for name in (*inner, *files):
            path = Path(place, name)
            yield _identity(path), str(path)


def _followed(file: Path) -> tuple[list[Path], Path]:
    """Return the links on the way to a file, and the file itself; the way is the one that the system goes."""
    links: list[Path] = []
    here, left = Path("/"), [*reversed(Path.cwd().joinpath(file).parts[1:])]
    while left:
        name = left.pop()
        step = here.parent if name == ".." else here / name
        if not step.is_symlink():
            here = step
            continue
        links.append(step)
        if len(links) > _MOST_LINKS:
            raise OSError(40, os.strerror(40), str(file))
        to = step.readlink()
        if to.is_absolute():
            here = Path("/")
        left += reversed(to.parts[1:] if to.is_absolute() else to.parts)
    return links, here
