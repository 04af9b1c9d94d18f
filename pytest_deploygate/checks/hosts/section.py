"""The inventory's `hosts` section: the servers of the platform and what each must be like."""

from collections import Counter
from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from pytest_deploygate.fields.types import Duration, Given, InventoryKeys, Section, Size, Text
from pytest_deploygate.problems import nearest

#: In `expected`: all hosts, of whichever role.
ALL = "all"


class Host(Section):
    """One server, and how to reach it."""

    name: str = Field(description="name used in findings")
    connection: Text = Field(
        description="testinfra host, for example `ssh://deploy@db1.example.com` or `local://`"
    )
    roles: list[str] = Field(default=[], description="what it is for, for example `[database]`")
    failure_domain: str | None = Field(
        default=None,
        description="what fails as one: availability zone, rack or data centre; a host without one counts as unknown",
    )
    run_as: str | None = Field(
        default=None, description="OS user to run the commands as, with runuser or `sudo -n`"
    )


class Requirements(Section):
    """What each host must be like. A limit that is left out is not checked."""

    cpus: int | None = Field(
        default=None,
        ge=1,
        json_schema_extra={"weaker": "smaller"},
        description="minimum number of processors",
    )
    memory: Size | None = Field(
        default=None, json_schema_extra={"weaker": "smaller"}, description="minimum memory"
    )
    free_disk_percent: float = Field(
        default=10.0,
        ge=0,
        le=100,
        json_schema_extra={"weaker": "smaller"},
        description="minimum free space of each file system, in percent",
    )
    free_inodes_percent: float = Field(
        default=10.0,
        ge=0,
        le=100,
        json_schema_extra={"weaker": "smaller"},
        description="minimum free inodes of each file system that counts them, in percent",
    )
    ignored_mounts: list[str] = Field(
        default=[], description="mount points whose file systems are not judged, for example `[/mnt/iso]`"
    )
    kernel: str | None = Field(
        default=None,
        pattern=r"^\d+(\.\d+)*$",
        description="minimum version of the kernel, for example `5.15`",
    )
    releases: list[str] = Field(
        default=[],
        description="operating systems allowed, as ID and VERSION_ID of os-release(5), for example `[debian 12, rhel 9]`",
    )
    clock_offset: Duration = Field(
        default=timedelta(seconds=1),
        json_schema_extra={"weaker": "larger"},
        description="maximum offset of the host's clock from the clock of the machine that runs the gate",
    )
    time_since_boot: Duration | None = Field(
        default=None,
        json_schema_extra={"weaker": "smaller"},
        description="minimum time since the host's last start, so that one that restarts by itself is seen",
    )
    reboot_pending: bool = Field(
        default=True,
        json_schema_extra={"weaker": True},
        description="whether a host that waits for a restart passes with a note",
    )


class Hosts(Section):
    """The servers of the platform."""

    servers: list[Host] = Field(min_length=1, description="the servers")
    expected: dict[str, int] = Field(
        default={},
        description=f"number of servers by role, for example `{{{ALL}: 4, database: 3}}`; `{ALL}` counts every server",
    )
    machines: int = Field(
        default=3,
        ge=1,
        json_schema_extra={"weaker": "smaller"},
        description="minimum number of distinct machines",
    )
    failure_domains: int = Field(
        default=2,
        ge=1,
        json_schema_extra={"weaker": "smaller"},
        description="minimum number of distinct failure domains",
    )
    quorum_percent: float = Field(
        default=100.0,
        gt=0,
        le=100,
        json_schema_extra={"weaker": "smaller"},
        description="share of the servers that must answer, in percent; for large groups",
    )
    timeout: Duration = Field(
        default=timedelta(seconds=20), description="for everything that is asked of one server"
    )
    at_once: int = Field(default=16, ge=1, le=200, description="number of servers asked at the same time")
    require: Requirements = Field(default=Requirements(), description="what each server must be like")

    @model_validator(mode="after")
    def _names_and_roles(self) -> Self:
        for name, times in Counter(host.name for host in self.servers).items():
            if times > 1:
                raise ValueError(f"{times} servers are named {name!r}; each name must be unique")
        roles = {role for host in self.servers for role in host.roles}
        for role in self.expected:
            if role not in {*roles, ALL}:
                raise ValueError(f"expected: no server has the role {role!r}{nearest(role, [*roles, ALL])}")
        return self


class Keys(InventoryKeys):
    """The key `hosts`."""

    hosts: Annotated[
        Hosts | None,
        Given("hosts", "hosts: {servers: [{name: db1, connection: ssh://deploy@db1.example.com}]}"),
    ] = Field(default=None, description="the servers of the platform")
