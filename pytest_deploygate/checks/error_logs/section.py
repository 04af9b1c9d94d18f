"""The inventory's `error_logs` section: where errors are logged, in which hours they are counted, and how many may be new."""

import re
from datetime import time, timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pytest_deploygate.checks.hosts.section import Hosts, not_listed_yet
from pytest_deploygate.fields.log_stores import LogPath, Loki, OpenSearch, Zone
from pytest_deploygate.fields.types import Duration, Given, InventoryKeys, Section, Size, Text
from pytest_deploygate.fields.validating import After
from pytest_deploygate.problems import nearest

#: Words for the levels of errors, in lower case.
LEVELS = ["error", "err", "critical", "crit", "fatal", "alert", "emergency", "emerg", "panic", "severe"]
_HOURS = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})")


def hours(text: str) -> tuple[time, time]:
    """Read `22:00-06:00`. Raises ValueError."""
    found = _HOURS.fullmatch(text.replace(" ", ""))
    numbers = [int(number) for number in found.groups()] if found else [24]
    if any(hour > 23 for hour in numbers[::2]) or any(minute > 59 for minute in numbers[1::2]):
        raise ValueError(f"{text!r} is not a part of a day; write for example 22:00-06:00")
    begin, end = time(numbers[0], numbers[1]), time(numbers[2], numbers[3])
    if begin == end:
        raise ValueError(f"{text!r} begins when it ends; write for example 22:00-06:00")
    return begin, end


def _a_part_of_a_day(text: str) -> str:
    hours(text)
    return text


def _expressions(given: list[str]) -> list[str]:
    for pattern in given:
        try:
            found = re.compile(pattern)
        except re.error as error:
            raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
        if found.search(""):
            raise ValueError(f"{pattern!r} matches an empty text too, so it would match everywhere")
    return given


Expressions = Annotated[list[str], After(_expressions)]


class ErrorSource(Section):
    """One program's log: a file on one or several hosts, or a log in a log store."""

    name: str = Field(description="name used in findings, for example `application`")
    hosts: list[str] = Field(
        default=[], description="names of `hosts.servers`; their files are read as one log"
    )
    connection: Text | None = Field(
        default=None,
        description="connection instead of `hosts`, for example `ssh://deploy@web1.example.com`",
    )
    run_as: str | None = Field(
        default=None, description="OS user to read the log as, with `connection`; with runuser or `sudo -n`"
    )
    file: LogPath | None = Field(
        default=None, description="path of the log; rotated and packed files beside it are read, too"
    )
    loki: Loki | None = Field(default=None, description="a log in Loki")
    opensearch: OpenSearch | None = Field(default=None, description="a log in OpenSearch or Elasticsearch")
    format: Literal["text", "rfc5424", "json"] = Field(
        default="text",
        description="form of the lines: `text` (a time in ISO 8601 first, the level as a word near it), `rfc5424`, `json`",
    )
    fields: dict[Literal["time", "level", "message", "logger", "trace"], str] = Field(
        default={}, description="names of the values in JSON where they are not the usual ones"
    )
    zone: Zone | None = Field(
        default=None, description="time zone of times that have none, for example `UTC`"
    )
    levels: list[str] = Field(
        default=LEVELS, min_length=1, description="levels that are errors, in whichever case"
    )
    masks: Expressions = Field(
        default=[],
        description="expressions for what differs from one error to the next and is no number, hexadecimal number or text "
        "in quotation marks, for example `order-[a-z]+`",
    )
    expected: Expressions = Field(
        default=[],
        json_schema_extra={"weaker": "any"},
        description="expressions for signatures of errors that are known and not judged; they are counted in a note",
    )

    @model_validator(mode="after")
    def _one_log(self) -> Self:
        if sum(place is not None for place in (self.file, self.loki, self.opensearch)) != 1:
            raise ValueError("set exactly one of `file`, `loki` and `opensearch`")
        on_hosts = bool(self.hosts) + (self.connection is not None)
        if on_hosts != (self.file is not None):
            raise ValueError(
                "a `file` needs either `hosts` or `connection`, a log in Loki or OpenSearch none of them"
            )
        return self


class ErrorLogs(Section):
    """The errors of the same hours, now and a week before."""

    sources: list[ErrorSource] = Field(min_length=1, description="the logs")
    hours: Annotated[str, After(_a_part_of_a_day)] = Field(
        default="22:00-06:00",
        description="part of the day whose errors are counted: the latest one that is over",
    )
    zone: Zone = Field(default="UTC", description="time zone of `hours`")
    baseline_age: Duration = Field(
        default=timedelta(days=7), description="how long before the baseline is: whole days, the same hours"
    )
    new_more_than: int = Field(
        default=5,
        ge=0,
        json_schema_extra={"weaker": "larger"},
        description="a signature that the baseline does not have may occur this often",
    )
    ratio: float = Field(
        default=2.0,
        gt=1,
        json_schema_extra={"weaker": "larger"},
        description="how many times more errors there may be than in the baseline, in all and of one signature",
    )
    few: int = Field(
        default=20,
        ge=0,
        json_schema_extra={"weaker": "larger"},
        description="this many errors, or fewer, are not compared with the baseline",
    )
    longest_gap: Duration = Field(
        default=timedelta(hours=1),
        json_schema_extra={"weaker": "larger"},
        description="longest time without any line; after a longer one it is unknown whether errors are logged",
    )
    singletons_percent: float = Field(
        default=20.0,
        gt=0,
        le=100,
        json_schema_extra={"weaker": "larger"},
        description="largest share of errors with a signature of their own; with more, signatures mean nothing",
    )
    most: Size = Field(default=2 * 1024**3, description="most that is read of one log on one host")
    within: Duration = Field(default=timedelta(minutes=5), description="time for reading all logs")
    timeout: Duration = Field(
        default=timedelta(seconds=30), description="for each question to a host or log store"
    )

    @model_validator(mode="after")
    def _comparable(self) -> Self:
        if self.baseline_age < timedelta(days=1) or self.baseline_age % timedelta(days=1):
            raise ValueError(
                "`baseline_age` is a number of whole days, for example 7d: errors depend on the hour"
            )
        names = [source.name for source in self.sources]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{names.count(name)} sources are named {name!r}; each name must be unique")
        return self


class Keys(InventoryKeys):
    """The key `error_logs`."""

    error_logs: Annotated[
        ErrorLogs | None,
        Given(
            "error_logs",
            "error_logs: {sources: [{name: application, hosts: [web1], file: /var/log/app/app.log}]}",
        ),
    ] = Field(default=None, description="logs whose errors are compared with those of a week before")

    @model_validator(mode="after")
    def _error_logs_name_known_hosts(self) -> Self:
        """The names of hosts are those of the section `hosts`, which the whole inventory has beside this one."""
        hosts: Hosts | None = getattr(self, "hosts", None)
        if self.error_logs is None or (hosts and not_listed_yet(hosts)):
            return self
        known = [server.name for server in hosts.servers] if hosts else []
        for source in self.error_logs.sources:
            for name in source.hosts:
                if name not in known:
                    advice = nearest(name, known) or "; add it there, or use `connection`"
                    raise ValueError(
                        f"error_logs.sources[{source.name}]: no server in `hosts.servers` is named {name!r}{advice}"
                    )
        return self
