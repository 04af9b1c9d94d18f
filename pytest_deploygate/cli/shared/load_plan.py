"""The load of a command: what the inventory plans, as the command line changes it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pytest_deploygate.checks.blast_radius import section as blast_section
from pytest_deploygate.checks.load import section as load_section
from pytest_deploygate.checks.load.section import Load, allowed
from pytest_deploygate.cli.shared.inventories import read
from pytest_deploygate.cli.shared.refusals import Refused
from pytest_deploygate.clients.budget import Budget
from pytest_deploygate.clients.ledger import Ledger
from pytest_deploygate.model import parse_duration
from pytest_deploygate.problems import nearest

#: The item whose budget a load draws on.
_ITEM = "crit.p50"


def planned(
    inventory: str,
    rate: float | None,
    duration: str | None,
    endpoints: tuple[str, ...],
    *,
    cold: bool,
    baseline: Path | None,
) -> tuple[str, Load, Budget]:
    """Return the inventory's name, its load as changed by the command line, and its budget. Raises Refused (exit 4)."""
    loaded = read(inventory)
    found, name = loaded.inventory.of(load_section.Keys).load, loaded.inventory.name
    if found is None or found.target is None:
        raise Refused(
            f"{loaded.file} has no `load` with a `target`; add load: {{allow: {name}, target: …, endpoints: …}}"
        )
    if refused := allowed(found, name):
        raise Refused(refused)
    changes: dict[str, Any] = {}
    if rate is not None or duration is not None:
        changes |= {"profile": None, "rate_per_second": rate or found.greatest_rate}
        changes["duration"] = duration_of(duration) if duration else found.duration
    if endpoints:
        labels = [e.label for e in found.endpoints]
        if unknown := [e for e in endpoints if e not in labels]:
            raise Refused(f"the inventory has no endpoint {unknown[0]!r}{nearest(unknown[0], labels)}")
        changes["endpoints"] = [e for e in found.endpoints if e.label in endpoints]
    if cold:
        changes["connections"] = "cold"
    if baseline is not None:
        changes["baseline"] = baseline
    # The inventory sets the cap; if it names none, its own plan is the cap.
    cap = found.max_per_second or found.greatest_rate
    try:
        given = {key: getattr(found, key) for key in type(found).model_fields}
        plan = Load.model_validate(given | {"max_per_second": cap} | changes)
    except ValidationError as error:
        said = "; ".join(detail["msg"].removeprefix("Value error, ") for detail in error.errors())
        raise Refused(f"this load is refused: {said}; the inventory's `max_per_second` is the cap") from None
    blast = loaded.inventory.of(blast_section.Keys).blast_radius or blast_section.BlastRadius()
    return name, plan, Budget(_ITEM, Ledger(together=blast.whole), blast.limits(_ITEM), blast.bounds)


def duration_of(given: str) -> timedelta:
    """Return a duration of the command line. Raises Refused."""
    try:
        return parse_duration(given)
    except ValueError as error:
        raise Refused(f"--duration: {error}") from None
