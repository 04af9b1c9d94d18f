"""The modules of the repository that a test file imports, found in its source: what they say decides a test, too."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from pytest_deploygate.files import bounded, sha256

_IMPORT = re.compile(
    rb"^[ \t]*(?:from[ \t]+(\.*)([\w.]*)[ \t]+import\b|import[ \t]+([\w., \t]+))", re.MULTILINE
)


def digests(files: list[Path], root: Path) -> list[str]:
    """Return the digests of all modules below `root` that these files import, and those import, in a fixed order.

    A package counts with all its modules: which of them a name comes from is known only when it is imported.
    """
    seen = {file.resolve(): None for file in files}
    waiting = list(seen)
    found = {}
    while waiting:
        file = waiting.pop()
        for module in _imports(file, root):
            if module not in seen:
                seen[module] = None
                waiting.append(module)
                found[module.as_posix()] = _read(module)[0]
    return [found[name] for name in sorted(found)]


@functools.lru_cache(maxsize=4096)
def _read(file: Path) -> tuple[str, frozenset[tuple[str, str]]]:
    """Return a file's digest, and what it imports: the dots before a name, and its first part."""
    try:
        raw = bounded.read(file, bounded.MADE)
    except OSError:
        return "", frozenset()
    names = set()
    for dots, module, plain in _IMPORT.findall(raw):
        for name in plain.decode().split(",") if plain else [module.decode()]:
            words = name.split()
            names.add((dots.decode(), words[0].partition(".")[0] if words else ""))
    return sha256(raw), frozenset(names)


def _imports(file: Path, root: Path) -> Iterator[Path]:
    for dots, name in _read(file)[1]:
        if dots:
            place = file.parents[len(dots) - 1] if len(dots) <= len(file.parents) else file.parent
            bases = [place] if place.is_relative_to(root.resolve()) else []
        else:
            bases = [*_bases(root.resolve()), *_above(file, root.resolve())]
        for base in bases:
            yield from _modules(base, name)


def _modules(base: Path, name: str) -> tuple[Path, ...]:
    """Return the files of a module or package; of a folder's own modules if it has no name (`from . import one`)."""
    if not name:
        return tuple(_python(base, "*.py"))
    if (module := base / f"{name}.py").is_file():
        return (module.resolve(),)
    return _package(base / name)


@functools.lru_cache(maxsize=512)
def _package(folder: Path) -> tuple[Path, ...]:
    return tuple(_python(folder, "**/*.py")) if folder.is_dir() else ()


def _python(folder: Path, pattern: str) -> Iterator[Path]:
    yield from sorted(file.resolve() for file in folder.glob(pattern) if file.is_file())


def _above(file: Path, root: Path) -> Iterator[Path]:
    """Yield the folders from a file up to the root: pytest imports test files from one of them."""
    for folder in file.parents:
        if folder.is_relative_to(root):
            yield folder


@functools.lru_cache(maxsize=4)
def _bases(root: Path) -> tuple[Path, ...]:
    """Return the folders below the root from which Python imports."""
    found = [root / "src", *(Path(place) for place in sys.path if place)]
    return tuple(place for place in dict.fromkeys(found) if place.is_relative_to(root) and place.is_dir())
