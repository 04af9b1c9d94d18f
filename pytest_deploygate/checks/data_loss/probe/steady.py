"""Write for long, with an account in a file, and account for it afterwards: at once, or after the writer was killed."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from psycopg import sql

from pytest_deploygate.checks.data_loss.facts import Place, Risk, Steadily, Written
from pytest_deploygate.checks.data_loss.probe.commits import commits
from pytest_deploygate.checks.data_loss.probe.writing import WRITTEN, replayed
from pytest_deploygate.clients.budget import Spending
from pytest_deploygate.clients.postgres.cluster import Cluster, explain
from pytest_deploygate.clients.writers import Way, ledger_file
from pytest_deploygate.clients.writers.ledger_file import About, LedgerFile
from pytest_deploygate.clients.writers.steady import Steady
from pytest_deploygate.fields.postgres import Node
from pytest_deploygate.judging.histories.checking import Checker, checked
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

PREFIX = "deploygate_writes_"
#: Ids read at a time; a longer statement would meet the timeout, or hold up replay on a replica.
_PIECE = 100_000


@dataclass(frozen=True)
class Plan:
    """How long to write, with how many connections, and the most rows a second."""

    duration: timedelta
    writers: int
    rows_per_second: int


def begin(
    cluster: Cluster, way: Way, plan: Plan, file: Path, inventory: str, spending: Spending
) -> tuple[Steady, LedgerFile]:
    """Make a table of its own and the file, and open the connections. Raises CannotTell."""
    connection, schema = cluster.writer(cluster.primary)
    table = f"{PREFIX}{secrets.token_hex(4)}"
    about = About(
        schema, table, plan.writers, way.name, datetime.now(UTC).isoformat(timespec="seconds"), inventory
    )
    ledger = LedgerFile(file, about)
    try:
        with connection:
            connection.execute(sql.SQL("CREATE TABLE {} (id bigint PRIMARY KEY)").format(_of(about)))
        return Steady(cluster, way, _of(about), plan, ledger, spending), ledger
    except (CannotTell, psycopg.Error) as error:
        ledger.close()
        file.unlink(missing_ok=True)
        with contextlib.suppress(CannotTell):
            drop(cluster, about)
        if isinstance(error, CannotTell):
            raise
        raise CannotTell(f"no table could be made: {explain(cluster.primary, error)}") from error


def left_behind(cluster: Cluster) -> list[str]:
    """Return the tables of earlier loads that nobody accounted for. Raises CannotTell."""
    query = "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname = %s AND starts_with(tablename, %s) ORDER BY 1"
    return [str(row[0]) for row in cluster.rows(cluster.primary, query, (cluster.writes_schema, PREFIX))]


def account(
    cluster: Cluster, way: Way, file: Path, patience_s: float, ran: Steadily | None = None
) -> Written:
    """Look for every acknowledged write of a ledger on each node. Raises CannotTell.

    `ran` is what the process that wrote knows; it is None when another one accounts for it.
    """
    about = ledger_file.about(file)
    checker = checked(ledger_file.rows(file))
    # Writers that all ended by themselves have no id without an answer; those that were killed may have one each.
    unanswered = [] if ran is not None and ran.ended else ledger_file.unanswered(file)
    anomalies = checker.anomalies(unanswered=unanswered)
    if (
        cluster.value(cluster.primary, "SELECT to_regclass(%s)", (f'"{about.schema}"."{about.table}"',))
        is None
    ):
        raise CannotTell(
            f"{cluster.primary.name} has no table {about.schema}.{about.table}: it was accounted for before, or the whole "
            "table is lost"
        )
    target = int(cluster.value(cluster.primary, WRITTEN))

    def look(node: Node) -> Place:
        waited_s = 0.0
        if node.name != cluster.primary.name:
            waited_s, late = replayed(cluster, node, target, patience_s)
            if late:
                return Place(node.name, None, late, waited_s)
        return Place(
            node.name, checker.presence(_ids(cluster, node, about), ledger_file.rows(file)), "", waited_s
        )

    places = [_guarded(look, node) for node in cluster.nodes if not node.delayed]
    lasted_s = ran.lasted_s if ran else _lasted_s(checker)
    return Written(
        through=about.through,
        planned_s=ran.planned_s if ran else lasted_s,
        lasted_s=lasted_s,
        anomalies=anomalies,
        nodes=tuple(places),
        restored=None,
        risk=Risk(problem="not sampled"),
        commits=commits(cluster, way),
        problem=ran.problem if ran else "",
        left_out=tuple(node.name for node in cluster.replicas if node.delayed),
        steadily=ran,
    )


def drop(cluster: Cluster, about: About) -> None:
    """Remove the table of a load. Raises CannotTell."""
    connection, _ = cluster.writer(cluster.primary)
    try:
        with connection:
            connection.execute("SET synchronous_commit = local")
            connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(_of(about)))
    except psycopg.Error as error:
        raise CannotTell(
            f"the table {about.schema}.{about.table} stays: {explain(cluster.primary, error)}"
        ) from error


def facts(steady: Steady) -> Steadily:
    """Return what the process that wrote knows of it."""
    return Steadily(
        planned_s=steady.plan.duration.total_seconds(),
        lasted_s=round(steady.lasted_s, 3),
        asked_per_s=steady.plan.rows_per_second,
        acknowledged=steady.counts["acknowledged"],
        reconnected=steady.counts["reconnected"],
        busy=round(steady.busy, 2),
        problem=steady.problem,
        ended=not steady.hung,
        acknowledged_per_100ms=tuple(steady.acknowledged_per_100ms),
    )


def _guarded(look: Callable[[Node], Place], node: Node) -> Place:
    try:
        return look(node)
    except CannotTell as unknown:
        return Place(node.name, None, str(unknown))


def _ids(cluster: Cluster, node: Node, about: About) -> Iterator[int]:
    """Return the ids on a node, in pieces by the primary key; a missing table has none."""
    query = sql.SQL("SELECT id FROM {} WHERE id > %s ORDER BY id LIMIT %s").format(_of(about))
    last = -1
    while True:
        piece = [int(row[0]) for row in cluster.rows(node, query, (last, _PIECE))]
        yield from piece
        if len(piece) < _PIECE:
            return
        last = piece[-1]


def _lasted_s(checker: Checker) -> float:
    return round(checker.last_s, 3)


def _of(about: About) -> sql.Identifier:
    return sql.Identifier(about.schema, about.table)
