"""Since when documents and briefings count, and the time of the run."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from pytest_deploygate.checks.handover.section import Handover

#: The checklist begins a week before the deployment.
_BEFORE = timedelta(days=7)


@pytest.fixture(scope="session")
def handed_over_since(handover: Handover, inventory: Any) -> date | None:
    """`handover.since`, else a week before the day of the deployment; None if nothing says it."""
    if handover.since or inventory.timetable is None:
        return handover.since
    t0: date = inventory.timetable.t0
    return t0 - _BEFORE
