"""What a rollback now would lose: rows that the new side accepted since the cutover, counted live."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from pytest_deploygate.checks.way_back.facts import Lost
from pytest_deploygate.checks.way_back.section.rollback import Loss
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import CannotTell


def lost_since(cluster: Cluster, loss: Loss, cutover: datetime | None) -> Lost:
    """Count the rows that the new side accepted since the cutover, on its primary.

    An unknown cutover is a problem; one in the future loses nothing. An error is a value of the facts; nothing is
    raised.
    """
    if cutover is None:
        return Lost(None, None, "the time of the cutover is unknown: set `rollback.cutover`")
    if cutover > datetime.now(UTC):
        return Lost(cutover, 0, at=datetime.now(UTC), export_problem=_cannot_be_saved(loss.export_to))
    return count(cluster, loss, cutover)


def count(cluster: Cluster, loss: Loss, cutover: datetime) -> Lost:
    """Query the new side's primary. An error is a value: it must not prevent the report."""
    now = datetime.now(UTC)
    asked = {"cutover": cutover}
    try:
        found = cluster.value(cluster.primary, loss.query, asked)
        first = cluster.value(cluster.primary, loss.first, asked) if loss.first and found else None
    except (CannotTell, psycopg.Error) as error:
        return Lost(cutover, None, f"it cannot be counted: {' '.join(str(error).split())}", at=now)
    if isinstance(found, bool) or not isinstance(found, int) or found < 0:
        return Lost(
            cutover, None, f"rollback.loss.query returned {found!r}, which is not a number of rows", at=now
        )
    if first is not None and not (isinstance(first, datetime) and first.tzinfo):
        why = f"rollback.loss.first returned {first!r}, which is not a time with a zone (timestamptz)"
        return Lost(cutover, None, why, at=now)
    return Lost(cutover, found, "", first, now, _cannot_be_saved(loss.export_to))


def _cannot_be_saved(file: Path | None) -> str:
    """Return why the export's file cannot be written, without writing anything."""
    if file is None:
        return ""
    if not file.parent.is_dir():
        return f"there is no folder {file.parent} to save them in"
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        return f"{file} cannot be written"
    return ""
