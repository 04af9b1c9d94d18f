"""People in a record: what they attested and waived, who must sign, whom to call."""

from __future__ import annotations

from datetime import datetime

from pytest_deploygate.checklist.waivers import Waiver
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Finding, Item, Verdict, words_for
from pytest_deploygate.report.record import Contact, Record


@dataclass(frozen=True)
class WaiverShown:
    """A waiver with its state at the time of the decision. `used` is true if an item in scope was waived by it."""

    waiver: Waiver
    state: str
    expired: bool
    used: bool


@dataclass(frozen=True)
class Signer:
    """A role that must sign, with its contact if the inventory has one."""

    role: str
    contact: Contact | None


def waivers(record: Record) -> tuple[WaiverShown, ...]:
    """Return the waivers of this change and inventory, the first to expire first."""
    at = _at(record)
    mine = [
        w for w in record.waivers if w.change in ("", record.change) and w.inventory in ("", record.inventory)
    ]
    waived = {r.item.id for r in record.items if r.in_scope and _is_waived(r.verdict, r.findings)}
    return tuple(
        WaiverShown(w, _state(w, at), bool(at and w.expires <= at), w.item in waived)
        for w in sorted(mine, key=lambda w: w.expires)
    )


def attestations(record: Record) -> tuple[tuple[Item, Finding], ...]:
    """Return what people attested in scope, in the order of the checklist."""
    return tuple(
        (r.item, f) for r in record.items if r.in_scope for f in r.findings if f.verdict is Verdict.ATTESTED
    )


def signers(record: Record) -> tuple[Signer, ...]:
    """Return the roles that must sign, in the checklist's order."""
    known = {contact.role: contact for contact in record.contacts}
    return tuple(Signer(role, known.get(role)) for role in record.roles)


def _is_waived(verdict: Verdict, findings: tuple[Finding, ...]) -> bool:
    return verdict is Verdict.WAIVED or any(f.verdict is Verdict.WAIVED for f in findings)


def _at(record: Record) -> datetime | None:
    """Return when the last run started: waivers count in their state at that time."""
    return record.runs[-1].started if record.runs else None


def _state(waiver: Waiver, at: datetime | None) -> str:
    if at is None:
        return "unknown"
    if waiver.expires <= at:
        return f"EXPIRED {words_for(at - waiver.expires)} before the run"
    if waiver.created > at:
        return "not yet in force"
    return f"active, {words_for(waiver.expires - at)} left"
