"""What is measured of attestations, findings files and their signatures, as frozen values: no I/O, no limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pytest_deploygate.checklist.attestations import Attestation, Backing


@dataclass(frozen=True, slots=True)
class BackingSeen:
    """One file or URL of evidence now. `found` is its SHA-256, empty when that is not known.

    `missing`: the file is not there. `problem`: it could not be read or fetched. `asked` is false for a URL that
    was not fetched, `status` its HTTP status.
    """

    backing: Backing
    found: str = ""
    missing: bool = False
    problem: str = ""
    asked: bool = True
    status: int | None = None


@dataclass(frozen=True, slots=True)
class AttestationSeen:
    """One attestation with what stands behind it."""

    attestation: Attestation
    evidence: tuple[BackingSeen, ...]
    signature: SignatureSeen
    findings: SarifSeen | None = None
    changed: bool = False  # the file itself is another one than that which was loaded


@dataclass(frozen=True, slots=True)
class AttestationsSeen:
    """All attestations of one item (of any change and inventory), for a run of this change and inventory, at a time."""

    item: str
    change: str
    inventory: str
    now: datetime
    attestations: tuple[AttestationSeen, ...]


@dataclass(frozen=True, slots=True)
class OpenResult:
    """One open result: its rule, level, text and place (`file:line`, as far as known)."""

    rule: str
    level: str
    text: str
    place: str


@dataclass(frozen=True, slots=True)
class SarifSeen:
    """What one file says. `problem` says why it says nothing that counts; the figures mean nothing then.

    `open` counts results by level that are neither suppressed nor gone since the baseline; `undecided` those of
    kind open or review. `examples` are the first open ones, worst first.
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


@dataclass(frozen=True, slots=True)
class SignatureSeen:
    """What became of a signature: `none` there is none; `good` by `identity`; `bad` not for these bytes or damaged;
    `unlisted` right, but the key is not listed for any of the identities; `unchecked` could not be checked.
    """

    state: State
    identity: str = ""
    detail: str = ""
