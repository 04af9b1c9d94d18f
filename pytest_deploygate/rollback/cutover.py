"""When the new side took over, as the inventory or the deployment says."""

from __future__ import annotations

from datetime import UTC, datetime

from pytest_deploygate.checks.way_back.section.rollback import Rollback
from pytest_deploygate.model import CannotTell


def declared(section: Rollback | None) -> datetime | None:
    """Return what the `rollback` section says: `cutover`, else what `cutover_file` holds; None where neither says a time.

    No file means that nothing was switched yet. Raises CannotTell for a file that holds no time with a zone.
    """
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
