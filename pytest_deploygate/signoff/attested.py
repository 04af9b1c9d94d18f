"""Evidence of attestations: a file that an attestation names by SHA-256 must still be unchanged in the repository."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from yaml.error import YAMLError

from pytest_deploygate.files import bounded, sha256, yaml
from pytest_deploygate.journal import Entry
from pytest_deploygate.model import Verdict
from pytest_deploygate.signoff import folder

#: The target of findings that come from attestations.
_TARGET = "attestation"


def counted(entries: tuple[Entry, ...]) -> frozenset[str]:
    """Return the items whose latest attestation finding was good: only for those was the evidence as attested."""
    newest = {
        str(found["item"]): Verdict(found["verdict"])
        for entry in entries
        if entry.kind == "test"
        for found in entry.body.get("findings", ())
        if found["target"] == _TARGET
    }
    return frozenset(item for item, verdict in newest.items() if verdict.good)


def altered(root: Path, paths: Collection[str], items: Collection[str]) -> Iterator[str]:
    """Yield what is wrong with files that the attestations `paths` (below `root`) name as evidence for `items`."""
    for path in sorted(paths):
        record = _record(root / path)
        if record.get("item") not in items:
            continue
        for file, sha in _named(record):
            if why := _why(root, file, sha):
                yield f"{file}, evidence of {path}, {why}"


def _record(file: Path) -> Mapping[str, object]:
    # The digest of the record itself is compared elsewhere, so a file that is no longer an attestation is caught there.
    try:
        read = yaml.load(bounded.text(file))
    except (OSError, YAMLError, ValueError):
        return {}
    return read if isinstance(read, Mapping) else {}


def _named(record: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    evidence = record.get("evidence")
    for one in [*(evidence if isinstance(evidence, list) else []), record.get("findings")]:
        if isinstance(one, Mapping) and "file" in one:
            yield str(one["file"]), str(one.get("sha256", ""))


def _why(root: Path, file: str, sha: str) -> str:
    if not folder.inside(file):
        return "is outside the repository"
    try:
        there = sha256(bounded.read(root / file, bounded.MADE))
    except (FileNotFoundError, NotADirectoryError):
        return f"is missing below {root}"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return "" if there == sha else f"was altered: its SHA-256 is {there[:12]}…, attested was {sha[:12]}…"
