"""The inventory's `access_logs` section: the request to send, and the logs in which it must appear."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, WithJsonSchema, model_validator

from pytest_deploygate.checks.hosts.section import Hosts, not_listed_yet
from pytest_deploygate.fields import references
from pytest_deploygate.fields.http import HttpRequest, Url
from pytest_deploygate.fields.log_stores import LogPath, Loki, OpenSearch, Zone
from pytest_deploygate.fields.types import Duration, Given, InventoryKeys, Section, Size, Text
from pytest_deploygate.fields.validating import After, Before
from pytest_deploygate.problems import nearest

#: What an access log tells of a request.
Told = Literal["time", "source", "method", "path", "status", "duration", "user"]
#: In `url` and `headers`: the mark by which the request is found.
MARKER = "{marker}"


def _form(value: object) -> object:
    return references.filled_in(value, instead="$status")


def _four_digits(mode: str) -> str:
    """Return a mode as another one can be compared with it: `644` is weaker than `0640`."""
    return mode.zfill(4)


#: The form of lines, in which references are resolved.
NginxForm = Annotated[str, Before(_form), WithJsonSchema({"type": "string"})]


class Marked(HttpRequest):
    """A request that is looked for in the logs."""

    url: Url = Field(
        description=f"address behind all hops; `{MARKER}` in it, or in `headers`, is replaced by the mark of the run"
    )


class Canaries(Section):
    """Where the request carries a harmless random value that must not be logged."""

    query: bool = Field(
        default=True,
        json_schema_extra={"weaker": "false"},
        description="as a parameter of the query",
    )
    parameter: str = Field(default="token", description="name of that parameter")
    authorization: bool = Field(
        default=True,
        json_schema_extra={"weaker": "false"},
        description="as a bearer token; if the request logs in, what it logs in with is looked for instead",
    )
    cookie: bool = Field(
        default=True, json_schema_extra={"weaker": "false"}, description="in a cookie named `session`"
    )
    api_key: bool = Field(
        default=True, json_schema_extra={"weaker": "false"}, description="in the header X-Api-Key"
    )
    body: bool = Field(
        default=True, json_schema_extra={"weaker": "false"}, description="in the body of the request `post`"
    )


class Rotation(Section):
    """How a file is kept small."""

    max_age: Duration = Field(
        default=timedelta(days=8),
        json_schema_extra={"weaker": "larger"},
        description="maximum age of the file's first line, and of the last rotation",
    )
    max_size: Size = Field(
        default=1024**3, json_schema_extra={"weaker": "larger"}, description="maximum size of the file"
    )
    logrotate: LogPath = Field(
        default="/etc/logrotate.conf", description="configuration that logrotate is run with"
    )


class Hop(Section):
    """One server that the request passes, and where it logs."""

    name: str = Field(description="name used in findings, for example `load balancer`")
    hosts: list[str] = Field(
        default=[],
        description="names of `hosts.servers`; with several of them, one must have logged the request",
    )
    connection: Text | None = Field(
        default=None,
        description="connection instead of `hosts`, for example `ssh://deploy@web1.example.com`",
    )
    run_as: str | None = Field(
        default=None, description="OS user to read the log as, with `connection`; with runuser or `sudo -n`"
    )
    file: LogPath | None = Field(default=None, description="path of the log on its hosts")
    journal: str | None = Field(
        default=None,
        description="unit whose lines in systemd's journal are the log, for example `nginx.service`",
    )
    loki: Loki | None = Field(default=None, description="a log in Loki")
    opensearch: OpenSearch | None = Field(default=None, description="a log in OpenSearch or Elasticsearch")
    format: Literal["combined", "common", "haproxy", "json"] | None = Field(
        default=None, description="form of the lines; `haproxy` is that of `option httplog`"
    )
    nginx: NginxForm | None = Field(
        default=None, description="form of the lines as nginx's `log_format` has it, with its `$` variables"
    )
    apache: str | None = Field(
        default=None, description="form of the lines as Apache's `LogFormat` has it, with its `%` directives"
    )
    fields: dict[Told | Literal["request"], str] = Field(
        default={},
        description="name of each value in the log where it is another than usual: a key of JSON (`client.ip`), "
        "or a variable or directive; `request` is the line `GET /path HTTP/1.1`",
    )
    zone: Zone | None = Field(
        default=None, description="time zone of a log whose times have none, for example `UTC`"
    )
    must_have: list[Told] = Field(default=[], description="what this hop must log besides")
    may_lack: list[Told] = Field(
        default=[], json_schema_extra={"weaker": "any"}, description="what this hop need not log"
    )
    more_files: list[LogPath] = Field(
        default=[],
        description="further files on the same hosts that must not have a secret, such as the error log",
    )
    mode: Annotated[str, Field(pattern=r"^0?[0-7]{3}$"), After(_four_digits)] = Field(
        default="0640",
        json_schema_extra={"weaker": "larger"},
        description="most that the mode of the file may allow",
    )
    owner: str | None = Field(default=None, description="owner that the file must have")
    rotation: Rotation = Field(default=Rotation(), description="how the file is kept small")

    @model_validator(mode="after")
    def _one_log_of_one_form(self) -> Self:
        places = [self.file, self.journal, self.loki, self.opensearch]
        if sum(place is not None for place in places) != 1:
            raise ValueError("set exactly one of `file`, `journal`, `loki` and `opensearch`")
        on_hosts = self.file is not None or self.journal is not None
        if on_hosts != bool(self.hosts or self.connection) or (self.hosts and self.connection):
            raise ValueError(
                "a `file` or `journal` needs either `hosts` or `connection`, a log in Loki or OpenSearch none of them"
            )
        if sum(form is not None for form in (self.format, self.nginx, self.apache)) != 1:
            raise ValueError("set exactly one of `format`, `nginx` and `apache`")
        if self.format == "json" and not self.fields:
            raise ValueError("`format: json` needs `fields`, for example `{time: ts, status: status}`")
        if self.nginx is not None and not re.search(r"\$\{?\w", self.nginx):
            raise ValueError("`nginx` has no variable; write the format itself, not its name")
        if self.apache is not None and "%" not in self.apache:
            raise ValueError("`apache` has no directive; write the format itself, not its name")
        return self


class AccessLogs(Section):
    """A request that is sent, and the logs in which it must appear."""

    request: Marked = Field(description="the request; `status` is what it is answered with")
    post: Marked | None = Field(
        default=None,
        description="a request with a body, which must change nothing; it is sent with POST unless `method` says otherwise",
    )
    parameter: str = Field(
        default="deploygate",
        description=f"parameter of the query with the mark, unless `{MARKER}` is in the URL; it is in User-Agent, too",
    )
    canaries: Canaries = Field(default=Canaries(), description="where secrets are looked for")
    hops: list[Hop] = Field(min_length=1, description="where the request is logged, from the outside inwards")
    within: Duration = Field(
        default=timedelta(seconds=10),
        json_schema_extra={"weaker": "larger"},
        description="time in which the request must be in each log; longer than its buffers are kept",
    )
    clock_tolerance: Duration = Field(
        default=timedelta(seconds=2),
        json_schema_extra={"weaker": "larger"},
        description="how far a time in a log may be outside of the request's own",
    )
    may_lack: list[Literal["duration", "user"]] = Field(
        default=[], json_schema_extra={"weaker": "any"}, description="what none of the hops need log"
    )
    timeout: Duration = Field(
        default=timedelta(seconds=10),
        description="for a request, and for each question to a host or log store",
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.canaries.body and self.post is None:
            raise ValueError(
                "`canaries.body` needs a request with a body: add `post: {url: …}` with an address that changes "
                "nothing, or set `canaries: {body: false}`"
            )
        if self.post is not None and self.post.sent is not None:
            raise ValueError("`post` has a body of its own; it is sent with the canary as body")
        names = [hop.name for hop in self.hops]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{names.count(name)} hops are named {name!r}; each name must be unique")
        return self


class Keys(InventoryKeys):
    """The key `access_logs`."""

    access_logs: Annotated[
        AccessLogs | None,
        Given(
            "access_logs",
            "access_logs: {request: {url: https://app.example.com/}, canaries: {body: false}, hops: [{name: nginx, "
            "hosts: [web1], file: /var/log/nginx/access.log, format: combined}]}",
        ),
    ] = Field(default=None, description="the access logs of the platform")

    @model_validator(mode="after")
    def _access_logs_name_known_hosts(self) -> Self:
        """The names of hosts are those of the section `hosts`, which the whole inventory has beside this one."""
        hosts: Hosts | None = getattr(self, "hosts", None)
        if hosts and not_listed_yet(hosts):
            return self
        known = [server.name for server in hosts.servers] if hosts else []
        for hop in self.access_logs.hops if self.access_logs else ():
            for name in hop.hosts:
                if name not in known:
                    advice = nearest(name, known) or "; add it there, or use `connection`"
                    raise ValueError(
                        f"access_logs.hops[{hop.name}]: no server in `hosts.servers` is named {name!r}{advice}"
                    )
        return self
