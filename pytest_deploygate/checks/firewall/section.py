"""The inventory's `firewall` section: who may reach what, as a table, and what hosts listen on and filter."""

import ipaddress
import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Annotated, Any, Literal, NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, WithJsonSchema, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from pytest_deploygate.checks.firewall.expected import Expected
from pytest_deploygate.checks.hosts.section import Host, Hosts, not_listed_yet
from pytest_deploygate.fields.hosts import ALL, HERE
from pytest_deploygate.fields.types import Duration, Given, InventoryKeys, Section, Text
from pytest_deploygate.fields.validating import Before
from pytest_deploygate.problems import nearest

#: UDP protocols that answer a question of ours, with the port that `udp/PORT` means them by.
UDP_PORTS = {"dns": 53, "ntp": 123, "snmp": 161, "quic": 443}
_PORTS = re.compile(r"(tcp|udp|dns|ntp|snmp|quic)/(\d{1,5})(?:-(\d{1,5}))?")


class Ports(NamedTuple):
    """Ports of one protocol, both ends included. `protocol` is tcp, or what is asked over UDP (`udp`: nothing known)."""

    protocol: str
    first: int
    last: int

    @property
    def transport(self) -> str:
        """`tcp` or `udp`."""
        return "tcp" if self.protocol == "tcp" else "udp"

    def __str__(self) -> str:
        return f"{self.protocol}/{self.first}" + (f"-{self.last}" if self.last > self.first else "")


def ports(text: str) -> tuple[Ports, ...]:
    """Read `tcp/443`, `tcp/8000-8100`, `udp/53` or `dns/1053`. Raises ValueError."""
    found = _PORTS.fullmatch(text.strip())
    if not found:
        raise ValueError(
            f"{text!r} is not a port: write for example tcp/443, tcp/8000-8100, udp/53, or dns/1053 for DNS on another "
            "port (dns, ntp, snmp, quic)"
        )
    protocol, first, last = found[1], int(found[2]), int(found[3] or found[2])
    if not 1 <= first <= last <= 65535:
        raise ValueError(f"{text!r}: ports are from 1 to 65535, the lower one first")
    if protocol != "udp":
        return (Ports(protocol, first, last),)
    return tuple(_known_by_port(first, last))


def _known_by_port(first: int, last: int) -> Iterator[Ports]:
    """Split a range of UDP ports by what can be asked there."""
    at = first
    for name, port in sorted(UDP_PORTS.items(), key=lambda pair: pair[1]):
        if at <= port <= last:
            if at < port:
                yield Ports("udp", at, port - 1)
            yield Ports(name, port, port)
            at = port + 1
    if at <= last:
        yield Ports("udp", at, last)


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str | int) else value


def _ports(value: Any) -> Any:
    given = _as_list(value)
    if not isinstance(given, list) or not given:
        raise ValueError("name at least one port, for example [tcp/443]")
    return tuple(one for text in given for one in ports(str(text)))


_STRINGS: dict[str, Any] = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
PortList = Annotated[tuple[Ports, ...], Before(_ports), WithJsonSchema(_STRINGS)]
Names = Annotated[list[Text], Before(_as_list), Field(min_length=1), WithJsonSchema(_STRINGS)]


class Rule(Section):
    """One row of the table."""

    from_: Names = Field(
        alias="from",
        description=f"where attempts are made: `{HERE}` (the machine that runs the gate), hosts or roles of `hosts`, `{ALL}`",
    )
    to: Names = Field(
        description="what is tried: hosts or roles of `hosts`, `all`, names of DNS, addresses, or networks such as `10.0.0.0/24`"
    )
    ports: PortList = Field(description="for example `[tcp/443, tcp/8000-8100, udp/53]`")
    expected: Expected = Field(
        description="`open`, or `closed`; `refused` and `filtered` (no answer) say which kind of closed"
    )
    ip_versions: list[Literal[4, 6]] = Field(
        default=[4, 6], min_length=1, description="addresses that are tried, of those that the target has"
    )


class Control(Section):
    """A place that must be open from a vantage point, so that what is closed there means something."""

    to: Text = Field(description="a host of `hosts`, a name or an address")
    ports: PortList = Field(description="for example `tcp/22`")


