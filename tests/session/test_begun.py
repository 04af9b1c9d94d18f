"""A phase's issue log is due once somebody ran the phase, or its planned time came."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_deploygate.inventory.policy import Timetable
from pytest_deploygate.journal import Entry
from pytest_deploygate.model import Item, Kind, Phase, Severity
from pytest_deploygate.session import closing

_NUMBERS = itertools.count(1)
ITEM = Item("phase4.discrepancies", "Document discrepancies", "phase4", Severity.MAJOR, Kind.HYBRID)


def settings(t0: date | None = None) -> Any:
    phase = Phase("phase4", "Data migration", "00:00 - 23:59", "T-0")
    timetable = Timetable.model_validate({"t0": t0, "timezone": "UTC"}) if t0 else None
    return SimpleNamespace(
        inventory=SimpleNamespace(timetable=timetable), checklist=SimpleNamespace(phases=(phase,))
    )


def run(scope: str, *items: str) -> Entry:
    number = next(_NUMBERS)
    body = {"run": str(number), "scope": scope, "scope_items": list(items)}
    return Entry(number, datetime.now(UTC), "run", body, "")


@pytest.mark.parametrize(
    ("runs", "begun"),
    [
        ((run("", ITEM.id),), False),
        ((run("phase2", "phase2.tables"),), False),
        ((run("phase4", ITEM.id),), True),
        ((run("phase4", ITEM.id), run("", ITEM.id)), True),
        ((run("items phase4.discrepancies", ITEM.id),), True),
    ],
)
def test_a_run_begins_what_it_names(runs: tuple[Entry, ...], begun: bool) -> None:
    assert closing._begun(ITEM, settings(), runs) is begun


@pytest.mark.parametrize(("days", "begun"), [(-2, True), (2, False)])
def test_a_planned_time_begins_a_phase(days: int, begun: bool) -> None:
    t0 = (datetime.now(UTC) + timedelta(days=days)).date()
    assert closing._begun(ITEM, settings(t0), (run("", ITEM.id),)) is begun
