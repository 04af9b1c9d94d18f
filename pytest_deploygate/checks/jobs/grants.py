"""Privileges that the checks of this subject need."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_deploygate.fields.grants import BesideSql, Need
from pytest_deploygate.fields.handed import Sections


def needs(sections: Sections) -> Iterator[Need]:
    """Yield what the inventory's sections need."""
    if sections.get("backup_job"):
        yield BesideSql(
            ("phase2.backup-jobs",),
            "a shell that can read the crontab or timer and the record of the last run",
        )
