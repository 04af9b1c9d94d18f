"""How an inventory names PostgreSQL servers."""

from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from pytest_deploygate.fields.references import filled_in
from pytest_deploygate.fields.types import (
    Duration,
    Each,
    ExistingPath,
    Port,
    SecretReference,
    Section,
    ShortForm,
)
from pytest_deploygate.fields.validating import Before


class Node(Section):
    """One PostgreSQL server. Short form: `db1.example.com` or `db1.example.com:5432`."""

    short_form = ShortForm(
        "host", r"^[A-Za-z0-9._:%-]+$", examples=("db1.example.com", "db1.example.com:5432")
    )

    name: str = Field(description="name used in findings; default: the host")
    host: Annotated[str, Before(filled_in)] = Field(
        description="host name or address, or a reference", pattern=r"^[A-Za-z0-9._:%-]+$"
    )
    port: Port = Field(default=5432, description="TCP port")
    delayed: Duration | None = Field(default=None, description="intended recovery_min_apply_delay")
    upstream: str | None = Field(
        default=None, description="name of the replica that it streams from, if cascaded on purpose"
    )

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, str):
            host, colon, port = value.rpartition(":")
            if colon and port.isdigit() and ":" not in host:
                return {"name": host, "host": host, "port": int(port)}
            return {"name": value, "host": value}
        if isinstance(value, dict) and "name" not in value and "host" in value:
            return {"name": value["host"], **value}
        return value


class ServerLogin(Section):
    """How to connect to a PostgreSQL server that is no part of the platform's cluster: its address, and the role."""

    name: str = Field(description="name of the database")
    user: str = Field(description="role that the gate logs in as; pg_monitor and read access are enough")
    password: SecretReference | None = Field(
        default=None, description="reference to its password; default: .pgpass, peer or trust"
    )
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = Field(
        default="prefer", description="as in libpq"
    )
    sslrootcert: ExistingPath | None = Field(default=None, description="as in libpq")
    connect_timeout: Duration = Field(
        default=timedelta(seconds=5), description="connection timeout per server"
    )
    statement_timeout: Duration = Field(
        default=timedelta(seconds=30), description="limit for each of the gate's statements"
    )
    primary: Node = Field(description="the node that accepts writes")

    def alone(self) -> "ConnectionSettings":
        """Return it as the settings of a cluster of one node."""
        return ConnectionSettings.model_construct(
            **{key: getattr(self, key) for key in ServerLogin.model_fields}, replicas=None
        )


class ConnectionSettings(ServerLogin):
    """How to connect to a PostgreSQL cluster: the primary, its replicas, and the role."""

    replicas: Annotated[
        list[Node] | None, Each("replica", "replicas: [db2.example.com, db3.example.com]")
    ] = Field(default=None, min_length=1, description="the nodes that must stream from it")

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [node.name for node in self.nodes]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two nodes are named {', '.join(twice)}: {self._named(twice[0])}")
        return self

    def _named(self, twice: str) -> str:
        """Say how to write nodes of the same name, with their own hosts and ports."""
        some = [node for node in self.nodes if node.name == twice]
        written = [f"{{name: db{n}, host: {node.host}, port: {node.port}}}" for n, node in enumerate(some, 1)]
        same = len({(node.host, node.port) for node in some}) < len(some)
        own = "a name, and its own host or port" if same else "a name"
        return f"give each {own}, for example {' and '.join(written)}"

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Primary first, then the replicas in the inventory's order."""
        return (self.primary, *(self.replicas or ()))


class OtherDatabase(Section):
    """A database beside the platform's, such as the old side's, and the role that the gate logs in as."""

    host: str = Field(description="host name or address", pattern=r"^[A-Za-z0-9._:%-]+$")
    port: Port = Field(default=5432, description="TCP port")
    name: str = Field(description="name of the database")
    user: str = Field(description="role that the gate logs in as")
    password: SecretReference | None = Field(
        default=None, description="reference to its password; default: .pgpass, peer or trust"
    )
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = Field(
        default="prefer", description="as in libpq"
    )
    sslrootcert: ExistingPath | None = Field(default=None, description="as in libpq")

    @property
    def settings(self) -> ConnectionSettings:
        """The same as for a cluster of one node."""
        return ConnectionSettings(
            name=self.name,
            user=self.user,
            password=self.password,
            sslmode=self.sslmode,
            sslrootcert=self.sslrootcert,
            primary=Node(name=f"the database {self.name}", host=self.host, port=self.port),
        )