class Firewall(Section):
    """Who may reach what, and what hosts listen on and filter."""

    rules: list[Rule] = Field(min_length=1, description="the table")
    addresses: dict[str, Names] = Field(
        default={},
        description="addresses of hosts where they are not those of their connections, for example `{web1: [10.0.0.1]}`",
    )
    controls: dict[str, list[Control]] = Field(
        default={},
        description=f"by vantage point (`{HERE}` or a host): places that must be open; without one, an open row that "
        "answers is the control",
    )
    listeners: dict[str, PortList] = Field(
        default={},
        description=f"ports that hosts may listen on, by host, role or `{ALL}`, beside those that the table opens; other "
        "hosts' listeners are not judged",
    )
    host_policy: dict[str, Literal["nftables", "iptables", "firewalld", "ufw"]] = Field(
        default={},
        description=f"what filters on hosts, by host, role or `{ALL}`; behind security groups hosts need not filter",
    )
    timeout: Duration = Field(
        default=timedelta(seconds=2), description="for one attempt; what gives no answer is tried once more"
    )
    within: Duration = Field(
        default=timedelta(minutes=5), description="for everything that is asked of one vantage point or host"
    )
    at_once: int = Field(default=500, ge=1, le=5000, description="attempts at the same time from one place")
    hosts_at_once: int = Field(default=16, ge=1, le=200, description="hosts used at the same time")
    most: int = Field(
        default=20_000,
        ge=100,
        json_schema_extra={"weaker": "smaller"},
        description="attempts from one place; of a larger table as many are drawn",
    )
    seed: int | None = Field(
        default=None, description="of the draw; without it a new one in each run, which the finding names"
    )

    @model_validator(mode="after")
    def _something_in_time(self) -> Self:
        if self.timeout <= timedelta(0) or self.within < self.timeout:
            raise ValueError("timeout must be more than 0 s and at most `within`")
        return self


class Keys(InventoryKeys):
    """The key `firewall`."""

    firewall: Annotated[
        Firewall | None,
        Given(
            "firewall",
            "firewall: {rules: [{from: here, to: web1.example.com, ports: tcp/443, expected: open}]}",
        ),
    ] = Field(default=None, description="who may reach what, and what hosts listen on and filter")

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        """Each name without a dot is a host or a role of the inventory: a misspelt one would be tried as a name of DNS."""
        hosts: Hosts | None = getattr(self, "hosts", None)
        if self.firewall is None or (hosts and not_listed_yet(hosts)):
            return self
        wrong = list(unknown_names(self.firewall, hosts))
        if wrong:
            raise ValidationError.from_exception_data(
                type(self).__name__,
                [
                    InitErrorDetails(
                        # Braces would be read as a place for a value.
                        type=PydanticCustomError("value_error", "{said}", {"said": said}),
                        loc=("firewall", *place),
                        input=None,
                    )
                    for place, said in wrong
                ],
            )
        return self


_Place = tuple[str | int, ...]


def unknown_names(firewall: Firewall, hosts: Hosts | None) -> Iterator[tuple[_Place, str]]:
    """Yield the place within the section, and a sentence, for each name that is neither host nor role."""
    names = [host.name for host in hosts.servers] if hosts else []
    roles = sorted({role for host in hosts.servers for role in host.roles}) if hosts else []
    groups = [*names, *roles, *([ALL] if names else [])]

    def said(name: str, valid: list[str]) -> str:
        if not hosts:
            return f"{name!r} is no host: the inventory has no `hosts` section"
        return f"no host or role is named {name!r}{nearest(name, valid)}"

    for number, rule in enumerate(firewall.rules):
        for name in rule.from_:
            if name not in (HERE, *groups):
                yield ("rules", number, "from"), said(name, [HERE, *groups])
        for name in rule.to:
            if name not in groups and not elsewhere(name):
                yield ("rules", number, "to"), said(name, groups)
    for vantage, controls in firewall.controls.items():
        if vantage not in (HERE, *names):
            yield ("controls", vantage), said(vantage, [HERE, *names])
        for number, control in enumerate(controls):
            if control.to not in names and not elsewhere(control.to):
                yield ("controls", vantage, number, "to"), said(control.to, names)
    for name in firewall.addresses:
        if name not in names:
            yield ("addresses", name), said(name, names)
    for key in ("listeners", "host_policy"):
        for name in getattr(firewall, key):
            if name not in groups:
                yield (key, name), said(name, groups)


def elsewhere(name: str) -> bool:
    """Tell whether a target is an address, a network or a name of DNS, and not a host or role of the inventory.

    A number stands for a reference whose value is not known yet (`deploygate plan` before the lab runs).
    """
    return "." in name or ":" in name or name == "localhost" or name.isdigit()


def network(name: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Return an address or network that is written as such; None for a name."""
    try:
        return ipaddress.ip_network(name, strict=False)
    except ValueError:
        return None


def members(group: str, hosts: Hosts | None) -> list[Host]:
    """Return the hosts that a name, a role or `all` stands for."""
    servers = hosts.servers if hosts else []
    return [host for host in servers if group in (ALL, host.name) or group in host.roles]


def of_host(table: dict[str, Any], host: Host) -> list[Any]:
    """Return the values of a mapping by host, role or `all` that apply to a host."""
    return [value for key, value in table.items() if key in (ALL, host.name) or key in host.roles]


def places_of(host: Host, firewall: Firewall) -> Iterable[str]:
    """Return the addresses, or the name, under which a host is tried; none if only the inventory could tell."""
    if given := firewall.addresses.get(host.name):
        return given
    kind, _, rest = host.connection.partition("://")
    name = urlsplit(f"//{rest}").hostname if kind in ("ssh", "paramiko", "safe-ssh") else None
    return [name] if name else []
