"""The inventory's `overnight` section: which series are looked at on the morning after, and their bands."""

import re
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from pytest_deploygate.fields.prometheus import Selector
from pytest_deploygate.fields.types import Duration, Given, InventoryKeys, Section

_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


class NightSeries(Section):
    """One quantity and its band."""

    name: str = Field(min_length=1, description="its name in findings and over its picture")
    selector: Selector = Field(
        description="the series; each is judged by itself, and rates of counters are added up"
    )
    kind: Literal["value", "rate"] = Field(
        default="value",
        alias="as",
        description="`value`: a gauge as scraped; `rate`: a counter's rises per second",
    )
    at_least: float | None = Field(default=None, description="lower edge of the band")
    at_most: float | None = Field(default=None, description="upper edge of the band")
    unit: str = Field(default="", description="its unit, for people")
    expected: int = Field(default=1, ge=1, description="how many series the selector must have at least")
    outside_for: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(0),
        description="how long it may be outside of the band, all times together",
    )

    @model_validator(mode="after")
    def _has_a_band(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError("the band is missing: add `at_least`, `at_most` or both")
        if self.at_least is not None and self.at_most is not None and self.at_least >= self.at_most:
            raise ValueError(f"`at_least` ({self.at_least:g}) must be less than `at_most` ({self.at_most:g})")
        return self


class Overnight(Section):
    """What is looked at on the morning after."""

    last: Duration = Field(
        default=timedelta(hours=12), description="how far back the night goes, if `hours` are not given"
    )
    hours: str | None = Field(
        default=None,
        description="the night by the clock, such as 22:00-06:00; the last one that is over is judged",
    )
    timezone: str = Field(default="UTC", description="zone of `hours`, such as Europe/Berlin")
    longest_gap: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(minutes=5),
        description="time without samples beyond which the night is not known",
    )
    rate_over: Duration = Field(
        default=timedelta(minutes=5), description="rates are of so long parts of the night"
    )
    series: Annotated[list[NightSeries], Field(min_length=1)] = Field(description="what is looked at")

    @field_validator("hours")
    @classmethod
    def _two_times(cls, hours: str | None) -> str | None:
        found = _HOURS.fullmatch(hours) if hours is not None else None
        if hours is not None and (not found or found.group(1, 2) == found.group(3, 4)):
            raise ValueError(f"{hours!r} are no hours: write for example 22:00-06:00")
        return hours

    @field_validator("timezone")
    @classmethod
    def _a_zone(cls, name: str) -> str:
        from zoneinfo import ZoneInfo  # noqa: PLC0415 (only where a zone is given)

        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"there is no time zone {name!r}: write for example Europe/Berlin") from None
        return name

    @model_validator(mode="after")
    def _names_differ_at_night(self) -> Self:
        names = [series.name for series in self.series]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two of `series` are called {twice[0]!r}: give each its own name")
        return self


class Keys(InventoryKeys):
    """The key `overnight`."""

    overnight: Annotated[
        Overnight | None,
        Given(
            "overnight",
            "overnight: {series: [{name: orders, selector: SELECTOR, at_least: 10, at_most: 500}]}",
        ),
    ] = Field(default=None, description="series of the night after go-live, and their bands")
