"""Who to call: a contact for each role of the change."""

import re
from difflib import get_close_matches
from typing import Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import Field, field_validator, model_validator

from pytest_deploygate.fields.types import Section, Text
from pytest_deploygate.problems import nearest

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
DAY_MIN = 24 * 60
WEEK_MIN = 7 * DAY_MIN
_DAY = "|".join(DAYS)
_HOURS = re.compile(
    rf"(?:(?P<first>{_DAY})(?:-(?P<last>{_DAY}))?\s+)?"
    r"(?P<h1>[01]\d|2[0-4]):(?P<m1>[0-5]\d)-(?P<h2>[01]\d|2[0-4]):(?P<m2>[0-5]\d)"
)
#: Minutes since Monday, 00:00, in the contact's zone: start and end; an end may be after the end of the week.
Span = tuple[int, int]


def spans(hours: str) -> list[Span]:
    """Return the times of a week that `Mon-Fri 08:00-18:00` names. Raises ValueError.

    An end that is not after the start is on the next day.
    """
    found = _HOURS.fullmatch(hours.strip())
    if found is None:
        raise ValueError(f"{hours!r} are no hours; write for example `Mon-Fri 08:00-18:00` or `00:00-24:00`")
    start = 60 * int(found["h1"]) + int(found["m1"])
    end = 60 * int(found["h2"]) + int(found["m2"])
    if max(start, end) > DAY_MIN:
        raise ValueError(f"{hours!r}: a day ends at 24:00")
    if end <= start:
        end += DAY_MIN
    first = DAYS.index(found["first"]) if found["first"] else 0
    last = DAYS.index(found["last"]) if found["last"] else first if found["first"] else 6
    days = [(first + n) % 7 for n in range((last - first) % 7 + 1)]
    return [(day * DAY_MIN + start, day * DAY_MIN + end) for day in days]


class Reachable(Section):
    """A person or a rota, and how to reach them. Names are optional: the report is shared outside the company."""

    name: str = Field(default="", description="person or rota")
    phone: Text = Field(default="", description="number in E.164, `+12125550100`")
    mail: Text = Field(default="", description="mail address")


class Deputy(Reachable):
    """Who answers when a contact does not."""

    @model_validator(mode="after")
    def _deputy_can_be_called(self) -> Self:
        if not self.phone and not self.mail:
            raise ValueError("a deputy has neither `phone` nor `mail`")
        return self


class Contact(Reachable):
    """How to reach a role."""

    role: str = Field(min_length=2, description="role, such as `deployment-lead`")
    escalation: int | None = Field(
        default=None, ge=1, le=99, description="place in the order of escalation: 1 is called first"
    )
    deputies: list[Deputy] = Field(default=[], description="who is called when this contact does not answer")
    hours: list[str] = Field(
        default=[],
        description="when the contact answers, such as `Mon-Fri 08:00-18:00`; left out: at any time",
    )
    zone: str = Field(
        default="",
        description="time zone, e.g. America/New_York; default: UTC for `hours`, that of `notices` for notices",
    )
    language: str = Field(
        default="", description="language of notices, such as `de`; default: that of `notices`"
    )

    @field_validator("hours", mode="before")
    @classmethod
    def _one_or_more_hours(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("hours")
    @classmethod
    def _hours_can_be_read(cls, value: list[str]) -> list[str]:
        for one in value:
            spans(one)
        return value

    @field_validator("zone")
    @classmethod
    def _zone_is_known(cls, name: str) -> str:
        if not name:
            return name
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            known = available_timezones()
            hint = nearest(name, known) if get_close_matches(name, known, n=1) else ""
            raise ValueError(f"unknown time zone {name!r}{hint}") from None
        return name

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if not self.phone and not self.mail:
            raise ValueError(f"the contact of {self.role} has neither `phone` nor `mail`")
        return self
