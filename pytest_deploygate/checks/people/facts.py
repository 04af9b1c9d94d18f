"""Measurements of attestations, findings files and their signatures, as frozen values: no I/O, no limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Literal

from pytest_deploygate.checklist.vocabulary import Attestation, Backing
from pytest_deploygate.lazy import dataclass


@dataclass(frozen=True)
class BackingSeen:
    """One file or URL of evidence in its current state. `found` is its SHA-256, empty if unknown.

    `missing`: the file does not exist. `problem`: it could not be read or fetched. `asked` is false for a URL that
    was not fetched; `status` is its HTTP status.
    """

    backing: Backing
    found: str = ""
    missing: bool = False
    problem: str = ""
    asked: bool = True
    status: int | None = None


@dataclass(frozen=True)
class AttestationSeen:
    """One attestation with its evidence, signature and findings file."""

    attestation: Attestation
    evidence: tuple[BackingSeen, ...]
    signature: SignatureSeen
    findings: SarifSeen | None = None
    changed: bool = False  # the file itself differs from the one that was loaded


@dataclass(frozen=True)
class AttestationsSeen:
    """All attestations of one item (of any change and inventory), for a run of this change and inventory at `now`."""

    item: str
    change: str
    inventory: str
    now: datetime
    attestations: tuple[AttestationSeen, ...]
    aside: tuple[str, ...] = ()  # sentences about attestations of the item that do not count


@dataclass(frozen=True)
class OpenResult:
    """One open result: its rule, level, text and place (`file:line`, as far as known)."""

    rule: str
    level: str
    text: str
    place: str


@dataclass(frozen=True)
class SarifSeen:
    """The contents of one file. `problem` states why it cannot be used; its counts then have no meaning.

    `open` counts results by level, without those suppressed or absent since the baseline; `undecided` counts
    results of kind open or review. `examples` are the first open ones, worst first.
    """

    file: str
    problem: str = ""
    tools: tuple[str, ...] = ()
    open: Mapping[str, int] = field(default_factory=dict)
    suppressed: int = 0
    undecided: int = 0
    examples: tuple[OpenResult, ...] = ()
    ended: str = ""


State = Literal["none", "good", "bad", "unlisted", "unchecked"]


@dataclass(frozen=True)
class SignatureSeen:
    """The result of a signature check: `none`: not signed; `good`: by `identity`; `bad`: damaged or for other bytes;
    `unlisted`: valid, but the key is not listed for any of the identities; `unchecked`: could not be checked.
    `key` is the fingerprint of a good one's key, as ssh-keygen prints it.
    """

    state: State
    identity: str = ""
    detail: str = ""
    key: str = ""
