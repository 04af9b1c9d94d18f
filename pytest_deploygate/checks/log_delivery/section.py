"""The inventory's `log_delivery` section: hosts that log, how a message is logged, and where it must arrive."""

import re
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, WithJsonSchema, model_validator

from pytest_deploygate.checks.hosts.section import Host, Hosts, not_listed_yet
from pytest_deploygate.fields.hosts import ALL
from pytest_deploygate.fields.log_stores import LogPath, Loki, OpenSearch, Zone
from pytest_deploygate.fields.types import Duration, Given, InventoryKeys, Section, Size, Text
from pytest_deploygate.fields.validating import After, Before
from pytest_deploygate.problems import nearest

#: In a path: the name of the host that logs.
HOST = "{host}"
Level = Literal["debug", "info", "notice", "warning", "err", "crit", "alert", "emerg"]
#: What must be known of a message where it arrives.
Part = Literal["host", "time", "level"]
_FACILITIES = [
    "user",
    "daemon",
    "auth",
    "local0",
    "local1",
    "local2",
    "local3",
    "local4",
    "local5",
    "local6",
    "local7",
]


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _a_facility(name: str) -> str:
    if name not in _FACILITIES:
        raise ValueError(f"no facility is named {name!r}{nearest(name, _FACILITIES)}")
    return name


