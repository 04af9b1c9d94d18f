"""How an inventory names a Redis server."""

from pydantic import Field

from pytest_deploygate.fields.types import Port, SecretReference, Section


class Redis(Section):
    """A Redis server used as a cache."""

    name: str = Field(description="name used in findings")
    host: str = Field(description="host name or address", pattern=r"^[A-Za-z0-9._:%-]+$")
    port: Port = Field(default=6379, description="TCP port")
    user: str | None = Field(default=None, description="ACL user; default: Redis' default user")
    password: SecretReference | None = Field(default=None, description="reference to its password")
    tls: bool = Field(default=False, description="connect with TLS")
    databases: list[int] = Field(default=[0], min_length=1, description="numbers of the databases to read")
    min_hit_ratio: float = Field(
        json_schema_extra={"weaker": "smaller"},
        default=0.8,
        ge=0,
        le=1,
        description="minimum share of lookups that hit",
    )
    min_lookups: int = Field(
        json_schema_extra={"weaker": "smaller"},
        default=1000,
        ge=1,
        description="with fewer lookups the ratio is inconclusive",
    )
