"""What the checks of this subject must be granted."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_deploygate.fields.grants import BesideSql, Need
from pytest_deploygate.fields.handed import Sections


def needs(sections: Sections) -> Iterator[Need]:
    """Yield what the sections that the inventory has need."""
    if sections.get("backup_job"):
        yield BesideSql(
            ("phase2.backup-jobs",), "a shell that reads crontab or timer and the record of the last run"
        )
