"""Where synthetic devices must not be seen, and how they are cleaned up."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import Field

from pytest_deploygate.fields.http import HttpRequest, Method, Statuses, Url
from pytest_deploygate.fields.oauth import TokenAccess
from pytest_deploygate.fields.types import (
    Duration,
    SecretReference,
    Section,
)
from pytest_deploygate.fields.validating import After


def _one_number(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
    if groups != 1:
        raise ValueError(
            f"{pattern!r} has {groups} groups: the number must stand in exactly one, as in (\\d+) readings"
        )
    return pattern


class Page(HttpRequest, TokenAccess):
    """What users see or read, and which must not show synthetic devices."""

    name: str = Field(min_length=1, description="its name in findings")
    url: Url = Field(description="address")
    timeout: Duration = Field(default=timedelta(seconds=10), description="how long an answer may take")


class CountingPage(Page):
    """A page with a number of events, among which synthetic ones must not be."""

    number: Annotated[str, After(_one_number)] = Field(
        description=r"regular expression with the number in its only group, e.g. (\d+) readings today"
    )


class NamedQuery(Section):
    """A query of what users see, such as an aggregate."""

    name: str = Field(min_length=1, description="its name in findings")
    query: str = Field(
        min_length=1,
        description="query that returns the rows about synthetic devices; %(devices)s is their list",
    )


class LeftOut(Section):
    """Where synthetic devices must not be seen."""

    pages: list[Page] = Field(
        default=[], description="answers that must not have a synthetic device or event"
    )
    numbers: list[CountingPage] = Field(
        default=[], description="numbers that must not rise by the synthetic events"
    )
    queries: list[NamedQuery] = Field(default=[], description="queries that must return no row")


class CleanRequest(HttpRequest, TokenAccess):
    """A request that takes synthetic events away. `{device}` in the address asks once for each device."""

    url: Url = Field(description="address")
    method: Method = Field(default="DELETE", description="HTTP method")
    status: Statuses = Field(
        default=[200, 202, 204, 404], description="HTTP status of a good answer, or a list of them"
    )
    timeout: Duration = Field(default=timedelta(seconds=15), description="how long an answer may take")


class CleanUp(Section):
    """One step that takes synthetic events away. Exactly one."""

    exactly_one = ("http", "sql")

    http: CleanRequest | None = Field(default=None, description="request")
    sql: str | None = Field(default=None, description="statement; %(devices)s is the list of devices")


class DatabaseLogin(Section):
    """The role that runs statements of `clean_up`."""

    user: str = Field(description="role")
    password: SecretReference | None = Field(default=None, description="reference to its password")
