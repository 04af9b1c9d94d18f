"""When the new side took over, as the inventory or the deployment says."""

from __future__ import annotations

from datetime import UTC, datetime

from pytest_deploygate.checks.way_back import section as way_back
from pytest_deploygate.inventory.models import Inventory
from pytest_deploygate.model import CannotTell


def declared(inventory: Inventory) -> datetime | None:
    """Return `rollback.cutover`, else what stands in `rollback.cutover_file`; None where neither says a time.

    No file means that nothing was switched yet. Raises CannotTell for a file that holds no time with a zone.
    """
    section = inventory.of(way_back.Keys).rollback
    if section is None or (section.cutover is None and section.cutover_file is None):
        return None
    file = section.cutover_file
    try:
        said = section.cutover or (file.read_text().strip() if file else "")
        found = datetime.fromisoformat(said)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise CannotTell(f"rollback.cutover_file {file} holds no time: {error}") from None
    if found.tzinfo is None:
        raise CannotTell(f"the time in rollback.cutover_file {file} has no zone: {said}")
    return found.astimezone(UTC)
