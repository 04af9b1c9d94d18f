"""The inventory's `on_call`: where it says who is on call."""

from datetime import timedelta
from typing import Annotated, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from pytest_deploygate.fields.http import HttpAccess, Url
from pytest_deploygate.fields.types import (
    Duration,
    ExistingPath,
    Given,
    InventoryKeys,
    SecretReference,
    Section,
)


class Calendar(HttpAccess):
    """An iCalendar file (RFC 5545). Who is on call is the attendee, or else the summary, of each event."""

    url: Url | None = Field(default=None, description="address of the file")
    file: ExistingPath | None = Field(default=None, description="the file itself, instead of `url`")
    zone: str = Field(
        default="UTC", description="time zone of times without one, and of whole days, e.g. Europe/Berlin"
    )

    @field_validator("zone")
    @classmethod
    def _calendar_zone_is_known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"unknown time zone {name!r}; write for example Europe/Berlin") from None
        return name

    @model_validator(mode="after")
    def _calendar_has_one_place(self) -> Self:
        if (self.url is None) == (self.file is None):
            raise ValueError("set exactly one of `url`, `file`")
        return self


class PagerDuty(HttpAccess):
    """A schedule of PagerDuty, by its REST API version 2 (`GET /oncalls`)."""

    url: Url = Field(
        default="https://api.pagerduty.com",
        description="address of the API; https://api.eu.pagerduty.com in the EU",
    )
    schedule: str = Field(min_length=1, description="id of the schedule, e.g. PI7DH85")
    key: SecretReference = Field(description="reference to a read-only API key")


class Opsgenie(HttpAccess):
    """A schedule of Opsgenie, by its REST API version 2 (`GET /v2/schedules/…/timeline`)."""

    url: Url = Field(
        default="https://api.opsgenie.com",
        description="address of the API; https://api.eu.opsgenie.com in the EU",
    )
    schedule: str = Field(min_length=1, description="name of the schedule")
    key: SecretReference = Field(description="reference to an API key with the right to read")


class Hook(Section):
    """A command on this machine that prints who is on call."""

    run: str = Field(
        min_length=1,
        description='prints JSON: `[{"who": "lead@example.com", "start": "2026-12-01T06:00:00Z", "end": …}]`',
    )
    timeout: Duration = Field(default=timedelta(seconds=30), description="time for the command")


class OnCall(Section):
    """Where it says who is on call, and for how long somebody must be."""

    exactly_one = ("calendar", "pagerduty", "opsgenie", "hook")
    instead = (
        "say with exactly one of `calendar`, `pagerduty`, `opsgenie`, `hook` where it says who is on call"
    )

    calendar: Calendar | None = Field(default=None, description="an iCalendar file")
    pagerduty: PagerDuty | None = Field(default=None, description="a schedule of PagerDuty")
    opsgenie: Opsgenie | None = Field(default=None, description="a schedule of Opsgenie")
    hook: Hook | None = Field(default=None, description="a command")
    during: Duration = Field(
        default=timedelta(hours=24),
        json_schema_extra={"weaker": "smaller"},
        description="how far from now on somebody must be on call: until the end of the window",
    )


class Keys(InventoryKeys):
    """The key `on_call`."""

    on_call: Annotated[
        OnCall | None,
        Given("on_call", "on_call: {calendar: {url: https://calendar.example.com/on-call.ics}}"),
    ] = Field(default=None, description="where it says who is on call")
