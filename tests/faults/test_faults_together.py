"""Several faults of the lab's own inventory at a time, as few runs as turn every item red; and what only looks like a fault."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from faults.breaking import (
    Harmless,
    changes_exactly_what_it_declares,
    changes_nothing,
    harmless,
    together,
)
from pytest_deploygate.lab import faults
from pytest_deploygate.lab.state import Lab

#: The first test also waits for the lab and for the healthy run that all others are compared with.
pytestmark = pytest.mark.timeout(600)

PARTS = ("security", "infrastructure", "phase2", "others")


@pytest.mark.parametrize("broken", together(*PARTS))
def test_faults_change_exactly_what_they_declare(
    broken: Sequence[faults.Fault], lab: Lab, healthy: Callable, run_gate: Callable
) -> None:
    changes_exactly_what_it_declares(broken, lab, healthy, run_gate, *PARTS)


@pytest.mark.parametrize("one", harmless())
def test_what_is_harmless_stays_green(one: Harmless, lab: Lab, healthy: Callable, run_gate: Callable) -> None:
    changes_nothing(one, lab, healthy, run_gate, *PARTS)
