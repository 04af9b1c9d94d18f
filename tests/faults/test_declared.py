"""What faults declare, without a lab: every test that is bound to an item is named by a fault that turns it red."""

from __future__ import annotations

import pytest

from faults.breaking import (
    ALL,
    BOUND,
    BOUND_TESTS,
    MANAGED,
    PHASE2,
    bound_to,
    each_time,
    needs_quiet,
    not_good,
    turned_red_by,
)
from pytest_deploygate.lab.faults import Fault
from pytest_deploygate.session import shipped


def test_every_bound_test_is_turned_red_by_a_fault() -> None:
    """A test that was never seen red may be one that cannot fail."""
    named = {test for fault in ALL.values() for test in turned_red_by(fault)}
    assert named >= BOUND_TESTS.keys(), f"no fault turns these red: {sorted(BOUND_TESTS.keys() - named)}"


def test_functions_of_the_suites_have_names_of_their_own() -> None:
    """Faults name them without their file."""
    names = [function.test.rpartition("::")[2] for function in shipped.functions()]
    assert sorted(names) == sorted(BOUND_TESTS)


def test_every_bound_item_has_a_fault() -> None:
    """An item with a test that was never seen red does not count as checked."""
    faulted = {item for fault in ALL.values() for item in fault.items}
    assert faulted >= BOUND, f"no fault turns these red: {sorted(BOUND - faulted)}"


def test_every_item_of_phase_2_has_two_faults() -> None:
    faulted = [item for fault in ALL.values() for item in fault.items]
    assert {item: faulted.count(item) >= 2 for item in PHASE2} == dict.fromkeys(PHASE2, True)


def test_every_item_is_turned_red_each_time() -> None:
    """By a fault that `bin/test` tries, or by one that needs a quiet machine.

    Those of Patroni are seen each time by tests/checks/patroni, without the rest of the lab.
    """
    tried = [
        fault
        for fault in ALL.values()
        if fault.name in each_time() or needs_quiet(fault) or fault.inventory == MANAGED
    ]
    assert {item for fault in tried for item in fault.items} >= BOUND


@pytest.mark.parametrize("fault", [pytest.param(fault, id=fault.name) for fault in ALL.values()])
def test_a_fault_names_a_test_for_each_of_its_items(fault: Fault) -> None:
    """And only tests of the suites that are bound to one of its items."""
    assert {
        test for test in turned_red_by(fault) if not set(BOUND_TESTS.get(test, ())) & set(fault.items)
    } == set()
    silent = {item for item in fault.items if not turned_red_by(fault) & set(bound_to(item))}
    assert silent == set(), "several tests are bound to these: say in `tests` which ones the fault turns red"


def test_a_red_finding_is_told_from_its_neighbours() -> None:
    """By its test function, whatever its parameters are."""
    targets = [
        {"test": "suites/test_dns.py::test_zone[lab.test]", "verdict": "fail"},
        {"test": "suites/test_dns.py::test_name", "verdict": "pass"},
        {"test": "suites/test_dns.py::test_switched", "verdict": "not_applicable"},
        {"test": "suites/test_tls.py::TestAll::test_tls", "verdict": "inconclusive"},
    ]
    assert not_good({"infra.dns-failover": {"targets": targets}}) == {"test_zone", "test_tls"}
