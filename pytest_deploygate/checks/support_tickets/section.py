"""The inventory's `support_tickets`: the tracker, how it is asked for each severity, and how many there may be."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from pytest_deploygate.fields.http import HttpAccess, Url
from pytest_deploygate.fields.types import Duration, FilePath, Given, InventoryKeys, SecretReference, Section

System = Literal["jira-cloud", "jira", "github", "gitlab", "servicenow"]


class TicketSeverity(Section):
    """One severity: how the tracker is asked for its tickets, and how many there may be."""

    name: str = Field(min_length=1, description="name used in findings, such as blocker")
    filter: str = Field(
        default="",
        description="in the tracker's own words: JQL, GitHub's search, labels of GitLab, an encoded query of ServiceNow",
    )
    most: int | None = Field(
        default=None,
        ge=0,
        json_schema_extra={"weaker": "larger"},
        description="how many there may be since go-live; left out: it is compared with the baseline",
    )


class SupportTickets(HttpAccess):
    """Tickets since go-live, and the same hours before."""

    system: System | None = Field(default=None, description="the tracker")
    url: Url | None = Field(
        default=None, description="its address, e.g. https://api.github.com or https://jira.example.com"
    )
    project: str = Field(
        default="",
        description="key of the Jira project, `owner/name` at GitHub, id or path at GitLab; table at ServiceNow (incident)",
    )
    private_token: SecretReference | None = Field(
        default=None, description="GitLab: reference to a token, sent as PRIVATE-TOKEN"
    )
    file: FilePath | None = Field(
        default=None,
        description='instead of a tracker: a JSON file `{"at": "2026-12-02T08:00:00Z", "since": {"blocker": 0}, "before": {"blocker": 1}}`',
    )
    hook: str | None = Field(
        default=None, description="instead of a tracker: a command that prints such JSON"
    )
    since: datetime | None = Field(
        default=None,
        description="go-live, ISO 8601 with a zone; left out: 22:00 on the day of `timetable.t0`",
    )
    severities: list[TicketSeverity] = Field(min_length=1, description="severities, worst first")
    before: Duration = Field(
        default=timedelta(days=7), description="the baseline: the same hours this long ago"
    )
    factor: float = Field(
        default=1.5,
        ge=1,
        json_schema_extra={"weaker": "larger"},
        description="how many times the baseline there may be",
    )
    more: int = Field(
        default=3,
        ge=0,
        json_schema_extra={"weaker": "larger"},
        description="how many more than that there may be, as a baseline of none would allow none",
    )
    fresh: Duration = Field(
        default=timedelta(hours=2),
        json_schema_extra={"weaker": "larger"},
        description="how old the answer of a file may be",
    )

    @field_validator("since", mode="before")
    @classmethod
    def _go_live_has_a_zone(cls, value: object) -> datetime | None:
        if value is None:
            return None
        try:
            found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        except ValueError:
            raise ValueError(f"{value} is not a time; write for example 2026-12-01T22:00:00Z") from None
        if found.tzinfo is None:
            raise ValueError(f"{value} has no time zone; write for example 2026-12-01T22:00:00Z, in quotes")
        return found.astimezone(UTC)

    @model_validator(mode="after")
    def _tickets_have_one_source(self) -> Self:
        if sum(one is not None for one in (self.system, self.file, self.hook)) != 1:
            raise ValueError("say with exactly one of `system`, `file`, `hook` where tickets are counted")
        if self.system and self.url is None:
            raise ValueError(f"`system: {self.system}` needs the `url` of the tracker")
        if self.system and self.system != "servicenow" and not self.project:
            raise ValueError(f"`system: {self.system}` needs the `project`")
        names = [one.name for one in self.severities]
        if twice := next((name for name in names if names.count(name) > 1), ""):
            raise ValueError(f"two severities are named {twice!r}")
        return self


class Keys(InventoryKeys):
    """The key `support_tickets`."""

    support_tickets: Annotated[
        SupportTickets | None,
        Given(
            "support_tickets",
            "support_tickets: {system: jira, url: …, project: SUP, severities: [{name: blocker, filter: priority = Blocker, most: 0}]}",
        ),
    ] = Field(default=None, description="support tickets since go-live")
