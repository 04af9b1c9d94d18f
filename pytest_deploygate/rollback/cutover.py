"""When the new side took over, as the inventory or the deployment says."""

from __future__ import annotations

from datetime import UTC, datetime

from pytest_deploygate.inventory.models import Inventory


def declared(inventory: Inventory) -> datetime | None:
    """Return `rollback.cutover`, else what stands in `rollback.cutover_file`; None where neither says a time."""
    section = inventory.rollback
    if section is None:
        return None
    said = section.cutover
    if said is None and section.cutover_file is not None:
        try:
            said = section.cutover_file.read_text().strip()
        except OSError:
            return None
    try:
        found = datetime.fromisoformat(said) if said else None
    except ValueError:
        return None
    return found.astimezone(UTC) if found and found.tzinfo else found
