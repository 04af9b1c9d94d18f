"""Connecting to a node: one that hangs costs its timeout once, not per test; one that refuses is retried each time."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pytest_deploygate.clients import reach
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.fields.postgres import ConnectionSettings
from pytest_deploygate.model import CannotTell, NotReached


def cluster(port: int) -> Cluster:
    return Cluster(
        ConnectionSettings.model_validate(
            {
                "name": "platform",
                "user": "deploygate",
                "primary": f"127.0.0.1:{port}",
                "connect_timeout": "2s",
            }
        )
    )


@contextmanager
def hanging() -> Iterator[tuple[int, socket.socket]]:
    """Listen on a port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server.getsockname()[1], server


def callers(server: socket.socket) -> int:
    """Return how many connections waited at the port, and accept them."""
    taken = 0
    while True:
        try:
            server.accept()[0].close()
        except BlockingIOError:
            return taken
        taken += 1


def why(some: Cluster, **more: bool) -> str:
    with pytest.raises(CannotTell) as told:
        some.connect(some.primary, **more).close()
    return str(told.value)


def test_a_node_that_hangs_is_waited_for_once() -> None:
    """A second attempt and a query fail at once, without connecting, and say when it was tried; `afresh` connects."""
    with hanging() as (port, server):
        some = cluster(port)
        first = why(some)
        assert "timeout expired" in first
        assert callers(server) == 1
        assert why(some).startswith(f"{first} (tried at ")
        with pytest.raises(CannotTell, match="timeout expired"):
            some.rows(some.primary, "SELECT 1")
        assert callers(server) == 0
        why(some, afresh=True)
        assert callers(server) == 1


def test_a_node_that_hung_is_asked_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """A recovered node is noticed in a run that lasts for hours."""
    with hanging() as (port, server):
        some = cluster(port)
        why(some)
        assert callers(server) == 1
        later = time.monotonic() + reach.REMEMBERED_S + 1
        monkeypatch.setattr(time, "monotonic", lambda: later)
        why(some)
        assert callers(server) == 1


def test_what_one_cluster_learns_another_knows() -> None:
    """The memory is that of the run: a pooler, a second database or a page at the same address costs nothing more."""
    with hanging() as (port, server):
        reach.asking("db.connectivity")
        why(cluster(port))
        callers(server)
        assert "tried by db.connectivity at " in why(cluster(port))
        assert callers(server) == 0


def test_a_name_that_does_not_resolve_is_not_reached() -> None:
    """It is our own side that cannot reach the node: other than a refusal, it says nothing about the server."""
    settings = {"name": "platform", "user": "deploygate", "primary": "db1.invalid"}
    some = Cluster(ConnectionSettings.model_validate(settings))
    with pytest.raises(NotReached, match="correct the host, or its DNS record"):
        some.connect(some.primary)
    with pytest.raises(CannotTell) as refused:
        cluster(1).connect(cluster(1).primary)
    assert not isinstance(refused.value, NotReached)


def test_a_node_that_refuses_is_asked_each_time() -> None:
    """A server that restarts refuses for a moment: its return must be noticed."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    some = cluster(port)
    assert "refused" in why(some)
    with socket.create_server(("127.0.0.1", port)) as server:
        server.setblocking(False)
        why(some)
        assert callers(server) == 1
