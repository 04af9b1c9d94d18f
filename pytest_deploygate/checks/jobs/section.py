"""The inventory's `database.backups` section: scheduled backups."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from pytest_deploygate.fields.schedule import LastRun, Schedule
from pytest_deploygate.fields.types import DatabaseKeys, Duration, Each, Section


class BackupJob(Section):
    """A scheduled backup: its schedule and its last run."""

    name: str = Field(description="name used in findings")
    schedule: Schedule = Field(description="where it is scheduled")
    last_run: LastRun = Field(description="where its last run is recorded")
    slack: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(hours=2),
        description="how long after its scheduled time a run may finish",
    )


class InDatabase(DatabaseKeys):
    """The key `database.backups`."""

    backups: Annotated[
        list[BackupJob] | None, Each("backup_job", "backups: [{name: nightly, schedule: {…}, last_run: {…}}]")
    ] = Field(default=None, min_length=1, description="scheduled backups")
