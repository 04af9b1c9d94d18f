"""Observes; never sees a limit."""

from __future__ import annotations

from pytest_deploygate.checks.backups.probe.archiving import archive_marker
from pytest_deploygate.checks.backups.probe.drill import rehearsed, restore_drill
from pytest_deploygate.checks.backups.probe.seen import repository, verified
from pytest_deploygate.checks.backups.probe.trial import take_backup

__all__ = ["archive_marker", "rehearsed", "repository", "restore_drill", "take_backup", "verified"]
