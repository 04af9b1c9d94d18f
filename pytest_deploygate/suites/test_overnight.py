"""The night's series are inside their bands."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.overnight import judge, probe


@pytest.mark.item("after.overnight")
def test_overnight_metrics(gate, prometheus, overnight):
    """The named series were inside their bands all night, without gaps."""
    gate.judge(judge.judge, probe.night(prometheus, overnight), overnight)
