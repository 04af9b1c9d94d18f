"""Reports that the platform generates."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.reports import judge, probe


@pytest.mark.item("crit.reports")
def test_report(gate, generated_report, postgres):
    """Each file of the report is complete, and its rows and totals are those of the database."""

    def read():
        return probe.generated(generated_report, postgres)

    gate.judge_confirmed(judge.judge, read(), read, generated_report)
