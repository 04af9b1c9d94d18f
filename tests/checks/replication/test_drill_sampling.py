"""What a drill takes from its samples, and the lock that keeps drills of two machines apart."""

from __future__ import annotations

import contextlib
import socket

import pytest

from pytest_deploygate.checks.replication.probe.held import held
from pytest_deploygate.checks.replication.probe.managed.sampling import Sampling, _cut_off
from pytest_deploygate.clients.postgres import markers
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.model import CannotTell


@pytest.mark.parametrize(
    ("done", "again"),
    [
        ([], None),
        ([10.1, 10.3, 10.5], 10.1),
        ([10.1, 10.3, 14.9, 15.1], 14.9),
        ([14.0, 14.2, 16.0], 14.0),
    ],
    ids=["never", "no outage", "after the outage", "the longest outage"],
)
def test_clients_are_back_after_the_longest_outage(cluster, done, again):
    with markers.rows(cluster) as (_, mine):
        sampling = Sampling(cluster, [], mine)
        sampling.end()
    sampling._got_through["writes"] = [(end - 0.02, end) for end in done]
    assert sampling.through_again("writes", 10.0) == again


@pytest.mark.parametrize(
    ("said", "cut"),
    [
        ("connection failed: Connection refused", False),
        ("FATAL: the database system is starting up", False),
        ("connection failed: No route to host", True),
        ("connection timeout expired", True),
        ("Network is unreachable", True),
    ],
)
def test_what_the_network_says_is_no_answer_of_the_node(said, cut):
    assert _cut_off(CannotTell(said)) is cut


def test_a_second_machine_sees_the_lock_in_the_database(cluster):
    """The files of a drill on another machine cannot be seen; its session on the leader can."""
    with contextlib.closing(Cluster(cluster.settings, "deploygate")) as other:
        with held(cluster, cluster.primary) as mine:
            said = f"another drill runs \\(deploygate drill on {socket.gethostname()}, process .*wait until it has ended"
            with pytest.raises(CannotTell, match=said), held(other, other.primary):
                pass
            mine.follow(cluster, cluster.primary.name)  # taken again, as after a switch
            with pytest.raises(CannotTell, match="another drill runs"), held(other, other.primary):
                pass
        with held(other, other.primary):
            pass
