"""The inventory's sections that are about the gate itself: where it may write, what does not apply, policy, times."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from difflib import get_close_matches
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import Field, field_validator

from pytest_deploygate.inventory.fields import Duration, Section
from pytest_deploygate.problems import nearest


class Writes(Section):
    """Where the gate may write its markers and canaries. Without it such checks are inconclusive and say so."""

    schema_: str = Field(
        alias="schema", description="schema in which the gate's role may create its own tables"
    )


class NotApplicable(Section):
    """An item that does not apply here: by decision of somebody, counted in the report."""

    item: str = Field(description="id of the item")
    reason: str = Field(min_length=10, description="why it does not apply")
    owner: str = Field(min_length=2, description="role that decided so")


class Policy(Section):
    """How findings become a decision."""

    rollback_from: str = Field(
        default="golive",
        description="phase from which a rollback can be advised: users are on the new system",
    )
    max_waivers: int = Field(
        json_schema_extra={"weaker": "larger"},
        default=5,
        ge=0,
        description="how many waivers may be active at once",
    )
    decision_valid: Duration = Field(
        default=timedelta(hours=24), description="how long a phase's decision counts for the phases after it"
    )


class Timetable(Section):
    """When the change is planned: what `T-0` and the clock times in the checklist's headings mean."""

    t0: date = Field(description="day of the deployment, T-0 in the checklist's headings, e.g. 2026-12-01")
    timezone: str = Field(
        default="UTC", description="time zone of the checklist's clock times, e.g. America/New_York"
    )

    @field_validator("t0", mode="before")
    @classmethod
    def _a_day(cls, value: object) -> date:
        if isinstance(value, date) and not isinstance(value, datetime):
            return value
        try:
            return date.fromisoformat(value if isinstance(value, str) and len(value) == 10 else "")
        except ValueError:
            raise ValueError(f"{value} is not a day; write for example 2026-12-01") from None

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            known = available_timezones()
            hint = nearest(name, known) if get_close_matches(name, known, n=1) else ""
            none = "" if known else "; this machine has no time zones, `pip install tzdata` brings them"
            raise ValueError(f"there is no time zone {name!r}{hint}{none}") from None
        return name

    @property
    def zone(self) -> ZoneInfo:
        """The time zone itself."""
        return ZoneInfo(self.timezone)
