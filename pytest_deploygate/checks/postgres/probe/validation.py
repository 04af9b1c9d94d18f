"""Run the validation queries of the inventory."""

from __future__ import annotations

from psycopg import sql

from pytest_deploygate.checks.postgres.facts import Answer
from pytest_deploygate.checks.postgres.section.validation import ValidationQuery
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.clients.postgres.names import identifier

MOST_ROWS = 20


def answer(cluster: Cluster, query: ValidationQuery) -> Answer:
    """Run the query on the primary, read-only and bounded in time and rows.

    Raises CannotTell when it cannot be run: unreachable, timeout, no permission, an error in its SQL.
    """
    if query.empty_means:
        table = identifier(query.empty_means)
        there = cluster.value(cluster.primary, sql.SQL("SELECT EXISTS (SELECT FROM {})").format(table))
        if not there:
            # Not run: without rows many queries divide by zero, which would hide that the table is empty.
            return Answer(query.name, (), more=False, empty=query.empty_means)
    # On the first line, so that the server's LINE 3 is the third line of the query.
    bounded = f"SELECT * FROM ({query.sql.strip().rstrip(';')}\n) AS answer LIMIT {MOST_ROWS + 1}"  # noqa: S608 (the inventory's own query)
    rows = cluster.rows(cluster.primary, bounded)
    return Answer(query.name, tuple(rows[:MOST_ROWS]), len(rows) > MOST_ROWS, None)
