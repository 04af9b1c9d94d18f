"""What a step of the runbook can do by itself beside DNS and HAProxy: database back, old version back, maintenance page."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from pytest_deploygate.fields.http import HttpAccess, Statuses, Texts, Url
from pytest_deploygate.fields.types import Duration, FilePath, OptionalText, Section, Size

#: A time that is not written down but follows from the cutover.
CUTOVER = "cutover"


class DatabaseRestore(Section):
    """The database cluster as it was at one moment, from the backups of the section `backup`, in the place of what is there.

    What is there now is kept aside under a dated name. The restored data is recovered and shut down cleanly beside it
    first; only then the server is stopped, the folders change places, and it is started again.
    """

    exactly_one = ("point", "time")
    instead = "say to which moment: `point: NAME` (pg_create_restore_point) or `time: 2026-12-01T21:58:00Z`"

    point: str | None = Field(
        default=None,
        description="restore point that the deployment made (pg_create_restore_point); {change} is replaced",
    )
    time: str | None = Field(
        default=None, description="moment, ISO 8601 with an offset; or `cutover`, when the new side took over"
    )
    data: FilePath = Field(description="data folder of the primary")
    stop: str = Field(description="command that stops the server, e.g. systemctl stop postgresql@15-main")
    start: str = Field(description="command that starts it")
    host: str = Field(
        default="local://", description="testinfra host of the primary, e.g. ssh://db1.example.com"
    )
    user: OptionalText = Field(
        default=None, description="OS user that the server runs as, not root; left out: `backup.user`"
    )
    programs: FilePath | None = Field(
        default=None, description="folder with postgres, pg_ctl and psql; left out: looked for"
    )
    config: FilePath | None = Field(
        default=None, description="postgresql.conf, where it is not in the data folder"
    )
    spare: Size = Field(
        default=1024**3, description="space that must stay free: the old data stays, and the new comes to it"
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
            raise ValueError("a restore point has a name of letters, digits, dots, dashes and underscores")
        return point


class Kubernetes(Section):
    """A Deployment whose rollout is undone. `image` is the old one: a second undo would bring the new one back."""

    deployment: str = Field(description="name of the Deployment")
    image: str = Field(description="image of the old version, as it must stand there afterwards")
    container: str | None = Field(default=None, description="its container; left out: the first")
    namespace: str = Field(default="default", description="namespace")
    context: str | None = Field(default=None, description="context of kubectl's configuration")
    revision: int | None = Field(
        default=None, ge=1, description="revision of the old version; left out: the one before"
    )


class Docker(Section):
    """A service of a swarm, or of a Compose project, with the image of the old version."""

    exactly_one = ("service", "compose")

    service: str | None = Field(default=None, description="service of a swarm")
    compose: FilePath | None = Field(default=None, description="Compose file")
    services: list[str] = Field(default=[], description="with `compose`: the services to start anew")
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
    """Units on hosts that run what a link leads to: the link is switched to the old release, the units restarted."""

    units: list[str] = Field(min_length=1, description="units, e.g. app.service")
    link: str = Field(description="link that names the release in use, e.g. /srv/app/current")
    to: str = Field(description="folder of the old release, e.g. /srv/app/releases/1.4.2")


class Redeploy(Section):
    """The old version of the application, brought up again."""

    exactly_one = ("kubernetes", "docker", "systemd", "command")
    instead = "say how it is deployed: one of `kubernetes`, `docker`, `systemd`, `command`"

    kubernetes: Kubernetes | None = Field(default=None, description="`kubectl rollout undo`")
    docker: Docker | None = Field(default=None, description="`docker service update` or `docker compose up`")
    systemd: Systemd | None = Field(default=None, description="a link to the release, and units")
    command: str | None = Field(default=None, description="command that deploys the old version")
    check: str | None = Field(
        default=None, description="with `command`: command that ends with 0 where the old version runs"
    )
    hosts: list[str] = Field(
        default=["local://"],
        min_length=1,
        description="testinfra hosts; one that fails keeps the rest as they are",
    )

    @model_validator(mode="after")
    def _checked(self) -> Self:
        if (self.command is None) != (self.check is None):
            raise ValueError(
                "`command` and `check` belong together: what deploys, and what tells that it runs"
            )
        return self


class MaintenancePage(HttpAccess):
    """A flag file that makes the web server answer with its maintenance page (`if (-f FLAG) { return 503; }`)."""

    state: Literal["on", "off"] = Field(description="what is wanted")
    flag: FilePath = Field(description="the file that switches it on by being there")
    url: Url = Field(description="address that shows the page while it is on (503 with Retry-After)")
    status: Statuses = Field(
        default=[200], description="HTTP status that it answers with while the page is off, or a list of them"
    )
    contains: Texts = Field(default=[], description="text that the page contains, or a list of such texts")
    timeout: Duration = Field(default=timedelta(seconds=5), description="how long an answer may take")
    hosts: list[str] = Field(
        default=["local://"], min_length=1, description="testinfra hosts of the web servers"
    )
