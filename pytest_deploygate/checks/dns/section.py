"""The inventory's `dns` section: the zone's servers, its important names, the standby, and what the cutover switches."""

from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_interface, ip_network
from typing import Annotated, Any

from pydantic import Field, WithJsonSchema, field_validator, model_validator

from pytest_deploygate.checks.tls.section.endpoints import Endpoint, an_address
from pytest_deploygate.fields.http import HttpRequest, Texts
from pytest_deploygate.fields.types import (
    Duration,
    Each,
    FilePath,
    Given,
    InventoryKeys,
    Port,
    Section,
    ShortForm,
)
from pytest_deploygate.fields.validating import Before


def _network(value: object) -> str:
    try:
        block = ip_network(str(value), strict=False)
        at = ip_interface(str(value)).ip
    except ValueError:
        raise ValueError(
            f"{value!r} is neither an address nor a CIDR block; write for example 192.0.2.10 or 192.0.2.0/24"
        ) from None
    if block.num_addresses == 1:
        return str(at)
    if at != block.network_address:
        raise ValueError(
            f"{value!r} is one address within a block: write {at} if only it is meant, {block} if all "
            f"{block.num_addresses} addresses are"
        )
    if block.prefixlen == 0:
        raise ValueError(
            f"{value!r} is every address, so no answer could be wrong; name the block that is used"
        )
    return str(block)


Network = Annotated[str, Before(_network), WithJsonSchema({"type": "string"})]
DomainName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_*.-]+$")]


class NameServer(Section):
    """A DNS server. Short form: its address."""

    short_form = ShortForm("address", r"^[0-9A-Fa-f.:]+$", examples=("192.0.2.53", "2001:db8::53"))

    name: str = Field(description="its name as in NS records, used in findings; left out: the address")
    address: Annotated[str, Before(an_address)] = Field(description="IPv4 or IPv6 address")
    port: Port = Field(default=53, description="UDP and TCP port")

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value, "address": value}
        if isinstance(value, dict) and "name" not in value and "address" in value:
            return {"name": value["address"], **value}
        return value

    @property
    def label(self) -> str:
        """Its name in findings."""
        bare = f"[{self.address}]" if ":" in self.address else self.address
        where = self.address if self.port == 53 else f"{bare}:{self.port}"
        return where if self.name == self.address else f"{self.name} ({where})"


class Standby(Section):
    """Where traffic goes when the primary site fails; it must be healthy before that."""

    address: Annotated[str, Before(an_address)] = Field(description="address of the standby")
    port: Port = Field(default=443, description="TCP port")
    path: str = Field(
        default="/health", description="path that answers 200 while it is healthy", pattern="^/"
    )
    contains: Texts = Field(
        default=[], description="text that the body of a healthy answer contains, or a list of such texts"
    )
    lacks: Texts = Field(
        default=[], description="text that it must not contain: an error within an answer of 200, for example"
    )
    tls: bool = Field(default=True, description="HTTPS; its certificate is judged with the endpoints")

    @property
    def answer(self) -> HttpRequest:
        """What a healthy answer is."""
        return HttpRequest(contains=self.contains, lacks=self.lacks)


class DnsFailover(Section):
    """A drill (disruptive): make the primary site fail, and check that the name points to the standby."""

    stop: str = Field(description="command that makes the primary site fail its health check")
    restore: str = Field(description="command that restores it; always run, also after an error")
    within: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(minutes=2),
        description="every authoritative server must return the standby within this time",
    )
    record: FilePath = Field(description="file that keeps the dated record of the last drill")
    max_age: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(days=90),
        description="maximum age of the record",
    )

    @property
    def patience_s(self) -> float:
        """How long the drill waits for the standby in every authoritative answer, in seconds: a probe waits this long and does not judge."""
        return self.within.total_seconds()


