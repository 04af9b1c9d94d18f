"""What a run was about, from its `run` entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Any

from pytest_deploygate.checklist.vocabulary import SetAside
from pytest_deploygate.checklist.waivers import Waiver
from pytest_deploygate.decision import recorded_change_state
from pytest_deploygate.decision.change_state import IGNORED, ChangeState
from pytest_deploygate.decision.incidents import Times
from pytest_deploygate.journal import ODD, JournalError
from pytest_deploygate.journal.typed import flag, listed, made, text, texts
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import Closing, Item, Kind, Phase, Severity, Weakening
from pytest_deploygate.moments import number_of, time_of


@dataclass(frozen=True)
class Attested:
    """An attestation that counted in a run: its file, its item, the role, and its end."""

    file: str
    item: str
    role: str
    valid_until: datetime


@dataclass(frozen=True)
class Frame:
    """What a run was about, from its `run` entry. `shard` is its number and that of all, if it was part of a run."""

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
    change_state: ChangeState | None = None
    change_state_policy: str = IGNORED
    shard: tuple[int, int] | None = None

    @property
    def scope_words(self) -> str:
        """What the run was for, as it is shown; empty for the whole checklist."""
        part = {"index": self.shard[0], "of": self.shard[1]} if self.shard else None
        return scope_words(self.expression, part)


def scope_words(expression: str, shard: Mapping[str, Any] | None) -> str:
    """Return what a run was for, as it is shown; `shard` is that of its `run` entry, None for a whole run."""
    if not shard:
        return expression
    return f"{expression or 'the whole checklist'}, shard {shard['index']} of {shard['of']}"


def values_of(begin: Mapping[str, Any]) -> Mapping[str, str] | None:
    """Return keyed digests of the values that a run's inventory referred to; None if the run did not record them.

    Secrets are not among them: a token that is another one in each job says nothing about what it opens.
    """
    inputs = begin.get("inputs") or {}
    found, secrets = inputs.get("values"), inputs.get("secrets") or ()
    return (
        {name: said for name, said in found.items() if name not in secrets}
        if isinstance(found, Mapping)
        else None
    )


#: The entry that was read last, and what came of it: a run asks for its own several times.
_latest: tuple[Mapping[str, Any], Frame] | None = None


def frame(begin: Mapping[str, Any]) -> Frame:
    """Read a `run` entry, which nobody changes, and keep both. Raises JournalError if this version cannot read it."""
    global _latest  # noqa: PLW0603 (one answer)
    if _latest is None or _latest[0] is not begin:
        _latest = begin, read_frame(begin)
    return _latest[1]


def read_frame(begin: Mapping[str, Any]) -> Frame:
    """Read a `run` entry, as `frame` does, and keep nothing of it."""
    try:
        checklist, inventory, policy = begin["checklist"], begin["inventory"], begin["policy"]
        return Frame(
            run=text(begin["run"], "run"),
            change=text(begin["change"], "change"),
            inventory=text(inventory["name"], "the inventory's name"),
            description=text(inventory["description"], "the inventory's description"),
            inventory_sha256=text(inventory["sha256"], "the inventory's digest"),
            checklist_sha256=text(checklist["sha256"], "the checklist's digest"),
            phases=tuple(made(Phase, phase) for phase in listed(checklist["phases"], "phases")),
            items=tuple(_item(item) for item in listed(checklist["items"], "items")),
            roles=texts(checklist["roles"], "roles"),
            expression=text(begin["scope"], "scope"),
            scope=texts(begin["scope_items"], "scope_items"),
            not_applicable={
                text(item): text(why, "not_applicable") for item, why in begin["not_applicable"].items()
            },
            rollback_from=text(policy["rollback_from"], "rollback_from"),
            waived_exit=flag(begin["waived_exit"], "waived_exit"),
            kept=texts(begin["kept"], "kept"),
            waivers=tuple(made(Waiver, waiver) for waiver in listed(begin["waivers"], "waivers")),
            weakenings=tuple(
                _weakening(weakening) for weakening in listed(begin["weakenings"], "weakenings")
            ),
            windows={
                text(phase): (time_of(start), time_of(end))
                for phase, (start, end) in begin["windows"].items()
            },
            chained=flag(begin["chained"], "chained"),
            decision_valid_s=number_of(policy["decision_valid_s"]),
            times=made(Times, policy.get("times", {})),
            remarks=texts(begin.get("remarks", ()), "remarks"),
            aside=tuple(made(SetAside, one) for one in listed(begin.get("aside", ()), "aside")),
            attestations=tuple(
                made(Attested, one) for one in listed(begin.get("attestations", ()), "attestations")
            ),
            moment=begin.get("moment", {}),
            values=values_of(begin),
            change_state=recorded_change_state.from_json(begin.get("change_state")),
            change_state_policy=text(policy.get("change_state", IGNORED), "change_state"),
            shard=(int(shard["index"]), int(shard["of"])) if (shard := begin.get("shard")) else None,
        )
    except ODD as error:
        raise JournalError(f"a run in the journal cannot be read by this version: {error!r}") from None


def _item(plain: Mapping[str, Any]) -> Item:
    closing = Closing(plain["closing"]) if plain.get("closing") else None
    return made(Item, plain, severity=Severity(plain["severity"]), kind=Kind(plain["kind"]), closing=closing)


def _weakening(plain: str | Mapping[str, Any]) -> Weakening:
    """Read a weakening; earlier versions wrote the sentence alone, without the items that it bears on."""
    return (
        Weakening(plain)
        if isinstance(plain, str)
        else made(Weakening, plain, text=plain["text"], items=texts(plain["items"]))
    )
