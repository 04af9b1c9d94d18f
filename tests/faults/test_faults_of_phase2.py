"""Every fault of phase 2's items changes exactly the items that it declares, to the verdict that it declares."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from faults.breaking import (
    changes_exactly_what_it_declares,
    everything,
    is_as_before,
    of_part,
)
from pytest_deploygate.lab import faults
from pytest_deploygate.lab.state import Lab


@pytest.mark.parametrize("broken", of_part("phase2"))
def test_fault_changes_exactly_what_it_declares(
    broken: Sequence[faults.Fault], lab: Lab, healthy: Callable, run_gate: Callable
) -> None:
    changes_exactly_what_it_declares(broken, lab, healthy, run_gate)


@pytest.mark.long  # the runs of later faults would show what an earlier one left
def test_lab_is_healthy_after_all_faults(lab: Lab, healthy: Callable, run_gate: Callable) -> None:
    is_as_before(everything("phase2"), lab, healthy, run_gate)
