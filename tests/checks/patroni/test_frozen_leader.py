"""A leader of Patroni that was frozen and goes on: a lab of its own, since Patroni 3.0 does not recover from it."""

from __future__ import annotations

import pytest
from test_with_patroni import drilled, lab

from pytest_deploygate.lab.state import Lab
from pytest_deploygate.model import Verdict

__all__ = ["lab"]


@pytest.mark.long
def test_a_frozen_leader_that_goes_on_is_red(lab: Lab) -> None:
    """It takes writes beside the new leader until its Patroni has looked. Patroni 3.0.2 then promotes nobody any more."""
    hung = {
        "fault": "frozen",
        "do": "deploygate lab patroni freeze {node}",
        "undo": "deploygate lab patroni mend {node}",
    }
    ran, judged = drilled("frozen", faults=[hung])
    assert judged.verdict is Verdict.FAIL, ran
    assert ran.facts.missing == 0
    assert ran.facts.two_writable or "noted no synchronous standby" in ran.reason
