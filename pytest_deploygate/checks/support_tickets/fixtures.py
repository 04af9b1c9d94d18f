"""When go-live was."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

import pytest

from pytest_deploygate.checks.support_tickets.section import SupportTickets

#: The checklist goes live at this hour of the deployment's day.
_GO_LIVE = time(22)


@pytest.fixture(scope="session")
def went_live(support_tickets: SupportTickets, inventory: Any) -> datetime | None:
    """`support_tickets.since`, else 22:00 on the day of the deployment in its zone; None if nothing says it."""
    if support_tickets.since or inventory.timetable is None:
        return support_tickets.since
    plan = inventory.timetable
    return datetime.combine(plan.t0, _GO_LIVE, plan.zone).astimezone(UTC)
