"""Scheduled jobs: each is scheduled, ran, and succeeded."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.jobs import judge, probe


@pytest.mark.item("phase2.backup-jobs")
def test_backup_job(gate, postgres, backup_job):
    """The backup is scheduled and switched on; its last run succeeded and is as recent as the schedule requires."""
    gate.judge(judge.judge, probe.job(postgres, backup_job), backup_job)
