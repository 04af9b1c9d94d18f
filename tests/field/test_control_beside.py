"""The control of a server whose probes read for long: on a real primary."""

from __future__ import annotations

import contextlib
import time

from pytest_deploygate.clients.budget import unrecorded
from pytest_deploygate.clients.postgres import beside
from pytest_deploygate.clients.postgres.cluster import Cluster


def test_a_long_read_of_the_probe_is_no_harm(server) -> None:
    """Both once used one connection: a comparison that took seconds ended the restore that it belonged to."""
    drawn = unrecorded("db.restore")
    with (
        contextlib.closing(Cluster(server.database())) as cluster,
        beside.asking(cluster) as control,
        drawn.probe("restore", control=control, connects=False),
    ):
        cluster.value(cluster.primary, "SELECT pg_sleep(3.5)")
    (entry,) = drawn.ledger.entries()
    assert entry.ended == ("done",)
    assert entry.before is not None
    assert entry.before.median_s < 1


def test_a_connection_that_is_open_only_after_the_probe_is_closed(server, monkeypatch) -> None:
    """On a busy machine the first question may still be connecting when the probe has ended."""
    with contextlib.closing(Cluster(server.database())) as cluster:
        opened = []

        def late(node):
            opened.append(Cluster.connect(cluster, node))
            return opened[-1]

        monkeypatch.setattr(cluster, "connect", late)
        with beside.asking(cluster) as control:
            pass
        assert not control()
        assert [one.closed for one in opened] == [True]


def test_a_server_that_is_gone_is_no_answer_and_one_that_is_back_is_asked_again(server) -> None:
    with contextlib.closing(Cluster(server.database())) as cluster, beside.asking(cluster) as control:
        assert control()
        pid = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT true'"
        with cluster.connect(cluster.primary) as another:
            another.execute(pid)
        time.sleep(0.2)
        with contextlib.suppress(Exception):
            assert not control()
        assert control()
