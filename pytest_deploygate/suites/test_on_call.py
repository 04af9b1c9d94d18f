"""Who is on call."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.on_call import judge, probe


@pytest.mark.item("day.support")
def test_somebody_is_on_call(gate, on_call, contacts):
    """Until the end of the window somebody is on call at every time, and is in the contact list."""
    gate.judge(judge.judge, probe.read(on_call), contacts)