class DnsName(Section):
    """A name in use, and what it must resolve to."""

    exactly_one = ("addresses", "cname")
    instead = (
        "set either `addresses: [192.0.2.10]` (blocks are fine) or `cname: target.example.net`, not both"
    )

    name: DomainName = Field(description="the name, without a final dot")
    addresses: list[Network] | None = Field(
        default=None,
        min_length=1,
        description="addresses or CIDR blocks; every answer must be within one of them, and have an address of each family of which single addresses are named",
    )
    cname: DomainName | None = Field(default=None, description="the target that the name is an alias of")
    caa: list[str] = Field(
        default=[], description="authorities that must be allowed to issue (CAA, RFC 8659)"
    )
    standby: Standby | None = Field(default=None, description="the site that takes over")
    failover: DnsFailover | None = Field(default=None, description="how to trigger the failover in a drill")

    @property
    def blocks(self) -> list[IPv4Network | IPv6Network]:
        """The addresses and blocks as values, so that `address in block` works; none for a CNAME."""
        return [ip_network(value) for value in self.addresses or []]


class Cutover(Section):
    """A name that the change switches to the new system."""

    exactly_one = ("addresses", "cname")
    instead = "set either `addresses: [192.0.2.10]` or `cname: target.example.net`, with the new values"

    name: DomainName = Field(description="the name, without a final dot")
    addresses: list[Network] | None = Field(
        default=None, min_length=1, description="the new addresses or blocks, as for `names`"
    )
    cname: DomainName | None = Field(default=None, description="the new target")
    within: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(minutes=5),
        description="how long to wait for every server and resolver",
    )
    endpoint: Endpoint | None = Field(
        default=None, description="the TLS port at the new addresses; left out: port 443 of the name"
    )

    @property
    def expected(self) -> DnsName:
        """The name as it must be after the switch."""
        return DnsName(name=self.name, addresses=self.addresses, cname=self.cname)

    @property
    def port_443(self) -> Endpoint:
        """The endpoint whose certificates must be valid."""
        if self.endpoint is not None:
            return self.endpoint
        single = [str(n.network_address) for n in self.expected.blocks if n.num_addresses == 1]
        return Endpoint(name=self.name, host=self.name, **({"addresses": single} if single else {}))  # type: ignore[arg-type]

    @property
    def patience_s(self) -> float:
        """How long the probe waits for the new answer everywhere, in seconds: a probe waits this long and does not judge."""
        return self.within.total_seconds()


class Dns(Section):
    """A zone, its servers, and its important names."""

    zone: DomainName = Field(description="the zone, e.g. example.com")
    servers: list[NameServer] = Field(min_length=1, description="all authoritative servers, IPv4 and IPv6")
    resolvers: list[NameServer] = Field(default=[], description="resolvers that users query")
    parent: list[NameServer] = Field(
        default=[], description="servers of the parent zone, to check the delegation"
    )
    min_servers: int = Field(
        json_schema_extra={"weaker": "smaller"},
        default=2,
        ge=1,
        description="minimum number of servers at distinct addresses",
    )
    max_ttl: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(seconds=300),
        description="maximum TTL of the names, so that a switch takes effect soon",
    )
    same_serial: bool = Field(
        json_schema_extra={"weaker": "false"},
        default=True,
        description="all servers have the same serial; false where several providers serve the zone",
    )
    dnssec: bool = Field(
        default=False, description="the zone must be signed; a signed one must always be valid"
    )
    signatures_left: Duration = Field(
        default=timedelta(days=2), description="signatures (RRSIG) must be valid for at least this long"
    )
    timeout: Duration = Field(default=timedelta(seconds=3), description="for each query")
    observations: FilePath | None = Field(
        default=None,
        description="file that keeps observed TTLs, one per line; left out: in the change's folder",
    )
    names: Annotated[
        list[DnsName], Each("dns_name", "names: [{name: app.example.com, addresses: [192.0.2.10]}]")
    ] = Field(default=[], description="names that must resolve as stated")
    cutover: Annotated[
        list[Cutover], Each("cutover", "cutover: [{name: app.example.com, addresses: [192.0.2.20]}]")
    ] = Field(default=[], description="names that the change switches")

    @field_validator("resolvers", "parent", "names", "cutover")
    @classmethod
    def _not_empty(cls, value: list[Any]) -> list[Any]:
        if not value:
            raise ValueError("an empty list has no meaning; leave the key out")
        return value


class Keys(InventoryKeys):
    """The key `dns`."""

    dns: Annotated[
        Dns | None, Given("dns", "dns: {zone: example.com, servers: [192.0.2.53, 198.51.100.53], names: […]}")
    ] = Field(default=None, description="the zone, its servers, and its important names")
