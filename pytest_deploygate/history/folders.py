"""Which folders are changes, and which only look like one: each that is not counted is said with its reason."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path

from pytest_deploygate.journal import FILE
from pytest_deploygate.lazy import dataclass

#: Where the parts of a sharded run are, below the folder of their change.
SHARDS = "shards"
#: What `--fresh` appends to the name of a folder that it moves aside.
_ASIDE = re.compile(r"\.before-\d{8}T\d{6}-[0-9a-f]{4}")


class Kind(StrEnum):
    """What is said of a folder. Of these only a half-written journal is counted, as far as it goes."""

    DAMAGED = "damaged"
    EMPTY = "empty"
    FOREIGN = "foreign"
    SHARDED = "sharded"
    ASIDE = "moved aside"
    TWICE = "twice"
    UNFINISHED = "half-written"


@dataclass(frozen=True)
class Note:
    """One line about a folder. `counted` is true if it is in the figures all the same."""

    folder: str
    kind: Kind
    text: str

    @property
    def counted(self) -> bool:
        """Tell whether the folder is in the figures."""
        return self.kind is Kind.UNFINISHED


@dataclass(frozen=True)
class Folder:
    """A folder with a journal. `named` is the change that its name says; empty where a name says nothing."""

    path: Path
    named: str = ""


def below(out: Path) -> Iterator[Folder | Note]:
    """Yield the changes below `deploygate-out`, by name, and what is said of the other folders there."""
    yield from _inside(out, named=True)


def given(paths: Sequence[Path]) -> Iterator[Folder | Note]:
    """Yield the folders that were named; a folder of changes stands for those in it."""
    for path in _once(paths):
        is_one = os.path.lexists(path / FILE) or path.resolve().name == SHARDS or (path / SHARDS).exists()
        if not is_one and any(itertools.chain(path.glob(f"*/{FILE}"), path.glob(f"*/{SHARDS}"))):
            yield from _inside(path, named=False)
        else:
            yield from _one(path, "")


def _inside(out: Path, *, named: bool) -> Iterator[Folder | Note]:
    try:
        folders = sorted(path for path in out.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        yield Note(str(out), Kind.DAMAGED, f"cannot be listed: {error.strerror}: not counted")
        return
    for path in folders:
        yield from _one(path, path.name if named else "")


def _one(path: Path, named: str) -> Iterator[Folder | Note]:
    whole = path.resolve()
    there = os.path.lexists(path / FILE)
    if whole.parent.name == SHARDS or (whole.name == SHARDS and not there):
        yield part(path)
    elif _ASIDE.search(whole.name):
        yield Note(str(path), Kind.ASIDE, "by --fresh: not counted")
    elif there:
        yield Folder(path, named)
    elif os.path.isdir(path / SHARDS):  # noqa: PTH112 (where it may not be looked at, this does not raise)
        yield Note(
            str(path),
            Kind.SHARDED,
            "has shards and no journal of their change: not counted, merge them first",
        )
    else:
        yield Note(str(path), Kind.EMPTY, f"has no {FILE}: not counted")


def part(path: Path) -> Note:
    """Say that a folder is one of the parts that make a change once they are merged."""
    return Note(str(path), Kind.SHARDED, "a part of a sharded run, which is no change: not counted")


def _once(paths: Iterable[Path]) -> list[Path]:
    return list({path.resolve(): path for path in paths}.values())
