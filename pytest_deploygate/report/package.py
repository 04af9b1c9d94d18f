"""What goes to a change's ticket: the report, and an archive of everything that proves it, the same bytes each time.

A file's name has the beginning of its digest, so that a ticket shows what it has, and nothing is sent twice.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from pytest_deploygate import journal
from pytest_deploygate.clients.tickets.ticket import File
from pytest_deploygate.files import write_whole
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.report import results

#: Folders of a change that go into the archive with all that is in them.
_FOLDERS = ("evidence", "signatures")
#: A fixed time for each entry: an archive of the same files must have the same digest.
_WHEN = (1980, 1, 1, 0, 0, 0)
#: What an entry takes in an archive beside its data and twice its name, and what an archive takes itself, rounded up.
_ENTRY, _ARCHIVE = 160, 1024
_PART = 1024 * 1024
_MANIFEST = "SHA256SUMS"


class PackageError(Exception):
    """There is nothing that could be attached, or it cannot be split into files of the size that is allowed."""


@dataclass(frozen=True)
class _Entry:
    path: Path
    name: str
    sha256: str
    packed: int


def make(folder: Path, change: str, into: Path, largest: int) -> list[File]:
    """Write the files to attach to `into`: the report, and the archive in as many parts as `largest` bytes need.

    Raises PackageError, OSError.
    """
    report = folder / results.REPORT
    if not report.is_file():
        raise PackageError(
            f"{report} is not there: run the gate first, or `deploygate report` to write it again from the journal"
        )
    raw = report.read_bytes()
    _fits(report.name, len(raw), largest)
    shown = into / "report"
    write_whole(shown, raw)
    files = [_file(shown, f"signoff-{change}", "html", "text/html", "the report")]
    parts = list(_parts([_entry(path, folder) for path in _contents(folder)], largest))
    for n, part in enumerate(parts, 1):
        number = f"-{n}of{len(parts)}" if len(parts) > 1 else ""
        archive = into / f"archive{n}"
        _write(archive, part)
        what = (
            f"journal, results, evidence and signatures{number.replace('-', ', part ').replace('of', ' of ')}"
        )
        files.append(_file(archive, f"evidence-{change}{number}", "zip", "application/zip", what))
    return files


def _contents(folder: Path) -> Iterator[Path]:
    """Yield the files of a change that prove its report, in a fixed order. Links are left out: they lead elsewhere."""
    for name in (journal.FILE, *results.NAMES):
        if (folder / name).is_file():
            yield folder / name
    for name in _FOLDERS:
        place = folder / name
        if place.is_dir() and not place.is_symlink():
            yield from sorted(path for path in place.rglob("*") if path.is_file() and not path.is_symlink())


def _entry(path: Path, folder: Path) -> _Entry:
    digest, squeezed, packed = hashlib.sha256(), zlib.compressobj(), 0
    with path.open("rb") as stream:
        while part := stream.read(_PART):
            digest.update(part)
            packed += len(squeezed.compress(part))
    name = path.relative_to(folder).as_posix()
    packed += (
        len(squeezed.flush()) + _ENTRY + 2 * len(name.encode()) + len(name) + 70
    )  # its line in the list, too
    return _Entry(path, name, digest.hexdigest(), packed)


def _parts(entries: Sequence[_Entry], largest: int) -> Iterator[list[_Entry]]:
    """Yield the entries of each archive. Raises PackageError for a file that is too large for any."""
    part: list[_Entry] = []
    size = _ARCHIVE
    for entry in entries:
        _fits(entry.name, entry.packed + _ARCHIVE, largest)
        if part and size + entry.packed > largest:
            yield part
            part, size = [], _ARCHIVE
        part.append(entry)
        size += entry.packed
    if part:
        yield part


def _fits(name: str, size: int, largest: int) -> None:
    if size > largest:
        raise PackageError(
            f"{name} needs {size:,} bytes, and the largest file that the ticket takes has {largest:,}: have the limit raised, "
            "or attach it by hand"
        )


def _write(archive: Path, entries: Sequence[_Entry]) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for entry in entries:
            with (
                packed.open(_info(entry.name), "w", force_zip64=True) as out,
                entry.path.open("rb") as stream,
            ):
                while part := stream.read(_PART):
                    out.write(part)
        lines = "".join(f"{entry.sha256}  {entry.name}\n" for entry in entries)
        packed.writestr(_info(_MANIFEST), lines)


def _info(name: str) -> zipfile.ZipInfo:
    found = zipfile.ZipInfo(name, _WHEN)
    found.compress_type = zipfile.ZIP_DEFLATED
    found.external_attr = 0o600 << 16
    return found


def _file(path: Path, stem: str, extension: str, content_type: str, what: str) -> File:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    name = f"{stem}-{digest[:16]}.{extension}"
    return File(path, name, digest, path.stat().st_size, content_type, what)
