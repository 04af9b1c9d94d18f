"""The time of the cutover, from the inventory or from a file that the deployment writes."""

from __future__ import annotations

from datetime import UTC, datetime

from pytest_deploygate.checks.way_back.section.rollback import Rollback
from pytest_deploygate.files import bounded
from pytest_deploygate.model import CannotTell


def declared(section: Rollback | None) -> datetime | None:
    """Return `rollback.cutover`, else the time in `cutover_file`; None if neither gives one.

    No file means that nothing was switched yet. Raises CannotTell for a file without a time and its zone.
    """
    if section is None or (section.cutover is None and section.cutover_file is None):
        return None
    file = section.cutover_file
    try:
        said = section.cutover or (bounded.text(file).strip() if file else "")
        found = datetime.fromisoformat(said)
        if found.tzinfo is not None:
            found.astimezone(UTC)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, OverflowError) as error:
        raise CannotTell(f"rollback.cutover_file {file} does not contain a time: {error}") from None
    if found.tzinfo is None:
        raise CannotTell(f"the time in rollback.cutover_file {file} has no time zone: {said}")
    return found.astimezone(UTC)
