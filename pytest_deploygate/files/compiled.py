"""What a run reads from the package's own source files, kept beside their bytecode.

A run asks some two hundred files of the package which tests, fixtures and sections they declare, without importing them.
What they answer is kept in `__pycache__` as Python keeps bytecode: where Python would write it, for one version of
Python, and until one of the files changes. `PYTHONDONTWRITEBYTECODE` and `PYTHONPYCACHEPREFIX` apply.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pickle
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar, cast

from pytest_deploygate.files import write_whole

T = TypeVar("T")
#: A file, its size in bytes, and the times of its content and of its inode in nanoseconds.
State = tuple[str, int, int, int]
_PACKAGE = Path(__file__).resolve().parents[1]


def kept(name: str, files: Sequence[Path], read: Callable[[], T]) -> T:
    """Return what `read` makes of the files, from the last time if all of them are as they were.

    `files` include the modules that read, so that another version of them reads again. With a file that is not of the
    package nothing is kept. What `read` returns must be picklable.
    """
    if not all(file.is_relative_to(_PACKAGE) for file in files):
        return read()
    place = importlib.util.cache_from_source(str(_PACKAGE / f"{name}.py"))
    place = f"{place.removesuffix('.pyc')}.pickle"
    now = state(files)
    with contextlib.suppress(Exception):  # damaged in any way: it is read again
        with open(place, "rb") as file:  # noqa: PTH123
            known, found = pickle.load(file)  # noqa: S301 (whoever writes here can also write the bytecode beside it)
        if known == now:
            return cast("T", found)
    found = read()
    if not sys.dont_write_bytecode:
        with contextlib.suppress(OSError):
            write_whole(Path(place), pickle.dumps((now, found), pickle.HIGHEST_PROTOCOL))
    return found


def state(files: Iterable[Path | str]) -> list[State]:
    """Return what changes with the content of files. Raises OSError.

    The time of an installed file may be that of its archive, which two versions share: the time of its inode is not.
    """
    found = []
    for file in files:
        status = os.stat(file)  # noqa: PTH116 (Path's own takes twice as long)
        found.append((str(file), status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    return found
