"""What a rollback now would lose: rows that the new side accepted since the cutover, counted live."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import psycopg

from pytest_deploygate.inventory.rollback import Loss
from pytest_deploygate.model import CannotTell
from pytest_deploygate.probes.postgres import Cluster


@dataclass(frozen=True, slots=True)
class Lost:
    """Rows written since `cutover`; None where that could not be counted, and `problem` says why."""

    cutover: datetime | None
    rows: int | None
    problem: str = ""


def count(cluster: Cluster, loss: Loss, cutover: datetime) -> Lost:
    """Ask the new side's primary. What goes wrong is a value: it must not stand in the way of saying so."""
    try:
        found = cluster.value(cluster.primary, loss.query, {"cutover": cutover})
    except (CannotTell, psycopg.Error) as error:
        return Lost(cutover, None, f"it cannot be counted: {' '.join(str(error).split())}")
    if isinstance(found, bool) or not isinstance(found, int) or found < 0:
        return Lost(cutover, None, f"rollback.loss.query gave {found!r}, which is no number of rows")
    return Lost(cutover, found)
