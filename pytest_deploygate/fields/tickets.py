"""How an inventory names the systems that keep change tickets."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from pytest_deploygate.fields.http import HttpAccess, Url
from pytest_deploygate.fields.types import Duration, Size

System = Literal["servicenow", "jira", "github", "gitlab"]
#: What a ticket's key looks like, with an example. A key becomes part of addresses, queries and file names.
_KEYS: Mapping[str, tuple[str, str]] = {
    "servicenow": (r"[A-Z]{2,10}[0-9]{3,20}", "CHG0030001"),
    "jira": (r"[A-Z][A-Z0-9_]{0,30}-[0-9]{1,12}", "OPS-42"),
    "github": (r"[1-9][0-9]{0,11}", "42"),
    "gitlab": (r"[1-9][0-9]{0,11}", "42"),
}
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,60}")
_CLOUD = ".atlassian.net"


class Tracker(HttpAccess):
    """One system with change tickets: where it is, how to log in, and what its tickets say of a change."""

    system: System = Field(description="servicenow, jira, github or gitlab")
    name: str = Field(
        default="",
        pattern=r"^[a-z][a-z0-9-]{0,30}$|^$",
        description="name for `--ticket NAME:KEY`; left out: that of the system",
    )
    url: Url = Field(
        description=(
            "base address: https://example.service-now.com, https://example.atlassian.net, https://api.github.com "
            "(GitHub Enterprise Server: https://HOST/api/v3), https://gitlab.example.com"
        )
    )
    project: str = Field(
        default="", description="repository (`owner/name`) of GitHub, or project (id or path) of GitLab"
    )
    table: str = Field(
        default="change_request", pattern=r"^[a-z][a-z0-9_]{0,79}$", description="table of ServiceNow"
    )
    deployment: Literal["cloud", "data-center", ""] = Field(
        default="", description="of Jira; left out: cloud for *.atlassian.net, else data-center"
    )
    ticket: str = Field(
        default="",
        description="key of the ticket in which the change's state is read; left out: the change's id",
    )
    largest: Size | None = Field(
        default=None, description="largest file to attach, if the system allows less than it says"
    )
    timeout: Duration = Field(default=timedelta(seconds=15), description="response timeout, without uploads")
    settle: Duration = Field(
        default=timedelta(seconds=20),
        description="how long an upload that broke off may still appear in the ticket; before that it is not repeated",
    )
    patience: Duration = Field(
        default=timedelta(seconds=60), description="longest wait that a rate limit may ask for, in all"
    )
    approved: list[str] = Field(
        default=[],
        description=(
            "statuses (Jira) or labels (GitHub, GitLab) of an approved change; ServiceNow: values of `approval`, "
            "left out: approved"
        ),
    )
    scheduled: list[str] = Field(
        default=[],
        description=(
            "statuses or labels of a change that may be carried out; ServiceNow: values of `state`, left out: "
            "Scheduled and Implement"
        ),
    )
    start_field: str = Field(
        default="", description="Jira's field with the planned start, e.g. customfield_10051"
    )
    end_field: str = Field(default="", description="Jira's field with the planned end")

    instead_of_project: ClassVar[str] = "write for example `project: acme/shop`"

    @field_validator("start_field", "end_field")
    @classmethod
    def _a_field(cls, value: str) -> str:
        if value and not _FIELD.fullmatch(value):
            raise ValueError(f"{value!r} is not a field of Jira; write for example customfield_10051")
        return value

    @field_validator("url")
    @classmethod
    def _a_base_without_final_slash(cls, url: str) -> str:
        if "?" in url or "#" in url:
            raise ValueError("a base address has no `?` and no `#`")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _fits_the_system(self) -> Self:
        if self.system == "github" and not re.fullmatch(r"[\w.-]+/[\w.-]+", self.project):
            raise ValueError(f"GitHub needs `project`, the repository: {self.instead_of_project}")
        if self.system == "gitlab" and not re.fullmatch(r"[\w.-]+(/[\w.-]+)*", self.project):
            raise ValueError(f"GitLab needs `project`, an id or a path: {self.instead_of_project}")
        if bool(self.start_field) != bool(self.end_field):
            raise ValueError("a window has two ends: set both `start_field` and `end_field`")
        if self.ticket and (why := self.not_a_key(self.ticket)):
            raise ValueError(why)
        if self.login is None:
            raise ValueError(
                "a tracker needs a login: `token: env:NAME`, or `auth` with `user` and `password` (Jira Cloud: the "
                "mail address and an API token)"
            )
        return self

    @property
    def called(self) -> str:
        """Its name in `--ticket NAME:KEY`."""
        return self.name or self.system

    @property
    def cloud(self) -> bool:
        """Whether Jira is Atlassian's own service, whose version 3 of the API has documents as comments."""
        if self.deployment:
            return self.deployment == "cloud"
        host = self.url.partition("://")[2].partition("/")[0].partition(":")[0]
        return host.endswith(_CLOUD)

    def not_a_key(self, key: str) -> str:
        """Say why a text cannot be the key of a ticket here; empty if it can."""
        pattern, example = _KEYS[self.system]
        if re.fullmatch(pattern, key):
            return ""
        return (
            f"{key!r} is not the key of a ticket of {self.called}; write for example {self.called}:{example}"
        )


def ticket_of(trackers: list[Tracker], change: str) -> str:
    """Return how `--ticket` names a change's own ticket, with KEY in place of a key that is not known; empty without trackers."""
    if not trackers:
        return ""
    first = trackers[0]
    key = first.ticket or change
    return f"{first.called}:{'KEY' if first.not_a_key(key) else key}"
