"""The inventory's `connectivity` section: services, and the places that must reach them."""

from collections import Counter
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, WithJsonSchema, model_validator

from pytest_deploygate.checks.hosts.section import Hosts, unknown_groups
from pytest_deploygate.fields.hosts import ALL, HERE
from pytest_deploygate.fields.types import Duration, Given, InventoryKeys, Port, Section, Text
from pytest_deploygate.fields.validating import Before
from pytest_deploygate.problems import nearest


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


_STRINGS: dict[str, Any] = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
Names = Annotated[list[str], Before(_as_list), Field(min_length=1), WithJsonSchema(_STRINGS)]


class Service(Section):
    """Something that others connect to."""

    name: str = Field(description="name used in findings")
    host: Text = Field(
        description="name or address, as the places would write it; each place resolves it itself"
    )
    port: Port = Field(description="TCP port")
    speaks: Literal["http", "postgres", "redis", "banner"] | None = Field(
        default=None,
        description="protocol, for the first byte of an answer; `banner` is any in which the server speaks first "
        "(SSH, SMTP, MySQL); without it only the connection is made",
    )
    path: str = Field(default="/", pattern=r"^/[!-~]*$", description="what is asked for with `speaks: http`")
    tls: bool = Field(
        default=False,
        description="whether TLS follows the connection; with `postgres` after its request for it",
    )
    server_name: str | None = Field(
        default=None, description="name that the certificate must have, where it is not that of `host`"
    )
    ca_file: Text | None = Field(
        default=None,
        description="file on the places with the certificates to trust (PEM), instead of those of their system",
    )
    verify: bool = Field(
        default=True,
        json_schema_extra={"weaker": "false"},
        description="whether the place must trust the certificate",
    )
    full_size: bool = Field(
        default=True,
        json_schema_extra={"weaker": "false"},
        description="whether packets of full size are sent too, to find a path that swallows them; needs `tls` or "
        "`speaks` (not `banner`)",
    )

    @property
    def fills(self) -> bool:
        """Whether something long can be sent that its protocol waits for the end of."""
        return self.full_size and (self.tls or self.speaks in ("http", "postgres", "redis"))


class Row(Section):
    """Places, and services that each of them must reach."""

    from_: Names = Field(
        alias="from",
        description=f"hosts or roles of `hosts`, `{ALL}`, or `{HERE}` (the machine that runs the gate)",
    )
    to: Names = Field(description=f"names of services, or `{ALL}`")


class Connectivity(Section):
    """Services, and the places that must reach them."""

    services: list[Service] = Field(min_length=1, description="the services")
    rows: list[Row] = Field(min_length=1, description="who must reach what")
    timeout: Duration = Field(default=timedelta(seconds=3), description="for each step of an attempt")
    connect_within: Duration = Field(
        default=timedelta(milliseconds=500),
        json_schema_extra={"weaker": "larger"},
        description="longest time from the first packet until the connection is there",
    )
    first_byte_within: Duration = Field(
        default=timedelta(seconds=2),
        json_schema_extra={"weaker": "larger"},
        description="longest time from the first packet until the first byte of an answer, with TLS",
    )
    path_mtu: int = Field(
        default=1280,
        ge=576,
        json_schema_extra={"weaker": "smaller"},
        description="least size of packets (bytes) that the whole path takes",
    )
    within: Duration = Field(default=timedelta(minutes=2), description="for everything that one place tries")
    at_once: int = Field(default=32, ge=1, le=500, description="attempts at the same time from one place")
    hosts_at_once: int = Field(default=16, ge=1, le=200, description="places used at the same time")

    @model_validator(mode="after")
    def _whole_and_known(self) -> Self:
        names = [service.name for service in self.services]
        for name, times in Counter(names).items():
            if times > 1 or name == ALL:
                raise ValueError(f"services: each needs a name of its own, and not {ALL!r}: {name!r}")
        for row in self.rows:
            for name in row.to:
                if name not in (*names, ALL):
                    raise ValueError(f"rows: no service is named {name!r}{nearest(name, names)}")
        if self.timeout <= timedelta(0) or self.within < self.timeout:
            raise ValueError("timeout must be more than 0 s and at most `within`")
        return self

    def wanted(self, row: Row) -> list[Service]:
        """Return the services of a row."""
        return [service for service in self.services if ALL in row.to or service.name in row.to]


class Keys(InventoryKeys):
    """The key `connectivity`."""

    connectivity: Annotated[
        Connectivity | None,
        Given(
            "connectivity",
            "connectivity: {services: [{name: api, host: api.example.com, port: 443, tls: true, speaks: http}], "
            "rows: [{from: all, to: api}]}",
        ),
    ] = Field(default=None, description="services, and the places that must reach them")

    @model_validator(mode="after")
    def _connectivity_names_known_hosts(self) -> Self:
        """The names of places are those of the section `hosts`, which the whole inventory has beside this one."""
        hosts: Hosts | None = getattr(self, "hosts", None)
        for row in self.connectivity.rows if self.connectivity else []:
            for said in unknown_groups(row.from_, hosts):
                raise ValueError(f"connectivity.rows: {said}")
        return self
