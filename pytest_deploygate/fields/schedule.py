"""How an inventory describes where a recurring job is scheduled and where its last run is recorded."""

from typing import Literal, Self

from pydantic import Field, model_validator

from pytest_deploygate.fields.types import FilePath, Section


class Schedule(Section):
    """Where a recurring job is scheduled. Exactly one of the three."""

    exactly_one = ("crontab", "systemd_timer", "pg_cron")

    crontab: FilePath | None = Field(
        default=None, description="crontab file (five time fields and a command)"
    )
    command: str | None = Field(default=None, description="text that the crontab's command contains")
    systemd_timer: str | None = Field(default=None, description="systemd timer unit")
    pg_cron: str | None = Field(default=None, description="pg_cron job name")
    host: str = Field(
        default="local://",
        description="connection of the host where the crontab or timer is, e.g. ssh://backup1",
    )

    @model_validator(mode="after")
    def _line_of_crontab(self) -> Self:
        if self.crontab is not None and not self.command:
            raise ValueError("`crontab` needs `command`: text that only the job's line contains")
        return self


class LastRun(Section):
    """Where a job's last run is recorded. Exactly one."""

    exactly_one = ("pgbackrest", "status_file", "systemd_service", "pg_cron")

    pgbackrest: str | None = Field(default=None, description="pgBackRest stanza; its newest backup counts")
    pgbackrest_config: FilePath | None = Field(default=None, description="pgBackRest's configuration file")
    pgbackrest_type: Literal["full", "diff", "incr"] | None = Field(
        default=None, description="type of backup that counts; default: any"
    )
    status_file: FilePath | None = Field(
        default=None, description='JSON that the job writes: {"finished": ISO time, "exit_code": 0, …}'
    )
    systemd_service: str | None = Field(default=None, description="service that the timer starts")
    pg_cron: str | None = Field(default=None, description="pg_cron job name, read from cron.job_run_details")
