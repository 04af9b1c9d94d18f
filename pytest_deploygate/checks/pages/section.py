"""The inventory's `pages` section: the policy pages and the maintenance page."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Annotated, ClassVar

from pydantic import Field

from pytest_deploygate.fields.http import HttpAccess, Texts, Url
from pytest_deploygate.fields.types import (
    Duration,
    ExistingPath,
    FilePath,
    Given,
    InventoryKeys,
    Section,
    Size,
)


class PublicPage(HttpAccess):
    """A page that is fetched as a browser does, with GET and following redirects."""

    url: Url = Field(description="URL of the page")
    ca_file: ExistingPath | None = Field(default=None, description="instead of `pages.ca_file` (PEM)")
    timeout: Duration | None = Field(default=None, description="instead of `pages.timeout`")


class PolicyPage(PublicPage):
    """A policy page and the date that it must state."""

    not_before: date | None = Field(
        default=None,
        description="the date on the page must not be before this date, on which the policy changed",
    )
    max_age: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(days=365),
        description="without `not_before`: the date on the page must not be older than this",
    )
    contains: Texts = Field(
        default=[], description="text that the page must contain, or a list, e.g. the company's name"
    )


class MaintenanceDrill(Section):
    """A drill (disruptive): stop the application and fetch the page."""

    stop: str = Field(description="command that stops the application")
    start: str = Field(description="command that starts it again; always run, also after an error")
    application: Url = Field(description="URL of the application, to check that it is really down")
    record: FilePath = Field(description="file that keeps the dated record of the last drill")
    max_age: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(days=90),
        description="maximum age of the record",
    )


class Maintenance(PublicPage):
    """The page that users see while the platform is moved."""

    max_size: Size = Field(
        json_schema_extra={"weaker": "larger"},
        default=100 * 1024,
        description="maximum size, all in one file",
    )
    drill: MaintenanceDrill | None = Field(
        default=None, description="how to test that it is served with the application down"
    )


class Pages(Section):
    """Public pages that must be served."""

    renamed: ClassVar[Mapping[str, str]] = {"trust": "ca_file"}

    ca_file: FilePath | None = Field(
        default=None, description="file with certificates to trust instead of the system's (PEM)"
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
