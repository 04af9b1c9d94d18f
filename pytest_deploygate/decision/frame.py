"""What a run was about, from its `run` entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Any

from pytest_deploygate.checklist.vocabulary import SetAside
from pytest_deploygate.checklist.waivers import Waiver
from pytest_deploygate.decision.incidents import Times
from pytest_deploygate.journal import JournalError
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Closing, Item, Kind, Phase, Severity, Weakening


@dataclass(frozen=True)
class Attested:
    """An attestation that counted in a run: its file, its item, the role, and its end."""

    file: str
    item: str
    role: str
    valid_until: datetime


@dataclass(frozen=True)
class Frame:
    """What a run was about, from its `run` entry."""

    run: str
    change: str
    inventory: str
    description: str
    inventory_sha256: str
    checklist_sha256: str
    phases: tuple[Phase, ...]
    items: tuple[Item, ...]
    roles: tuple[str, ...]
    expression: str
    scope: tuple[str, ...]
    not_applicable: Mapping[str, str]
    rollback_from: str
    waived_exit: bool
    kept: tuple[str, ...]
    waivers: tuple[Waiver, ...]
    weakenings: tuple[Weakening, ...]
    chained: bool
    decision_valid_s: float
    times: Times
    remarks: tuple[str, ...]
    aside: tuple[SetAside, ...]
    windows: Mapping[str, tuple[datetime, datetime]]
    attestations: tuple[Attested, ...] = ()
    moment: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, str] | None = None


def values_of(begin: Mapping[str, Any]) -> Mapping[str, str] | None:
    """Return keyed digests of the values that a run's inventory referred to; None if the run did not record them."""
    found = (begin.get("inputs") or {}).get("values")
    return found if isinstance(found, Mapping) else None


def frame(begin: Mapping[str, Any]) -> Frame:
    """Read a `run` entry. Raises JournalError if this version cannot read it."""
    try:
        checklist = begin["checklist"]
        return Frame(
            run=begin["run"],
            change=begin["change"],
            inventory=begin["inventory"]["name"],
            description=begin["inventory"]["description"],
            inventory_sha256=begin["inventory"]["sha256"],
            checklist_sha256=checklist["sha256"],
            phases=tuple(Phase(**phase) for phase in checklist["phases"]),
            items=tuple(_item(item) for item in checklist["items"]),
            roles=tuple(checklist["roles"]),
            expression=begin["scope"],
            scope=tuple(begin["scope_items"]),
            not_applicable=begin["not_applicable"],
            rollback_from=begin["policy"]["rollback_from"],
            waived_exit=begin["waived_exit"],
            kept=tuple(begin["kept"]),
            waivers=tuple(_waiver(waiver) for waiver in begin["waivers"]),
            weakenings=tuple(_weakening(weakening) for weakening in begin["weakenings"]),
            windows={
                phase: (datetime.fromisoformat(start), datetime.fromisoformat(end))
                for phase, (start, end) in begin["windows"].items()
            },
            chained=begin["chained"],
            decision_valid_s=begin["policy"]["decision_valid_s"],
            times=Times(**begin["policy"].get("times", {})),
            remarks=tuple(begin.get("remarks", ())),
            aside=tuple(SetAside(**one) for one in begin.get("aside", ())),
            attestations=tuple(_attested(one) for one in begin.get("attestations", ())),
            moment=begin.get("moment", {}),
            values=values_of(begin),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise JournalError(f"a run in the journal cannot be read by this version: {error!r}") from None


def _item(plain: Mapping[str, Any]) -> Item:
    known = dict(plain)
    closing = Closing(known["closing"]) if known.get("closing") else None
    severity, kind = Severity(known["severity"]), Kind(known["kind"])
    return Item(**{**known, "severity": severity, "kind": kind, "closing": closing})


def _weakening(plain: str | Mapping[str, Any]) -> Weakening:
    """Read a weakening; earlier versions wrote the sentence alone, without the items that it bears on."""
    return Weakening(plain) if isinstance(plain, str) else Weakening(plain["text"], tuple(plain["items"]))


def _attested(plain: Mapping[str, Any]) -> Attested:
    return Attested(**{**plain, "valid_until": datetime.fromisoformat(plain["valid_until"])})


def _waiver(plain: Mapping[str, Any]) -> Waiver:
    times = {name: datetime.fromisoformat(plain[name]) for name in ("created", "expires")}
    return Waiver(**{**plain, **times})
