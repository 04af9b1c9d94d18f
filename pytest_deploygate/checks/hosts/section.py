"""The inventory's `hosts` section: the servers of the platform and what each must be like."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, ClassVar, Self, TypeVar

from pydantic import Field, WithJsonSchema, field_validator, model_validator

from pytest_deploygate.fields.hosts import ALL, HERE
from pytest_deploygate.fields.types import (
    Duration,
    ExistingPath,
    Given,
    InventoryKeys,
    SecretReference,
    Section,
    Size,
    Text,
)
from pytest_deploygate.fields.validating import Before
from pytest_deploygate.problems import nearest

#: Connections over which a password can be given to sudo.
_WITH_SUDO = ("ssh://", "local://")
#: Kinds of connection, by testinfra's names.
_KINDS = (
    "ansible", "chroot", "docker", "kubectl", "local", "lxc", "openshift", "paramiko", "podman", "safe-ssh", "salt", "ssh",
    "winrm",
)  # fmt: skip


class Host(Section):
    """One server, and how to reach it."""

    name: str = Field(description="name used in findings")
    connection: Text = Field(
        description="connection, for example `ssh://deploy@db1.example.com` or `local://`"
    )
    roles: list[str] = Field(default=[], description="what it is for, for example `[database]`")
    failure_domain: str | None = Field(
        default=None,
        description="what fails as one: availability zone, rack or data centre; a host without one counts as unknown",
    )
    run_as: str | None = Field(default=None, description="OS user to run the commands as, with su or sudo")
    run_as_password: SecretReference | None = Field(
        default=None,
        description="password that sudo asks for, as a reference; sudo reads it from its standard input",
    )

    @field_validator("connection")
    @classmethod
    def _known_kind(cls, value: str) -> str:
        kind, sign, _ = value.partition("://")
        if sign and kind not in _KINDS:
            raise ValueError(f"no kind of connection is named {kind!r}{nearest(kind, _KINDS)}")
        if not sign and not value.isdigit():  # a number stands for a value that is not there yet
            raise ValueError(
                f"{value!r} does not say how the host is reached; write for example ssh://{value}"
            )
        return value

    @model_validator(mode="after")
    def _password_for_sudo(self) -> Self:
        if self.run_as_password is None:
            return self
        if self.run_as is None:
            raise ValueError(
                "run_as_password is for sudo: set `run_as` to the user to become, for example `root`"
            )
        if not self.connection.startswith(_WITH_SUDO):
            raise ValueError(
                f"run_as_password works over {' and '.join(_WITH_SUDO)}; for a container name its user in the connection, "
                "for example `podman://root@web`"
            )
        return self


def _as_list(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


class Ansible(Section):
    """An Ansible inventory that lists the servers. Ansible's own program reads it when a run begins.

    A server's roles are its groups; how it is reached is in its variables (`ansible_host`, `ansible_user`, …).
    """

    inventory: Annotated[
        list[ExistingPath],
        Before(_as_list),
        WithJsonSchema(
            {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
        ),
    ] = Field(min_length=1, description="file, script or folder, as for `ansible -i`; or a list of them")
    pattern: str = Field(
        default="all",
        min_length=1,
        pattern="^[^-]",
        description="hosts and groups as Ansible writes them, for example `web:&production`",
    )
    limit: str | None = Field(
        default=None, min_length=1, description="further pattern, as for `ansible --limit`"
    )
    vault_password: SecretReference | None = Field(
        default=None, description="password of Ansible Vault, as a reference"
    )
    failure_domain: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_]\w*$",
        description="name of the variable that holds a server's failure domain, for example `zone`",
    )
    timeout: Duration = Field(default=timedelta(seconds=60), description="for each program of Ansible")


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

    servers: list[Host] = Field(default=[], description="the servers")
    ansible: Ansible | None = Field(
        default=None, description="Ansible inventory that lists the servers, instead of `servers`"
    )
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

    @property
    def roles(self) -> list[str]:
        """The roles of all servers."""
        return sorted({role for host in self.servers for role in host.roles})

    def listing(self, servers: Sequence[Host]) -> Self:
        """Return the section with the servers that its Ansible inventory lists. Raises ValueError."""
        return _checked(self.model_copy(update={"servers": list(servers)}))

    @model_validator(mode="after")
    def _names_and_roles(self) -> Self:
        if self.ansible is not None:
            if self.servers:
                raise ValueError("set either `servers` or `ansible`; an Ansible inventory lists all servers")
            return self  # they are listed when a run begins
        if not self.servers:
            raise ValueError("name the `servers`, or an `ansible` inventory that lists them")
        return _checked(self)


_H = TypeVar("_H", bound=Hosts)


def _checked(hosts: _H) -> _H:
    for name, times in Counter(host.name for host in hosts.servers).items():
        if times > 1:
            raise ValueError(f"{times} servers are named {name!r}; each name must be unique")
    known = [*hosts.roles, ALL]
    for role in hosts.expected:
        if role not in known:
            raise ValueError(f"expected: no server has the role {role!r}{nearest(role, known)}")
    return hosts


def not_listed_yet(hosts: Hosts) -> bool:
    """Return whether the servers come from elsewhere and have not been asked for: a run does, when it begins."""
    return hosts.ansible is not None and not hosts.servers


def chosen(groups: Iterable[str], hosts: Hosts | None) -> list[Host]:
    """Return the hosts that names, roles, `all` and `here` stand for, each once."""
    servers = hosts.servers if hosts else []
    found: dict[str, Host] = {}
    for group in groups:
        if group == HERE:
            found.setdefault(HERE, Host(name=HERE, connection="local://"))
        found |= {host.name: host for host in servers if group in (ALL, host.name) or group in host.roles}
    return list(found.values())


def unknown_groups(groups: Iterable[str], hosts: Hosts | None) -> Iterator[str]:
    """Yield a sentence for each name that is neither `here` nor a host or role; none while hosts are not listed yet."""
    if hosts and not_listed_yet(hosts):
        return
    known = [*(host.name for host in hosts.servers), *hosts.roles, ALL] if hosts else []
    for group in dict.fromkeys(groups):
        if group != HERE and group not in known:
            advice = nearest(group, [*known, HERE]) if hosts else "; name it in the section `hosts`"
            yield f"no server and no role in `hosts` is named {group!r}{advice}"


class Keys(InventoryKeys):
    """The key `hosts`."""

    listed: ClassVar[Mapping[str, str]] = {"hosts": "ansible"}

    hosts: Annotated[
        Hosts | None,
        Given("hosts", "hosts: {servers: [{name: db1, connection: ssh://deploy@db1.example.com}]}"),
    ] = Field(default=None, description="the servers of the platform")
