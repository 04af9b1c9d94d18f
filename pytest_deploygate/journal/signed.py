"""Signatures in a change's folder, noted in its journal: once the journal goes on, none can be removed unseen."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from pytest_deploygate.files import bounded
from pytest_deploygate.journal.lines import Entry

#: Kind of the line that names the signatures that were there before the journal went on.
SIGNED = "signed"
#: Where they are: those of the present report, and those of earlier ones.
PLACES = ("signatures", "signatures/earlier/*")
#: The most that is read of one; a statement has 1 kB.
MOST_BYTES = 64 * 1024


def unnoted(folder: Path, entries: Sequence[Entry]) -> list[dict[str, str]]:
    """Return name and SHA-256 of each signature file that no line of the journal names."""
    known = {sha for entry in entries if entry.kind == SIGNED for _, sha in noted(entry)}
    found = {hashlib.sha256(raw).hexdigest(): name for name, raw in _files(folder)}
    return [{"file": name, "sha256": sha} for sha, name in found.items() if sha not in known]


def noted(entry: Entry) -> list[tuple[str, str]]:
    """Return name and SHA-256 of the files that a line names; none for a line of another shape."""
    files = entry.body.get("files")
    return [
        (str(one.get("file")), str(one.get("sha256")))
        for one in (files if isinstance(files, list) else ())
        if isinstance(one, dict)
    ]


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for place in PLACES:
        for signature in sorted(folder.glob(f"{place}/*.json.sig")):
            for path in (signature.with_suffix(""), signature):
                with contextlib.suppress(OSError):  # no signature: too large, or no file
                    yield path.name, bounded.read(path, MOST_BYTES)
