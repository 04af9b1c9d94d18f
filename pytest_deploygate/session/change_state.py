"""The state of the change's ticket when a run begins, for `policy.change_state`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_deploygate.decision.change_state import IGNORED, ChangeState
from pytest_deploygate.journal import utcnow
from pytest_deploygate.redaction import redact

if TYPE_CHECKING:
    from pytest_deploygate.session.settings import Settings


def read(settings: Settings) -> ChangeState | None:
    """Return what the ticket says; None if the policy ignores it. What cannot be read is a state, too: unknown."""
    if settings.inventory.policy.change_state == IGNORED:
        return None
    # Only inventories with this policy need a client.
    from pytest_deploygate.clients.tickets import opening  # noqa: PLC0415
    from pytest_deploygate.clients.tickets.asking import TicketError  # noqa: PLC0415

    name = settings.change
    try:
        tracker, key = opening.of_change(settings.inventory.tickets, settings.change)
        name = f"{tracker.called}:{key}"
        return opening.opened(tracker, key).state()
    except TicketError as error:
        return ChangeState(ticket=name, read_at=utcnow(), unknown=redact(str(error)))
