"""The files that people attested with: what an attestation names by SHA-256 must still be what stands in the repository."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pytest_deploygate.files import sha256
from pytest_deploygate.journal import Entry
from pytest_deploygate.model import Verdict
from pytest_deploygate.signoff import folder

#: The target of a finding that a person's attestation gave.
_TARGET = "attestation"


def counted(entries: tuple[Entry, ...]) -> frozenset[str]:
    """Return the items whose newest attestation finding was good: only for those was the evidence as attested."""
    newest = {
        str(found["item"]): Verdict(found["verdict"])
        for entry in entries
        if entry.kind == "test"
        for found in entry.body.get("findings", ())
        if found["target"] == _TARGET
    }
    return frozenset(item for item, verdict in newest.items() if verdict.good)


def altered(root: Path, paths: Collection[str], items: Collection[str]) -> Iterator[str]:
    """Say of each file that the attestations `paths` (below `root`) name for one of `items` how it is not as attested."""
    for path in sorted(paths):
        record = _record(root / path)
        if record.get("item") not in items:
            continue
        for file, sha in _named(record):
            if why := _why(root, file, sha):
                yield f"{file}, evidence of {path}, {why}"


def _record(file: Path) -> Mapping[str, object]:
    # Its digest is compared elsewhere; what is no attestation any more is wrong there already.
    try:
        read = YAML(typ="safe", pure=True).load(file.read_bytes())
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
        return "lies outside of the repository"
    try:
        there = sha256((root / file).read_bytes())
    except OSError:
        return f"is missing below {root}"
    return "" if there == sha else f"was altered: its SHA-256 is {there[:12]}…, attested is {sha[:12]}…"
