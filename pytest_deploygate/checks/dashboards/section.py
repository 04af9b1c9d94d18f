"""The inventory's sections `dashboards` and `monitoring_dashboards`: pages, their data, and what must be seen on them."""

import re
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pytest_deploygate.fields.form_login import FormLogin
from pytest_deploygate.fields.http import Texts, Url
from pytest_deploygate.fields.types import (
    Duration,
    Each,
    ExistingPath,
    InventoryKeys,
    SecretReference,
    Section,
)

Form = Literal["points", "grafana", "prometheus"]


class DataRequest(Section):
    """A request by which the page gets its data: which one, and how its points are read."""

    url: str = Field(
        min_length=1, description="part of the request's address, for example /api/devices/press-1/series"
    )
    form: Form = Field(
        default="points",
        description="form of the answer: `points` as described by the next keys, Grafana's /api/ds/query, or Prometheus's "
        "query_range",
    )
    points: str = Field(
        default="",
        description="key of the list of points, for example `data.points` (default: the answer is the list)",
    )
    time: str = Field(default="0", description="key of a point's time, or its place in the point")
    value: str = Field(default="1", description="key of a point's value, or its place in the point")
    unit: Literal["s", "ms", "iso"] = Field(
        default="s", description="unit of times: seconds or milliseconds since 1970, or text in ISO 8601"
    )
    at_least: int = Field(
        default=2,
        ge=1,
        json_schema_extra={"weaker": "smaller"},
        description="least number of points with a value",
    )
    newest: Duration = Field(
        default=timedelta(minutes=5),
        json_schema_extra={"weaker": "larger"},
        description="how old the newest point may be",
    )


class ShownQuery(Section):
    """A query with a name, which returns one number."""

    name: str = Field(min_length=1, description="name used in findings")
    sql: str = Field(description="a query that returns one number; it runs in a read-only transaction")


class ShownValue(Section):
    """An element that must be on the page: with a text, or with a number that a query returns."""

    exactly_one = ("text", "query", "matches")
    instead = "say what the element shows: `text`, `matches` or `query`"

    element: str = Field(min_length=1, description="the element, as a CSS selector")
    text: str | None = Field(default=None, min_length=1, description="text that it contains")
    matches: str | None = Field(
        default=None, min_length=1, description="regular expression that its text matches"
    )
    query: ShownQuery | None = Field(default=None, description="query that returns the first number in it")
    tolerance: float = Field(
        default=0,
        ge=0,
        json_schema_extra={"weaker": "larger"},
        description="how far the number may be from the query's",
    )

    @model_validator(mode="after")
    def _expression_can_be_read(self) -> Self:
        try:
            re.compile(self.matches or "")
        except re.error as error:
            raise ValueError(f"{self.matches!r} is not a regular expression: {error}") from None
        return self


class Dashboard(Section):
    """A page with data."""

    name: str = Field(min_length=1, description="name used in findings")
    url: Url = Field(description="address of the page")
    form: FormLogin | None = Field(default=None, description="a form to log in with")
    token: SecretReference | None = Field(
        default=None,
        description="reference to a bearer token that is sent to the page's server, for example a service account's of Grafana",
    )
    ca_file: ExistingPath | None = Field(
        default=None, description="file with certificates to trust for `form`, instead of the system's (PEM)"
    )
    data: list[DataRequest] = Field(default=[], description="the requests by which the page gets its data")
    shows: list[ShownValue] = Field(default=[], description="elements that must be on the page")
    charts: list[str] = Field(
        default=[],
        description="elements that are drawn, as CSS selectors: each must have more than one colour",
    )
    lacks: Texts = Field(
        default=["No data"], description="text that the page must not show, or a list of such texts"
    )
    within: Duration = Field(
        default=timedelta(seconds=5),
        json_schema_extra={"weaker": "larger"},
        description="time from opening the page until all of this is there",
    )
    timeout: Duration = Field(
        default=timedelta(seconds=15), description="how long it is waited for before it counts as not there"
    )
    visits: int = Field(
        default=3,
        ge=2,
        le=20,
        json_schema_extra={"weaker": "smaller"},
        description="how often the page is opened, each time with nothing cached",
    )

    @model_validator(mode="after")
    def _shows_that_it_has_data(self) -> Self:
        if not (self.data or any(shown.query or shown.matches for shown in self.shows)):
            raise ValueError(
                "a page without data paints well, too: name the requests of its `data`, or an element in `shows` with a `query` or "
                "with a number that `matches`"
            )
        if self.timeout <= self.within:
            raise ValueError(
                "`timeout` must be longer than `within`, or a late page could not be told from none"
            )
        return self


class Keys(InventoryKeys):
    """The keys `dashboards` and `monitoring_dashboards`."""

    dashboards: Annotated[
        list[Dashboard],
        Each(
            "dashboard",
            "dashboards: [{name: plant, url: https://app.example.com/dashboards/plant, data: [{url: /api/series, points: points}]}]",
        ),
    ] = Field(default=[], description="dashboards that the platform shows to its users")
    monitoring_dashboards: Annotated[
        list[Dashboard],
        Each(
            "monitoring_dashboard",
            "monitoring_dashboards: [{name: hosts, url: https://grafana.example.com/d/hosts, token: env:GRAFANA_TOKEN, data: [{url: "
            "/api/ds/query, form: grafana}]}]",
        ),
    ] = Field(
        default=[], description="dashboards of the monitoring, which people watch during the deployment"
    )

    @model_validator(mode="after")
    def _dashboards_have_names_of_their_own(self) -> Self:
        for listed in (self.dashboards, self.monitoring_dashboards):
            names = [dashboard.name for dashboard in listed]
            if twice := next((name for name in names if names.count(name) > 1), None):
                raise ValueError(
                    f"{names.count(twice)} dashboards are named {twice!r}; each name must be unique"
                )
        return self
