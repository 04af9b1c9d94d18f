"""A lock in the database, so that drills begun on two machines keep apart: the other one's files cannot be seen.

It is an advisory lock of a session on the node that leads, and ends with that session in any way. After a switch it is taken
again on the new leader; in between the cluster is not whole, and no drill begins.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator

import psycopg
from psycopg import sql

from pytest_deploygate.clients.postgres.cluster import Cluster, Connection, explain
from pytest_deploygate.fields.postgres import Node
from pytest_deploygate.model import CannotTell

#: "deploygate drill", as the two numbers of an advisory lock.
_KEY = (0x64706774, 0x6472696C)
_HOLDER = """
SELECT a.application_name, a.backend_start FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.classid = %s AND l.objid = %s
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class Held:
    """The lock while a drill runs."""

    def __init__(self) -> None:
        self._connection: Connection | None = None

    def take(self, cluster: Cluster, node: Node) -> None:
        """Take it on the node that leads. Raises CannotTell if another drill has it, or the node cannot be asked."""
        self.release()
        connection = cluster.connect(node, read_only=None, afresh=True)
        try:
            name = f"deploygate drill on {socket.gethostname()}, process {os.getpid()}"[:63]
            connection.execute(sql.SQL("SET application_name = {}").format(name))
            row = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", _KEY).fetchone()
            other = "" if row and row[0] else _by(connection)
        except psycopg.Error as error:
            connection.close()
            raise CannotTell(f"whether another drill runs is unknown: {explain(node, error)}") from error
        if other:
            connection.close()
            raise CannotTell(f"{other} on this cluster: wait until it has ended")
        self._connection = connection

    def follow(self, cluster: Cluster, name: str) -> None:
        """Take it on the node that leads now. Where that fails the drill goes on: it must restore the cluster."""
        node = next((each for each in cluster.nodes if each.name == name), None)
        if node is not None:
            with contextlib.suppress(CannotTell):
                self.take(cluster, node)

    def release(self) -> None:
        """Let go of it."""
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                self._connection.close()
            self._connection = None


@contextlib.contextmanager
def held(cluster: Cluster, node: Node) -> Iterator[Held]:
    """Hold the lock in the block. Raises CannotTell if another drill has it."""
    lock = Held()
    lock.take(cluster, node)
    try:
        yield lock
    finally:
        lock.release()


def _by(connection: Connection) -> str:
    row = connection.execute(_HOLDER, _KEY).fetchone()
    if row is None:
        return "another drill runs"
    return f"another drill runs ({row[0] or 'a session without a name'}, since {row[1]:%Y-%m-%d %H:%M:%S %Z})"
