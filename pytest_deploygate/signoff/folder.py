"""A snapshot of a change's folder: the contents of small files, the digests of files that may be large."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from pytest_deploygate import journal
from pytest_deploygate.decision import condensed
from pytest_deploygate.files import bounded, sha256
from pytest_deploygate.journal import Entry, JournalError
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.report import from_journal, results

SIGNATURES = "signatures"
#: Signatures of earlier reports of the same change, moved here when a role signs again.
EARLIER = "earlier"
#: Damaged signatures, moved here when the role signs again. They prove nothing, and nothing there is verified.
DAMAGED = "damaged"
EVIDENCE = "evidence"
#: The journals of merged shards: `session.sharding.FOLDER`.
SHARDS = "shards"
REPORT = "signoff.html"
RESULTS = ("verdicts.json", "junit.xml", REPORT)
_MOST_BYTES = 64 * 1024


@dataclass(frozen=True)
class Taken:
    """The contents of the folder. Paths are relative to `folder`; a missing file is in no mapping.

    `evidence` holds the SHA-256 of each file below `evidence/`; `signatures` the bytes by file name, `earlier` those by path below
    `signatures/earlier/`, and `earlier_results` the SHA-256 of the results that were kept there. `shards` are the
    journals of shards that were merged, by the id of their run.
    """

    folder: Path
    journal: bytes | None
    results: Mapping[str, bytes]
    evidence: Mapping[str, str]
    signatures: Mapping[str, bytes]
    earlier: Mapping[str, bytes] = dataclasses.field(default_factory=dict)
    earlier_results: Mapping[str, str] = dataclasses.field(default_factory=dict)
    shards: Mapping[str, bytes] = dataclasses.field(default_factory=dict)


class FolderError(Exception):
    """The folder cannot be read; the message says what and why."""


def take(folder: Path) -> Taken:
    """Read a change's folder. Raises FolderError if it does not exist or a file in it cannot be read."""
    if not folder.is_dir():
        raise FolderError(f"there is no folder {folder}")
    kept = folder / SIGNATURES / EARLIER
    try:
        return Taken(
            folder=folder,
            journal=_bytes(folder / journal.FILE),
            results={name: raw for name in RESULTS if (raw := _bytes(folder / name)) is not None},
            evidence={
                path.relative_to(folder).as_posix(): _digest(path) for path in _files(folder / EVIDENCE)
            },
            signatures={path.name: _bounded(path) for path in _signature_files(folder / SIGNATURES)},
            earlier={
                path.relative_to(kept).as_posix(): _bounded(path)
                for path in _files(kept)
                if path.name not in RESULTS
            },
            earlier_results={
                path.relative_to(kept).as_posix(): _digest(path)
                for path in _files(kept)
                if path.name in RESULTS
            },
            shards={
                path.stem: bounded.read(path, journal.MOST_BYTES)
                for path in (folder / SHARDS).glob("*.jsonl")
            },
        )
    except OSError as error:
        raise FolderError(f"{error.filename or folder} cannot be read: {error.strerror}") from None


def before_run(taken: Taken, run: str) -> Taken:
    """Return the folder as if the journal ended before a run: that run judges what was there before it."""
    entries, _ = journal.parse(taken.journal or b"", taken.folder / journal.FILE)
    begins = next((e.seq for e in entries if e.kind == "run" and e.body.get("run") == run), None)
    if begins is None:
        return taken
    if begins > 1 and entries[begins - 2].kind == journal.SIGNED:
        begins -= 1  # the run noted what it found signed
    lines = (taken.journal or b"").split(b"\n")[: begins - 1]
    return dataclasses.replace(taken, journal=b"".join(line + b"\n" for line in lines) or None)


def _bytes(path: Path) -> bytes | None:
    return bounded.read(path, journal.MOST_BYTES) if path.is_file() else None


def _bounded(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(_MOST_BYTES)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _files(place: Path) -> Iterator[Path]:
    if place.is_dir():
        yield from sorted(path for path in place.rglob("*") if path.is_file())


def _signature_files(place: Path) -> Iterator[Path]:
    if place.is_dir():
        yield from sorted(
            path for path in place.iterdir() if path.is_file() and not path.name.startswith(".")
        )


@functools.lru_cache(maxsize=4)
def chain(raw: bytes, path: Path) -> tuple[Entry, ...]:
    """Verify the hash chain of a journal, including its last line. Raises JournalError."""
    entries, whole = journal.parse(raw, path)
    if not entries:
        raise JournalError(
            f"{path} has no whole line: the run was killed before it recorded anything, or all was removed; run it again"
        )
    if whole != len(raw):
        raise JournalError(
            f"{path}:{len(entries) + 1}: the last line is incomplete: the command was killed while writing it, or the line "
            "was cut off. Run again with --resume, or write the report of what is whole: `deploygate report`"
        )
    if (point := condensed.untrue(entries)) is not None:
        raise JournalError(
            f"{path}:{point.seq}: this checkpoint does not say what the lines before it say; the record was edited. "
            "Move the folder aside (--fresh) and run again"
        )
    return tuple(entries)


@functools.lru_cache(maxsize=4)
def rendered(raw: bytes, path: Path) -> Mapping[str, bytes]:
    """Compute the result files again from the journal. Raises JournalError."""
    record = from_journal.build(chain(raw, path))
    return {name: text.encode() for name, text in results.render(record).items()}


def digest(raw: bytes | None) -> str:
    """Return the SHA-256 of some bytes; empty for a missing file."""
    return "" if raw is None else sha256(raw)


def inside(path: str) -> bool:
    """Return whether a recorded path stays inside the folder."""
    parts = PurePosixPath(path)
    return bool(path) and not parts.is_absolute() and ".." not in parts.parts
