"""The inventory's `handover`: documents, briefings and improvements, by the item of the checklist that they belong to."""

from datetime import UTC, date, datetime
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from pytest_deploygate.fields.http import HttpAccess, Texts, Url
from pytest_deploygate.fields.lists import from_file
from pytest_deploygate.fields.types import FilePath, Given, InventoryKeys, Section, Words
from pytest_deploygate.fields.validating import Before

#: Who must be at a briefing where the inventory does not say; for others both sides must.
TEAM = ("deployment-lead", "database-admin", "security-lead", "operations-manager", "customer-success")
DEFAULTS = {"day.briefing": TEAM, "stab.support-brief": ("deployment-lead", "customer-success")}


class Document(HttpAccess):
    """A document that is handed over."""

    item: Literal["stab.documentation", "hand.documentation", "hand.runbook"] = Field(
        description="item of the checklist"
    )
    name: str = Field(min_length=1, description="name used in findings")
    url: Url | None = Field(default=None, description="its address")
    file: FilePath | None = Field(default=None, description="a file of the repository, instead of `url`")
    owner: Words = Field(min_length=2, description="role that answers for it")
    says: Texts = Field(default=[], description="text that it contains, or a list of such texts")
    changed: date | None = Field(
        default=None, description="day of its last change, where neither its server nor git says it"
    )

    @model_validator(mode="after")
    def _document_has_one_place(self) -> Self:
        if (self.url is None) == (self.file is None):
            raise ValueError(f"the document {self.name} needs exactly one of `url`, `file`")
        return self


class Briefing(Section):
    """A briefing: when it was, who led it, and which roles were present."""

    item: Literal["day.briefing", "stab.support-brief", "hand.briefing", "hand.knowledge"] = Field(
        description="item of the checklist"
    )
    at: datetime = Field(description="when it was, ISO 8601 with a zone")
    led_by: Words = Field(min_length=2, description="role that led it")
    present: list[str] = Field(default=[], description="roles that were present")
    roles: list[str] = Field(
        default=[],
        json_schema_extra={"weaker": "any"},
        description="roles that had to be; left out: the five contacts for the team's briefing, customer success for the "
        "support's, both sides for the others",
    )

    @field_validator("at", mode="before")
    @classmethod
    def _briefing_has_a_time(cls, value: object) -> datetime:
        try:
            found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        except ValueError:
            raise ValueError(f"{value} is not a time; write for example 2026-12-01T06:00:00Z") from None
        if found.tzinfo is None:
            raise ValueError(f"{value} has no time zone; write for example 2026-12-01T06:00:00Z, in quotes")
        return found.astimezone(UTC)


class Improvement(Section):
    """Something to do better, with the ticket that nobody can forget."""

    what: Words = Field(min_length=3, description="what is to be improved")
    owner: Words = Field(min_length=2, description="role that sees to it")
    ticket: str = Field(default="", description="key of its ticket (OPS-17, #42), or its address")


class Handover(Section):
    """What is handed over, from whom to whom."""

    gives: str = Field(default="deployment-lead", min_length=2, description="role that hands over")
    receives: str = Field(default="operations-manager", min_length=2, description="role that takes over")
    since: date | None = Field(
        default=None,
        json_schema_extra={"weaker": "smaller"},
        description="day from which documents and briefings count; left out: a week before `timetable.t0`",
    )
    documents: Annotated[list[Document], Before(from_file)] = Field(
        default=[], description="documents, or the path of a YAML file with them"
    )
    briefings: Annotated[list[Briefing], Before(from_file)] = Field(
        default=[], description="briefings, or the path of a YAML file with them"
    )
    improvements: Annotated[list[Improvement], Before(from_file)] = Field(
        default=[], description="improvements, or the path of a YAML file with them"
    )
    tracker: Url | None = Field(
        default=None,
        description="address of a ticket with `{key}` for its key; each is then asked for",
    )
    tracker_access: HttpAccess = Field(default=HttpAccess(), description="how the tracker is reached")

    @model_validator(mode="after")
    def _sides_differ(self) -> Self:
        if self.gives == self.receives:
            raise ValueError("`gives` and `receives` must be different roles")
        if self.tracker and "{key}" not in self.tracker:
            raise ValueError("`tracker` needs `{key}` where the key of a ticket stands")
        return self

    def required(self, briefing: Briefing) -> list[str]:
        """The roles that had to be at a briefing."""
        return briefing.roles or list(DEFAULTS.get(briefing.item, (self.gives, self.receives)))


class Keys(InventoryKeys):
    """The key `handover`."""

    handover: Annotated[
        Handover | None,
        Given("handover", "handover: {documents: […], briefings: […], improvements: […]}"),
    ] = Field(default=None, description="documents, briefings and improvements")
