"""Scheduled backups as the inventory names them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from pytest_deploygate.fields.schedule import LastRun, Schedule
from pytest_deploygate.fields.types import DatabaseKeys, Duration, Each, Section


class BackupJob(Section):
    """A scheduled backup: that it is scheduled, that it ran, that it succeeded."""

    name: str = Field(description="how findings call it")
    schedule: Schedule = Field(description="where it is scheduled")
    last_run: LastRun = Field(description="where its last run is recorded")
    slack: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(hours=2),
        description="how much later than scheduled a run may have finished",
    )


class InDatabase(DatabaseKeys):
    """The key `database.backups`."""

    backups: Annotated[
        list[BackupJob] | None, Each("backup_job", "backups: [{name: nightly, schedule: {…}, last_run: {…}}]")
    ] = Field(default=None, min_length=1, description="scheduled backups")
