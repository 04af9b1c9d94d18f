"""A separate connection for a probe that needs several consistent answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from pytest_deploygate.clients.postgres.cluster import Cluster, Parameters, Query, explain
from pytest_deploygate.fields.postgres import Node
from pytest_deploygate.model import CannotTell

#: Runs one query and returns its rows; raises CannotTell with the server's message and psycopg's error as its cause.
Ask = Callable[..., list[tuple[Any, ...]]]


@contextmanager
def one_moment(cluster: Cluster, node: Node, *, search_path: str | None = None) -> Iterator[Ask]:
    """Yield a function that queries within one repeatable-read, read-only transaction on a new connection.

    Concurrent commits are not visible, so the answers are consistent. `search_path` fixes how the server
    qualifies names in the definitions that it prints. `single=True` rejects a text with several statements. Raises
    CannotTell.
    """
    with cluster.connect(node) as connection:

        def ask(
            query: Query, parameters: Parameters = None, *, single: bool = False
        ) -> list[tuple[Any, ...]]:
            composed = query.encode() if isinstance(query, str) else query.as_bytes(connection)
            try:
                with connection.cursor() as cursor:
                    # The extended protocol, required for a binary result, accepts a single statement.
                    cursor.execute(composed, parameters, binary=True if single else None)
                    return cursor.fetchall() if cursor.description else []
            except psycopg.Error as error:
                raise CannotTell(explain(node, error)) from error

        ask("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        ask("SET LOCAL datestyle = 'ISO'")
        if search_path is not None:
            ask("SELECT set_config('search_path', %s, true)", (search_path,))
        try:
            yield ask
        finally:
            if not connection.closed:
                connection.rollback()
