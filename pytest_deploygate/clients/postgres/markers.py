"""The gate's own table for marker rows and write loads, in the schema that the inventory's `writes` names.

Each row carries its run and its time. A run deletes its rows; rows of crashed runs are deleted after an hour by
the next run. Setup and cleanup never wait for synchronous replicas; only the write load does.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator

import psycopg
from psycopg import sql

from pytest_deploygate.clients import stopping
from pytest_deploygate.clients.postgres.cluster import Cluster, Connection, explain
from pytest_deploygate.fields.postgres import Node
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell

TABLE = "deploygate_replication"


@dataclass(frozen=True)
class Rows:
    """The rows of one run: `table` (quoted, with schema) and `run`."""

    table: sql.Identifier
    run: str

    @property
    def counter(self) -> str:
        """The run of the row that counters count up: its id is the count."""
        return f"{self.run} counter"

    def insert(self) -> sql.Composed:
        """Statement that writes one row; its parameters are run and id."""
        return sql.SQL("INSERT INTO {} (run, id) VALUES (%s, %s)").format(self.table)

    def ids(self) -> sql.Composed:
        """Query for this run's ids; its parameter is run."""
        return sql.SQL("SELECT id FROM {} WHERE run = %s").format(self.table)


@contextlib.contextmanager
def rows(cluster: Cluster, node: Node | None = None) -> Iterator[tuple[Connection, Rows]]:
    """Yield a connection to the primary that may write, and a new run's rows, deleted on exit.

    Raises CannotTell without `writes`, without permission, or if the server rejects the table.
    """
    at = node or cluster.primary
    connection, schema = cluster.writer(at)
    mine = Rows(sql.Identifier(schema, TABLE), f"{uuid.uuid4()}")
    try:
        with connection:
            _prepare(connection, schema, mine)
            try:
                yield connection, mine
            finally:
                with stopping.shielded():
                    clean(cluster, at, mine)
    except psycopg.Error as error:
        raise CannotTell(_why(schema, at, error)) from error


def clean(cluster: Cluster, node: Node, mine: Rows) -> None:
    """Delete the run's rows, and those of its own runs, which begin with its name. If the server is down they stay until a run at least an hour later."""
    with contextlib.suppress(CannotTell, psycopg.Error):
        connection, _ = cluster.writer(node)
        with connection:
            connection.execute("SET synchronous_commit = local")
            connection.execute(
                sql.SQL("DELETE FROM {} WHERE run = %s OR starts_with(run, %s)").format(mine.table),
                (mine.run, f"{mine.run} "),
            )


def _prepare(connection: Connection, schema: str, mine: Rows) -> None:
    connection.execute("SET synchronous_commit = local")
    there = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relname = %s)",
        (schema, TABLE),
    ).fetchone()
    if not (there and there[0]):
        with contextlib.suppress(psycopg.errors.UniqueViolation, psycopg.errors.DuplicateTable):
            connection.execute(
                sql.SQL(
                    "CREATE TABLE IF NOT EXISTS {} (run text NOT NULL, id bigint NOT NULL,"
                    " application text NOT NULL DEFAULT 'deploygate',"
                    " written_at timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (run, id))"
                ).format(mine.table)
            )
    connection.execute(
        sql.SQL("DELETE FROM {} WHERE written_at < now() - interval '1 hour'").format(mine.table)
    )


def _why(schema: str, node: Node, error: psycopg.Error) -> str:
    if isinstance(error, psycopg.errors.InvalidSchemaName):
        return f"{node.name} has no schema {schema}, which `writes` names; create it for the gate's role"
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return f"the gate's role may not write in schema {schema} on {node.name}: {error}; grant CREATE and USAGE on it"
    return f"no row could be written: {explain(node, error)}"