HostNames = Annotated[
    list[Text],
    Before(_as_list),
    Field(min_length=1),
    WithJsonSchema(
        {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
    ),
]


class Handed(Section):
    """How a message is handed to a host's logging. Without any key: `logger`, to the host's usual socket."""

    socket: LogPath | None = Field(
        default=None, description="socket that `logger` writes to, instead of /dev/log"
    )
    file: LogPath | None = Field(
        default=None,
        description="file that lines are appended to instead (time, level, `deploygate:`, message), for what follows files",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.socket is not None and self.file is not None:
            raise ValueError("`socket` and `file` are mutually exclusive")
        return self


class Aggregator(Section):
    """Where all messages arrive."""

    file: LogPath | None = Field(
        default=None,
        description=f"path on its host; `{HOST}` in it is replaced by the name that the sender logs under",
    )
    host: str | None = Field(
        default=None, description="name of the server in `hosts.servers` that has the file"
    )
    connection: Text | None = Field(
        default=None,
        description="connection instead of `host`, for example `ssh://deploy@logs.example.com`",
    )
    run_as: str | None = Field(
        default=None, description="OS user to read the file as, with `connection`; with runuser or `sudo -n`"
    )
    format: Literal["rfc5424", "syslog", "json"] = Field(
        default="rfc5424",
        description="form of the lines: `rfc5424` (rsyslog's RSYSLOG_SyslogProtocol23Format), `syslog` (a time, the host and "
        "the tag, as in most files of syslog; it has no level), `json`",
    )
    fields: dict[Part | Literal["message"], str] = Field(
        default={},
        description="names of the values in JSON, in Loki's labels or OpenSearch's documents, for example `{host: hostname}`",
    )
    zone: Zone | None = Field(
        default=None, description="time zone of times that have none, for example `UTC`"
    )
    loki: Loki | None = Field(default=None, description="the aggregator is Loki")
    opensearch: OpenSearch | None = Field(
        default=None, description="the aggregator is OpenSearch or Elasticsearch"
    )

    @model_validator(mode="after")
    def _one_place_of_arrival(self) -> Self:
        if sum(place is not None for place in (self.file, self.loki, self.opensearch)) != 1:
            raise ValueError("set exactly one of `file`, `loki` and `opensearch`")
        wanted = 1 if self.file is not None else 0
        if sum(place is not None for place in (self.host, self.connection)) != wanted:
            raise ValueError(
                "a `file` needs either `host` or `connection`, a log store none of them: its address is its `url`"
            )
        return self


class LogDelivery(Section):
    """Messages that are logged on hosts, and the aggregator where they must arrive."""

    hosts: HostNames = Field(default=[ALL], description=f"hosts or roles of `hosts`, or `{ALL}`")
    send: Handed = Field(default=Handed(), description="how a message is handed to a host's logging")
    level: Level = Field(default="warning", description="level of the messages")
    facility: Annotated[str, After(_a_facility)] = Field(
        default="user", description="facility of the messages"
    )
    aggregator: Aggregator = Field(description="where the messages must arrive")
    named: dict[str, str] = Field(
        default={},
        description="names under which hosts log, where they are neither those of the inventory nor their own",
    )
    within: Duration = Field(
        default=timedelta(seconds=10),
        json_schema_extra={"weaker": "larger"},
        description="time in which each message must arrive",
    )
    look_on: Duration = Field(
        default=timedelta(seconds=1),
        json_schema_extra={"weaker": "smaller"},
        description="how long doubles are waited for after the last message has arrived",
    )
    clock_tolerance: Duration = Field(
        default=timedelta(seconds=2),
        json_schema_extra={"weaker": "larger"},
        description="how far the time of a message may be from when it was logged",
    )
    multi_line: bool = Field(
        default=True,
        json_schema_extra={"weaker": "false"},
        description="a message of several lines, such as a stack trace, must arrive as one",
    )
    longest: Size | None = Field(
        default=8192,
        json_schema_extra={"weaker": "smaller"},
        description="size of a message that must arrive whole; null sends none",
    )
    non_ascii: bool = Field(
        default=True,
        json_schema_extra={"weaker": "false"},
        description="characters outside ASCII must arrive as they are",
    )
    burst: int = Field(
        default=100,
        ge=0,
        le=10_000,
        json_schema_extra={"weaker": "smaller"},
        description="further messages that each host logs at once, to see losses; 0 sends none",
    )
    lost_percent: float = Field(
        default=0.0,
        ge=0,
        lt=100,
        json_schema_extra={"weaker": "larger"},
        description="share of the burst that may be lost, in percent",
    )
    may_lack: list[Part] = Field(
        default=[],
        json_schema_extra={"weaker": "any"},
        description="what need not be known of a message where it arrives",
    )
    timeout: Duration = Field(
        default=timedelta(seconds=10), description="for each question to a host or log store"
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.within <= timedelta(0):
            raise ValueError("`within` must be more than 0 s")
        if self.longest is not None and not 256 <= self.longest <= 65_000:
            raise ValueError(
                "`longest` is from 256 B to 65000 B, the most that a socket takes as one message"
            )
        if self.aggregator.format == "syslog" and "level" not in self.may_lack and not self._has_priority:
            raise ValueError(
                "lines of `format: syslog` have no level: use rfc5424 or json, or say so with `may_lack: [level]`"
            )
        return self

    @property
    def _has_priority(self) -> bool:
        return self.aggregator.file is None

    def senders(self, hosts: Hosts) -> list[Host]:
        """Return the hosts that `hosts` stands for, each once, in the order of the inventory."""
        return [
            host
            for host in hosts.servers
            if any(name in (ALL, host.name) or name in host.roles for name in self.hosts)
        ]


def placeholder_misspelt(path: str) -> str | None:
    """Return a placeholder in a path that is not known; None if there is none."""
    return next((found for found in re.findall(r"\{[^}]*\}", path) if found != HOST), None)


class Keys(InventoryKeys):
    """The key `log_delivery`."""

    log_delivery: Annotated[
        LogDelivery | None,
        Given(
            "log_delivery",
            "log_delivery: {aggregator: {host: logs1, file: '/var/log/remote/{host}.log'}}",
        ),
    ] = Field(default=None, description="messages of the hosts, and the aggregator where they must arrive")

    @model_validator(mode="after")
    def _log_delivery_names_known_hosts(self) -> Self:
        """The names of hosts are those of the section `hosts`, which the whole inventory has beside this one."""
        section = self.log_delivery
        if section is None:
            return self
        if (path := section.aggregator.file) and (wrong := placeholder_misspelt(path)):
            raise ValueError(f"log_delivery.aggregator.file: {wrong} is not known; write {HOST}")
        hosts: Hosts | None = getattr(self, "hosts", None)
        if hosts and not_listed_yet(hosts):
            return self
        if hosts is None:
            raise ValueError("log_delivery: add `hosts`, the servers that log")
        names = [server.name for server in hosts.servers]
        known = [*names, *sorted({role for server in hosts.servers for role in server.roles}), ALL]
        for name in section.hosts:
            if name not in known:
                raise ValueError(
                    f"log_delivery.hosts: no host or role is named {name!r}{nearest(name, known)}"
                )
        for name in (*section.named, *([section.aggregator.host] if section.aggregator.host else [])):
            if name not in names:
                raise ValueError(
                    f"log_delivery: no server in `hosts.servers` is named {name!r}{nearest(name, names)}"
                )
        return self
