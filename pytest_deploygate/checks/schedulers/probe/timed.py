"""The last run or heartbeat, as a query tells it. Its age is by the server's own clock."""

from __future__ import annotations

from datetime import UTC, datetime

from pytest_deploygate.checks.schedulers.facts import Seen, State
from pytest_deploygate.checks.schedulers.section import Place
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import CannotTell


def seen(place: Place) -> Seen:
    """Return when it ran last. Raises CannotTell."""
    if place.database is None:
        raise AssertionError("a query names its database")
    cluster = Cluster(place.database.settings)
    try:
        rows = cluster.rows(cluster.primary, place.query or "")
        now = cluster.value(cluster.primary, "SELECT clock_timestamp()")
    finally:
        cluster.close()
    if len(rows) > 1 or any(len(row) != 1 for row in rows):
        raise CannotTell(
            "the query must return one row with one time: write for example SELECT max(ran_at) FROM …"
        )
    last = rows[0][0] if rows else None
    if last is None:
        return Seen(State.ABSENT, "no run is on record")
    if not isinstance(last, datetime) or last.tzinfo is None:
        raise CannotTell(
            f"the query returned {last!r}, which is no time with a zone: cast it to timestamptz in the query"
        )
    return Seen(State.TIMED, f"ran at {last.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC", last, now)
