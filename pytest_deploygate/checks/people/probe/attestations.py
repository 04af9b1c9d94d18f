"""What currently supports an item's attestations: digests of the evidence, signatures, findings files, the time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import requests

from pytest_deploygate.checklist.attestations import NAMESPACE
from pytest_deploygate.checklist.committed import SIGNERS
from pytest_deploygate.checklist.vocabulary import Attestation, Backing
from pytest_deploygate.checks.people.facts import (
    AttestationSeen,
    AttestationsSeen,
    BackingSeen,
    SignatureSeen,
)
from pytest_deploygate.checks.people.probe import sarif, ssh_signatures
from pytest_deploygate.clients.http import sending, whole
from pytest_deploygate.files import bounded, sha256

_MOST_URL_BYTES = 50 * 1024**2
#: A large file may take this many times the time for its first byte.
_SLOWEST = 6


def measure(
    root: Path,
    item: str,
    attestations: Sequence[Attestation],
    *,
    change: str,
    inventory: str,
    signers: Path | None = None,
    signers_aside: str = "",
    aside: tuple[str, ...] = (),
    fetch: bool = False,
    timeout_s: float = 10.0,
    now: datetime | None = None,
) -> AttestationsSeen:
    """Check what supports the attestations of an item (other items in `attestations` are ignored).

    `signers` is the allowed-signers file (default `allowed_signers` below `root`); `signers_aside` says why it must not
    be used. `aside` are sentences about attestations that do not count. URLs are fetched only with `fetch`. Never raises: what cannot be checked is a value.
    """
    listed = signers or root / SIGNERS
    return AttestationsSeen(
        item=item,
        change=change,
        inventory=inventory,
        now=now or datetime.now(UTC),
        attestations=tuple(
            _seen(root, one, listed, signers_aside, fetch, timeout_s)
            for one in attestations
            if one.item == item
        ),
        aside=aside,
    )


def _seen(
    root: Path, one: Attestation, signers: Path, signers_aside: str, fetch: bool, timeout_s: float
) -> AttestationSeen:
    path = root / one.file
    try:
        raw = bounded.read(path)
    except OSError:
        raw = b""
    backings = list(one.evidence)
    if one.findings:
        backings.append(Backing(file=one.findings.file, sha256=one.findings.sha256))
    return AttestationSeen(
        attestation=one,
        evidence=tuple(
            _file(root, backing) if backing.file else _url(backing, fetch, timeout_s) for backing in backings
        ),
        signature=_signature(raw, path, one, signers, signers_aside),
        findings=sarif.measure(root / one.findings.file, one.findings.file) if one.findings else None,
        changed=sha256(raw) != one.sha256,
    )


def _signature(raw: bytes, path: Path, one: Attestation, signers: Path, signers_aside: str) -> SignatureSeen:
    signature = path.with_name(f"{path.name}.sig")
    if signers_aside and signature.exists():
        return SignatureSeen("unchecked", detail=f"{signers.name} does not count: {signers_aside}")
    return ssh_signatures.check(raw, signature, signers, (one.role, one.name), NAMESPACE)


def _file(root: Path, backing: Backing) -> BackingSeen:
    path = root / backing.file
    try:
        if path.exists() and not path.is_file():  # a folder, or an endless device
            return BackingSeen(backing, problem="is not a file")
        return BackingSeen(backing, found=digest(path))
    except (FileNotFoundError, NotADirectoryError):
        return BackingSeen(backing, missing=True)
    except OSError as error:
        return BackingSeen(backing, problem=f"cannot be read: {error.strerror}")


def digest(path: Path) -> str:
    """Return a file's SHA-256. Raises OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _url(backing: Backing, fetch: bool, timeout_s: float) -> BackingSeen:
    if not fetch:
        return BackingSeen(backing, asked=False)
    try:
        with sending.once(
            f"GET {backing.url}",
            backing.url,
            timeout_s,
            lambda s: whole.request("GET", backing.url, _SLOWEST * s, timeout=s, stream=True),
        ) as answer:
            if not backing.sha256 or answer.status_code != requests.codes.ok:
                return BackingSeen(backing, status=answer.status_code)
            content, all_of_it = whole.read(answer, _MOST_URL_BYTES)
            if not all_of_it:
                return BackingSeen(backing, status=answer.status_code, problem="is larger than 50 MB")
            return BackingSeen(backing, found=hashlib.sha256(content).hexdigest(), status=answer.status_code)
    except (requests.RequestException, OSError) as error:
        return BackingSeen(backing, problem=f"did not answer: {sending.why(error)}")
