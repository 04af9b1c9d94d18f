"""A freeze stops phases that change the platform; a read-only phase may run."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pytest_deploygate.checklist.parser import parse
from pytest_deploygate.inventory.policy import Timetable
from pytest_deploygate.session import timetable

CHECKLIST = parse(
    "## Look {#look .read-only}\n- [ ] DNS {#look.dns}\n## Change {#change}\n- [ ] Tables {#change.tables}\n"
    "## Sign-off {#signoff .sign-off}\n- Technical lead\n",
    Path("checklist.md"),
)
FROZEN = Timetable.model_validate(
    {
        "t0": "2026-12-01",
        "freezes": [
            {"start": "2026-12-20T00:00:00Z", "end": "2027-01-02T00:00:00Z", "reason": "holiday sales"}
        ],
    }
)
WITHIN, BEFORE = datetime(2026, 12, 24, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)


def remarks(*items: str, now: datetime = WITHIN, override: str | None = None) -> tuple[str, ...]:
    return timetable.remarks(FROZEN, CHECKLIST, items, override, now)


def test_a_phase_that_only_looks_runs_in_a_freeze():
    assert remarks("look.dns") == ()


@pytest.mark.parametrize("items", [("change.tables",), ("look.dns", "change.tables")])
def test_any_other_phase_is_refused(items):
    with pytest.raises(pytest.UsageError, match="holiday sales"):
        remarks(*items)
    assert remarks(*items, now=BEFORE) == ()


def test_a_role_may_override():
    (said,) = remarks("change.tables", override="technical-lead: security fix")
    assert "overridden by technical-lead: security fix" in said
