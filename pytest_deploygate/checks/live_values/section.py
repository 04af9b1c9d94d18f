"""The inventory's `live_values` section: elements of pages that show a device's value, and how a value is caused."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from pytest_deploygate.fields.form_login import FormLogin
from pytest_deploygate.fields.http import Url
from pytest_deploygate.fields.sent_reading import SentReading
from pytest_deploygate.fields.types import Duration, Each, InventoryKeys, Section


class Stored(Section):
    """A query that tells whether a reading is in the database."""

    sql: str = Field(
        description="a query that returns a row if the reading `%(id)s` is stored; a literal `%` is written `%%`"
    )


class LiveValue(Section):
    """An element of a page that shows the value of a synthetic device as it changes.

    Readings are sent if `opt_in` is the inventory's name, or with `--allow-disruptive`.
    """

    name: str = Field(min_length=1, description="name used in findings")
    page: Url = Field(description="address of the page")
    element: str = Field(min_length=1, description="the element that shows the value, as a CSS selector")
    form: FormLogin | None = Field(
        default=None, description="a form to log in with, as one who may see the page"
    )
    send: SentReading = Field(description="how a reading of the device is sent")
    low: float = Field(default=10, description="least value that is sent")
    high: float = Field(default=60, description="greatest value that is sent; below the device's limit")
    decimals: int = Field(default=1, ge=0, le=6, description="decimals of the values, as the page shows them")
    changes: int = Field(
        default=5,
        ge=2,
        le=100,
        json_schema_extra={"weaker": "smaller"},
        description="how many values are sent",
    )
    within: Duration = Field(
        default=timedelta(seconds=3),
        json_schema_extra={"weaker": "larger"},
        description="time from sending a value until the page shows it",
    )
    timeout: Duration = Field(
        default=timedelta(seconds=10),
        description="how long a value is waited for before it counts as not shown",
    )
    stored: Stored | None = Field(
        default=None,
        description="how to tell whether a value that is not shown was lost before the database, or after it",
    )
    opt_in: str = Field(
        default="", description="the inventory's name: readings of this device may be sent here"
    )

    @model_validator(mode="after")
    def _values_differ(self) -> Self:
        if (self.high - self.low) * 10**self.decimals < 10 * self.changes:
            raise ValueError(
                f"between `low` {self.low:g} and `high` {self.high:g} are too few values with {self.decimals} decimals: "
                f"{10 * self.changes} are needed, so that none is shown by chance"
            )
        if self.timeout <= self.within:
            raise ValueError(
                "`timeout` must be longer than `within`, or a late value could not be told from none"
            )
        return self


class Keys(InventoryKeys):
    """The key `live_values`."""

    live_values: Annotated[
        list[LiveValue],
        Each(
            "live_value",
            "live_values: [{name: pressure, page: URL, element: '#live-1', send: {url: URL, json: {value: '{value}'}}, opt_in: "
            "INVENTORY}]",
        ),
    ] = Field(default=[], description="values on pages that change as their device's do")

    @model_validator(mode="after")
    def _live_values_have_names_of_their_own(self) -> Self:
        names = [live.name for live in self.live_values]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(
                f"{names.count(twice)} live values are named {twice!r}; each name must be unique"
            )
        return self
