"""The inventory's `pages` section: the policy pages and the maintenance page."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from pytest_deploygate.fields.types import Duration, FilePath, Given, InventoryKeys, Section, Size, Text

#: Stands for a value of a lab that does not run, where what is missing is only collected.
_NO_VALUE = "1"


def _url(value: str) -> str:
    if not value.startswith(("https://", "http://", _NO_VALUE)):
        raise ValueError(f"{value!r} is not a URL; write for example https://www.example.com/privacy")
    return value


Url = Annotated[Text, AfterValidator(_url)]


class PolicyPage(Section):
    """A policy page and the date that it must state."""

    url: Url = Field(description="where it is served")
    not_before: date | None = Field(
        default=None,
        description="the date on the page must not be before this: that of the change of the policy",
    )
    max_age: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(days=365),
        description="without `not_before`: the date on the page must not be older than this",
    )
    contains: list[str] = Field(
        default=[], description="words that the page must have, e.g. the company's name"
    )


class MaintenanceDrill(Section):
    """A drill (disruptive): stop the application, and fetch the page."""

    stop: str = Field(description="command that stops the application")
    start: str = Field(description="command that starts it again; run whatever happens")
    application: Url = Field(description="URL of the application, to see that it is really down")
    record: FilePath = Field(description="file that keeps the dated record of the last drill")
    max_age: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(days=90),
        description="greatest age of the record",
    )


class Maintenance(Section):
    """The page that users see while the platform is moved."""

    url: Url = Field(description="where it is served")
    max_size: Size = Field(
        json_schema_extra={"weaker": "larger"},
        default=100 * 1024,
        description="greatest size, all in one file",
    )
    drill: MaintenanceDrill | None = Field(
        default=None, description="how to see that it is served with the application down"
    )


class Pages(Section):
    """Pages that must be there."""

    trust: FilePath | None = Field(
        default=None, description="file with the trusted roots (PEM); left out: those of the platform"
    )
    timeout: Duration = Field(default=timedelta(seconds=10), description="for each page")
    privacy_policy: Annotated[
        PolicyPage | None, Given("privacy_policy", "privacy_policy: {url: https://www.example.com/privacy}")
    ] = Field(default=None, description="the privacy policy")
    terms: Annotated[PolicyPage | None, Given("terms", "terms: {url: https://www.example.com/terms}")] = (
        Field(default=None, description="the terms of service")
    )
    maintenance: Annotated[
        Maintenance | None, Given("maintenance", "maintenance: {url: https://www.example.com/maintenance}")
    ] = Field(default=None, description="the maintenance page")


class Keys(InventoryKeys):
    """The key `pages`."""

    pages: Annotated[
        Pages | None, Given("pages", "pages: {privacy_policy: {url: https://www.example.com/privacy}}")
    ] = Field(default=None, description="policy pages and the maintenance page")
