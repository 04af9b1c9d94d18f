"""The inventory's `reports` section: files that the platform generates, and the queries that they must agree with."""

from datetime import timedelta
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from pytest_deploygate.fields.form_login import FormLogin
from pytest_deploygate.fields.http import Url
from pytest_deploygate.fields.oauth import TokenAccess
from pytest_deploygate.fields.types import Duration, Each, InventoryKeys, Section

Format = Literal["html", "csv", "xlsx", "pdf"]
FORMATS: tuple[Format, ...] = ("html", "csv", "xlsx", "pdf")
#: In `url`: the day of the report.
DAY = "{day}"


class ReportQuery(Section):
    """A query with a name. `%(day)s` in it is the day of the report; a literal `%` is then written `%%`."""

    name: str = Field(min_length=1, description="name used in findings")
    sql: str = Field(
        description="the query; its columns have the names of the report's. It runs in a read-only transaction"
    )


class ReportFile(Section):
    """One file that is generated."""

    url: Url = Field(description=f"address of the file; `{DAY}` in it is the day, as 2026-11-30")
    format: Format | None = Field(
        default=None, description="form of the file, where the end of the path does not tell"
    )
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = Field(
        default=",", description="what separates the cells of a CSV file"
    )
    decimal: Literal[".", ","] = Field(default=".", description="decimal sign of numbers that are text")

    @property
    def form(self) -> Format:
        """The form of the file."""
        if self.format is not None:
            return self.format
        end = urlsplit(self.url).path.rpartition(".")[2].lower()
        return next(form for form in FORMATS if form == end)

    @model_validator(mode="after")
    def _has_a_known_form(self) -> Self:
        if self.format is None and urlsplit(self.url).path.rpartition(".")[2].lower() not in FORMATS:
            raise ValueError(
                f"add `format` ({', '.join(FORMATS)}): the end of the path of {self.url} does not tell it"
            )
        return self


class Report(TokenAccess):
    """A report in one or more files, and what must be in each of them."""

    name: str = Field(min_length=1, description="name used in findings")
    files: list[ReportFile] = Field(min_length=1, description="the files in which it is generated")
    form: FormLogin | None = Field(
        default=None, description="a form to log in with, where requests need a session's cookie"
    )
    day: Duration = Field(
        default=timedelta(days=1), description="how long ago the day of the report is, in UTC; `0s` is today"
    )
    rows: ReportQuery = Field(description="the rows that the report must have, and no others")
    key: list[str] = Field(
        default=[], description="columns that tell rows apart (default: the first column of `rows`)"
    )
    total: ReportQuery | None = Field(
        default=None,
        description="the report's last row: one row, whose first column is the row's label, for example `Total`",
    )
    within: Duration = Field(
        default=timedelta(seconds=10),
        json_schema_extra={"weaker": "larger"},
        description="time in which a file must be generated and sent",
    )

    @model_validator(mode="after")
    def _answers_are_waited_for(self) -> Self:
        if self.timeout is not None and self.timeout <= self.within:
            raise ValueError(
                "`timeout` must be longer than `within`, or a late file could not be told from none"
            )
        return self

    @property
    def patience(self) -> timedelta:
        """How long a file is waited for."""
        return self.timeout or max(3 * self.within, timedelta(seconds=30))


class Keys(InventoryKeys):
    """The key `reports`."""

    reports: Annotated[
        list[Report],
        Each(
            "generated_report",
            "reports: [{name: daily, files: [{url: 'https://app.example.com/reports/daily.csv?day={day}'}], rows: {name: "
            "readings, sql: SELECT …}}]",
        ),
    ] = Field(default=[], description="reports that the platform generates")

    @model_validator(mode="after")
    def _reports_have_names_of_their_own(self) -> Self:
        names = [report.name for report in self.reports]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"{names.count(twice)} reports are named {twice!r}; each name must be unique")
        return self
