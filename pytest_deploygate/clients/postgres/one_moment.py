"""A connection of its own for a probe that needs several answers of one moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from pytest_deploygate.clients.postgres.cluster import Cluster, Parameters, Query, explain
from pytest_deploygate.fields.postgres import Node
from pytest_deploygate.model import CannotTell

#: Runs one query and returns its rows; raises CannotTell with the server's words and psycopg's error as its cause.
Ask = Callable[..., list[tuple[Any, ...]]]


@contextmanager
def one_moment(cluster: Cluster, node: Node, *, search_path: str | None = None) -> Iterator[Ask]:
    """Give a function that asks inside one repeatable-read, read-only transaction on a new connection.

    What others commit meanwhile is not seen, so that answers fit each other. `search_path` fixes how the server
    qualifies names in the definitions that it prints. `single=True` refuses a text of several statements. Raises
    CannotTell.
    """
    with cluster.connect(node) as connection:

        def ask(
            query: Query, parameters: Parameters = None, *, single: bool = False
        ) -> list[tuple[Any, ...]]:
            composed = query.encode() if isinstance(query, str) else query.as_bytes(connection)
            try:
                with connection.cursor() as cursor:
                    # The extended protocol, which a binary answer needs, takes one statement only.
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
