"""Every row that was migrated is compared on both sides."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.comparison import judge, probe


@pytest.mark.item("phase4.integrity")
def test_every_row_is_equal(gate, postgres, migration):
    """Every row of every table is equal on source and target, by checksums that both servers compute."""
    gate.judge(judge.judge, probe.compared(postgres, migration), migration)
