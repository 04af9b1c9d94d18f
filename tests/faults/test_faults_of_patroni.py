"""Every fault of a cluster that Patroni manages changes exactly the items that it declares."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from shared_lab import shared_lab

from faults.breaking import (
    MANAGED,
    all_of,
    changes_exactly_what_it_declares,
    is_as_before,
    of_part,
    when_healthy,
)
from pytest_deploygate.checks.replication.probe.managed.evidence import managed_drills
from pytest_deploygate.checks.replication.section import InDatabase
from pytest_deploygate.clients.postgres.cluster import Cluster
from pytest_deploygate.inventory.loader import load
from pytest_deploygate.lab import faults
from pytest_deploygate.lab.services.patroni_config import MEMBERS, PROFILE
from pytest_deploygate.lab.state import Lab

#: The first test also waits for the lab, for a drill of each fault, and for the healthy run.
pytestmark = [pytest.mark.timeout(1200), pytest.mark.long]


@pytest.fixture(scope="module")
def lab(lab_place: Path) -> Iterator[Lab]:
    """A lab with Patroni, and a record of each of its drills."""
    for running in shared_lab(lab_place, "patroni-faults", profiles=[PROFILE], drilled=False):
        if MEMBERS[0] not in running.ports:
            pytest.skip("this lab does without Patroni")
        inventory = load("lab-patroni", Path.cwd()).inventory
        assert inventory.database is not None
        bounds = inventory.database.of(InDatabase).replication
        assert bounds.managed_failover is not None
        with contextlib.closing(Cluster(inventory.database, "deploygate")) as cluster:
            managed_drills(cluster, bounds.managed_failover, bounds.load, "lab-patroni")
        yield running


@pytest.fixture(scope="module")
def healthy(lab: Lab, run_gate: Callable) -> Callable[..., dict[str, str]]:
    """The verdicts of that lab when nothing is broken."""
    return when_healthy(lab, run_gate)


@pytest.mark.parametrize("broken", of_part("patroni"))
def test_fault_changes_exactly_what_it_declares(
    broken: Sequence[faults.Fault], lab: Lab, healthy: Callable, run_gate: Callable
) -> None:
    changes_exactly_what_it_declares(broken, lab, healthy, run_gate)


def test_lab_is_healthy_after_all_faults(lab: Lab, healthy: Callable, run_gate: Callable) -> None:
    scope, options = all_of(MANAGED)
    is_as_before(scope, lab, healthy, run_gate, options)
