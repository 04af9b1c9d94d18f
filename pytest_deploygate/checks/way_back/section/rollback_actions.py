"""Built-in actions of a runbook step besides DNS and HAProxy: restore a database, redeploy, maintenance page."""

import re
from datetime import datetime, timedelta
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from pytest_deploygate.fields.http import HttpAccess, Statuses, Texts, Url
from pytest_deploygate.fields.types import Duration, FilePath, OptionalText, Section, Size

#: A time that is not written down but is that of the cutover.
CUTOVER = "cutover"


class DatabaseRestore(Section):
    """Restore the database cluster to a moment, from the backups of the section `backup`, in place of the current one.

    The current data is kept under a dated name. The restored data is first recovered and shut down cleanly in a separate
    folder; only then the server is stopped, the folders are swapped, and it is started again.
    """

    exactly_one = ("point", "time")
    instead = "set the moment: `point: NAME` (pg_create_restore_point) or `time: 2026-12-01T21:58:00Z`"

    point: str | None = Field(
        default=None,
        description="restore point that the deployment made (pg_create_restore_point); {change} is replaced",
    )
    time: str | None = Field(
        default=None, description="moment, ISO 8601 with an offset; or `cutover`, the time of the cutover"
    )
    data: FilePath = Field(description="data folder of the primary")
    stop: str = Field(description="command that stops the server, e.g. systemctl stop postgresql@15-main")
    start: str = Field(description="command that starts it")
    host: str = Field(
        default="local://", description="connection of the host of the primary, e.g. ssh://db1.example.com"
    )
    user: OptionalText = Field(
        default=None, description="OS user that the server runs as, not root; left out: `backup.user`"
    )
    programs: FilePath | None = Field(
        default=None, description="folder with postgres, pg_ctl and psql; left out: searched for"
    )
    config: FilePath | None = Field(
        default=None, description="postgresql.conf, if it is not in the data folder"
    )
    spare: Size = Field(
        default=1024**3, description="space that must stay free: old and new data are kept side by side"
    )

    @field_validator("time")
    @classmethod
    def _a_moment(cls, time: str | None) -> str | None:
        if time is None or time == CUTOVER:
            return time
        try:
            found = datetime.fromisoformat(time)
        except ValueError:
            raise ValueError(f"{time!r} is not a time; write 2026-12-01T21:58:00Z, or `cutover`") from None
        if found.tzinfo is None:
            raise ValueError(f"{time!r} has no offset; write for example {time}Z")
        return time

    @field_validator("point")
    @classmethod
    def _a_name(cls, point: str | None) -> str | None:
        if point is not None and not re.fullmatch(r"[A-Za-z0-9._{}-]{1,63}", point):
            raise ValueError("the name of a restore point has letters, digits, dots, dashes and underscores")
        return point


class Kubernetes(Section):
    """A Deployment whose rollout is undone. `image` is the old one: a second undo would bring the new one back."""

    deployment: str = Field(description="name of the Deployment")
    image: str = Field(description="image of the old version, expected afterwards")
    container: str | None = Field(default=None, description="its container; left out: the first")
    namespace: str = Field(default="default", description="namespace")
    context: str | None = Field(default=None, description="context of kubectl's configuration")
    revision: int | None = Field(
        default=None, ge=1, description="revision of the old version; left out: the previous one"
    )


class Docker(Section):
    """A service of a swarm, or of a Compose project, with the image of the old version."""

    exactly_one = ("service", "compose")

    service: str | None = Field(default=None, description="service of a swarm")
    compose: FilePath | None = Field(default=None, description="Compose file")
    services: list[str] = Field(default=[], description="with `compose`: the services to recreate")
    variable: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="with `compose`: variable of the file that holds the image",
    )
    image: str = Field(description="image of the old version")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.compose is not None and (not self.services or not self.variable):
            raise ValueError(
                "`compose` needs `services` and `variable` (the variable of the file that holds the image)"
            )
        return self


class Systemd(Section):
    """Units that run the release behind a link: the link is switched to the old release, the units are restarted."""

    units: list[str] = Field(min_length=1, description="units, e.g. app.service")
    link: str = Field(description="link to the release in use, e.g. /srv/app/current")
    to: str = Field(description="folder of the old release, e.g. /srv/app/releases/1.4.2")


class Redeploy(Section):
    """Redeploy the old version of the application."""

    exactly_one = ("kubernetes", "docker", "systemd", "command")
    instead = "set how it is deployed: one of `kubernetes`, `docker`, `systemd`, `command`"

    kubernetes: Kubernetes | None = Field(default=None, description="`kubectl rollout undo`")
    docker: Docker | None = Field(default=None, description="`docker service update` or `docker compose up`")
    systemd: Systemd | None = Field(default=None, description="a link to the release, and units")
    command: str | None = Field(default=None, description="command that deploys the old version")
    check: str | None = Field(
        default=None, description="with `command`: command that exits with 0 if the old version runs"
    )
    hosts: list[str] = Field(
        default=["local://"],
        min_length=1,
        description="connections; if one fails, the rest stay as they are",
    )

    @model_validator(mode="after")
    def _checked(self) -> Self:
        if (self.command is None) != (self.check is None):
            raise ValueError(
                "`command` and `check` belong together: the deployment, and the check that it runs"
            )
        return self


class MaintenancePage(HttpAccess):
    """A flag file that makes the web server answer with its maintenance page (`if (-f FLAG) { return 503; }`)."""

    state: Literal["on", "off"] = Field(description="the desired state")
    flag: FilePath = Field(description="the file whose existence switches it on")
    url: Url = Field(description="address that shows the page while it is on (503 with Retry-After)")
    status: Statuses = Field(
        default=[200], description="HTTP status while the page is off, or a list of them"
    )
    contains: Texts = Field(default=[], description="text that the page contains, or a list of such texts")
    timeout: Duration = Field(default=timedelta(seconds=5), description="time limit of an answer")
    hosts: list[str] = Field(default=["local://"], min_length=1, description="connections of the web servers")
