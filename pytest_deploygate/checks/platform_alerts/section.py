"""The inventory's `platform_alerts` section: a synthetic device, its limit, and where its alert must appear."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from pytest_deploygate.fields.form_login import FormLogin
from pytest_deploygate.fields.http import Url
from pytest_deploygate.fields.oauth import TokenAccess
from pytest_deploygate.fields.sent_reading import SentReading
from pytest_deploygate.fields.types import Duration, Given, InventoryKeys, Section

#: In `page.element`: the id of the alert.
ALERT = "{id}"


class AlertList(TokenAccess):
    """The platform's API for alerts: it answers with a JSON list of those that fire, and of those that have fired."""

    url: Url = Field(description="address of the list, the newest alerts among the first")
    form: FormLogin | None = Field(
        default=None, description="a form to log in with, where requests need a session's cookie"
    )
    items: str = Field(
        default="",
        description="key of the list in the answer, for example `data.alerts` (default: the answer is the list)",
    )
    id: str = Field(default="id", description="key of an alert's id")
    device: str = Field(default="device", description="key of its device")
    state: str = Field(default="state", description="key of its state")
    firing: list[str] = Field(
        default=["firing"],
        min_length=1,
        description="states of an alert that fires; with any other it does not",
    )


class AlertPage(Section):
    """The page that shows alerts to users."""

    url: Url = Field(description="address of the page")
    form: FormLogin | None = Field(
        default=None, description="a form to log in with, as one who may see the alert"
    )
    element: str = Field(
        description=f"the alert's element, as a CSS selector; `{ALERT}` is the alert's id, for example [data-alert='{ALERT}']"
    )
    firing: str = Field(
        default="firing", min_length=1, description="text in the element while the alert fires"
    )

    @model_validator(mode="after")
    def _element_names_the_alert(self) -> Self:
        if ALERT not in self.element:
            raise ValueError(f"`element` must name one alert: write its id as `{ALERT}`")
        return self


class PlatformAlerts(Section):
    """One alert that is caused, and where it must appear.

    Readings are sent if `opt_in` is the inventory's name, or with `--allow-disruptive`.
    """

    device: str = Field(min_length=1, description="the synthetic device, as the list of alerts names it")
    send: SentReading = Field(description="how a reading of the device is sent")
    normal: float = Field(description="a value within the device's limit: with it the alert clears")
    over: float = Field(description="a value over its limit: with it the alert is raised")
    readings: int = Field(
        default=3,
        ge=1,
        le=20,
        description="how many readings over the limit are sent; they raise one alert together",
    )
    alerts: AlertList = Field(description="the platform's list of alerts")
    page: Annotated[
        AlertPage | None,
        Given("alert_page", "page: {url: https://app.example.com/alerts, element: \"[data-alert='{id}']\"}"),
    ] = Field(default=None, description="the page that shows them")
    within: Duration = Field(
        default=timedelta(seconds=10),
        json_schema_extra={"weaker": "larger"},
        description="time from the first reading over the limit until the alert is there",
    )
    clears_within: Duration = Field(
        default=timedelta(seconds=10),
        json_schema_extra={"weaker": "larger"},
        description="time from a reading within the limit until the alert has cleared",
    )
    timeout: Duration = Field(
        default=timedelta(seconds=30), description="how long an alert is waited for before it counts as none"
    )
    look_on: Duration = Field(
        default=timedelta(seconds=2),
        json_schema_extra={"weaker": "smaller"},
        description="how long alerts are looked for after the first one came, so that a second one is seen",
    )
    opt_in: str = Field(default="", description="the inventory's name: this alert may be raised here")

    @model_validator(mode="after")
    def _waits_longer_than_its_bounds(self) -> Self:
        if self.over == self.normal:
            raise ValueError(
                "`over` and `normal` are the same value, which cannot be over the limit and within it"
            )
        if self.timeout <= max(self.within, self.clears_within):
            raise ValueError("`timeout` must be longer than `within` and `clears_within`")
        return self


class Keys(InventoryKeys):
    """The key `platform_alerts`."""

    platform_alerts: Annotated[
        PlatformAlerts | None,
        Given(
            "platform_alerts",
            "platform_alerts: {device: synthetic-1, send: {url: URL, json: {value: '{value}'}}, normal: 20, over: 120, alerts: "
            "{url: URL}, opt_in: INVENTORY}",
        ),
    ] = Field(default=None, description="an alert of the platform itself, which the gate causes")
