"""Backups: the repository, continuous archiving, a real restore, and the backups of the day."""

from __future__ import annotations

import pytest

from pytest_deploygate.checks.backups import judge, probe


@pytest.mark.item("infra.backup-system", "phase1.backup")
def test_backup_repository(gate, backups):
    """The tool has a recent full backup, encrypted, with a retention and room for the next."""
    gate.judge(judge.judge_repository, probe.repository(backups), backups.criteria, target="repository")


@pytest.mark.item("db.continuous-backup")
def test_wal_is_archived(gate, postgres, backups):
    """A marker's WAL segment reaches the archive in time; none since the last full backup is missing."""
    gate.judge(judge.judge_archiving, probe.archive_marker(postgres, backups), backups.criteria)


@pytest.mark.item("db.restore")
def test_newest_backup_restores(gate, postgres, backups, budget):
    """The newest backup, restored and recovered to a marker written just before, equals its source."""
    gate.judge(judge.judge_restore, probe.restore_drill(postgres, backups, budget), backups.criteria)


@pytest.mark.item("infra.disaster-recovery")
def test_disaster_recovery_was_rehearsed(gate, backups):
    """The last rehearsal is recent, and its measured RTO and RPO are within the objectives."""
    gate.judge(judge.judge_rehearsal, probe.rehearsed(backups), backups.criteria)


# The restore point of the day is created again at phase4.start, after the freeze.
@pytest.mark.item("day.final-backup")
def test_final_backup(gate, backups):
    """A full backup of this morning exists and verifies."""
    gate.judge(judge.judge_final, probe.verified(backups, full=True), backups.criteria)


@pytest.mark.item("phase1.backup")
def test_small_backup_completes(gate, backups, budget):
    """A small backup, taken now, completes and is in the repository."""
    gate.judge(judge.judge_trial, probe.take_backup(backups, budget), backups.criteria, target="small backup")


@pytest.mark.item("after.backup")
def test_backup_of_the_night(gate, backups):
    """The night's backup exists and verifies."""
    gate.judge(judge.judge_night, probe.verified(backups, full=False), backups.criteria)
