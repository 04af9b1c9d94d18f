"""The inventory's sections for the gate itself: where it may write, what does not apply, policy, times."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from typing import ClassVar, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import Field, field_validator, model_validator

from pytest_deploygate.fields.types import Duration, Section, Words
from pytest_deploygate.problems import nearest


class Writes(Section):
    """Where the gate may write its markers and canaries. Without it those checks are inconclusive."""

    schema_: str = Field(alias="schema", description="schema in which the gate's role may create tables")


class NotApplicable(Section):
    """An item that does not apply here: decided by a role, counted in the report."""

    item: str = Field(description="id of the item")
    reason: Words = Field(min_length=10, description="why it does not apply")
    owner: Words = Field(min_length=2, description="role that decided this")


class Policy(Section):
    """How findings are turned into a decision."""

    renamed: ClassVar[Mapping[str, str]] = {"budget": "time_limit"}

    rollback_from: str = Field(
        default="golive",
        description="phase from which a rollback can be advised, because users are on the new system",
    )
    max_waivers: int = Field(
        json_schema_extra={"weaker": "larger"},
        default=5,
        ge=0,
        description="how many waivers may be active at once",
    )
    decision_valid: Duration = Field(
        default=timedelta(hours=24), description="how long a phase's decision is valid for later phases"
    )
    records_branch: str = Field(
        default="",
        pattern=r"^[^\s~^:?*\[\\]*$",
        description=(
            "branch on which attestations, waivers, the issue log and allowed_signers must be committed to count, "
            "e.g. main; default: where the run's commit is"
        ),
    )
    signed_records: bool = Field(
        default=False,
        description="whether attestations and waivers count only with SSH signatures of the roles that they name",
    )
    time_limit: Duration | None = Field(
        default=None,
        description="how long a run may take, e.g. 20m; what is left out then is inconclusive. Left out: no limit",
    )
    change_state: Literal["ignored", "listed", "required"] = Field(
        default="ignored",
        description=(
            "whether the change's ticket is read when a run begins: `listed` shows a run outside an approved change, "
            "`required` holds it, and also when that is unknown; phases that only read are never held"
        ),
    )
    mode: str = Field(
        default="0600",
        pattern=r"^0?6[046][04]$",
        description='permissions of journal and evidence, e.g. "0640" for those who read them by their group',
    )

    @field_validator("mode", mode="before")
    @classmethod
    def _digits(cls, value: object) -> object:
        """Accept `mode: 0640` without quotes too, which is a number to YAML."""
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @property
    def file_mode(self) -> int:
        """The permissions as a number."""
        return int(self.mode, 8)


class Freeze(Section):
    """A period without deployments."""

    start: datetime = Field(description="start, ISO 8601 with a zone, e.g. 2026-12-24T00:00:00Z")
    end: datetime = Field(description="end, same format as `start`")
    reason: Words = Field(min_length=3, description="reason, e.g. holiday sales")

    @field_validator("start", "end", mode="before")
    @classmethod
    def _instant(cls, value: object) -> datetime:
        try:
            found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        except ValueError:
            raise ValueError(f"{value} is not a time; write for example 2026-12-24T00:00:00Z") from None
        if found.tzinfo is None:
            raise ValueError(f"{value} has no time zone; write for example 2026-12-24T00:00:00Z, in quotes")
        try:
            return found.astimezone(UTC)
        except OverflowError:
            raise ValueError(f"{value} does not exist in the calendar") from None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end <= self.start:
            raise ValueError("a freeze must end after its start")
        return self


class Timetable(Section):
    """When the change is planned: the meaning of `T-0` and of times in the checklist's headings."""

    t0: date = Field(description="day of the deployment, T-0 in the checklist's headings, e.g. 2026-12-01")
    timezone: str = Field(
        default="UTC", description="time zone of the checklist's clock times, e.g. America/New_York"
    )

    freezes: list[Freeze] = Field(
        default=[],
        description="periods in which no phase of the deployment runs, unless a role overrides it with a reason",
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
            none = "" if known else "; this machine has no time zone data: `pip install tzdata`"
            raise ValueError(f"unknown time zone {name!r}{hint}{none}") from None
        return name

    @property
    def zone(self) -> ZoneInfo:
        """The time zone itself."""
        return ZoneInfo(self.timezone)
