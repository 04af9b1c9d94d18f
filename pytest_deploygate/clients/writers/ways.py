"""How writers reach the node that takes writes, also after it has changed: through a pooler, or by a list of hosts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import psycopg

from pytest_deploygate.clients import stopping
from pytest_deploygate.clients.postgres.cluster import Cluster, Connection, explain
from pytest_deploygate.fields.postgres import Node
from pytest_deploygate.lazy import dataclass
from pytest_deploygate.model import CannotTell
from pytest_deploygate.redaction import Secret


class Way(Protocol):
    """A place to connect to; `name` is what reasons call it."""

    @property
    def name(self) -> str:
        """The name for reasons."""

    def open(self, cluster: Cluster, *, writes: bool) -> Connection:
        """Open a connection (autocommit). Raises CannotTell."""


@dataclass(frozen=True)
class Pool:
    """A pooler. It rejects the options by which our other connections are limited, so none are sent.

    `user`, `password` and `database` are the cluster's where they are empty.
    """

    name: str
    host: str
    port: int
    user: str = ""
    password: Secret | None = None
    database: str = ""

    def open(self, cluster: Cluster, *, writes: bool) -> Connection:  # noqa: ARG002 (a pooler has one side)
        """Open a connection through the pooler. Raises CannotTell."""
        about = _common(cluster) | {"host": self.host, "port": self.port}
        if self.user:
            about["user"] = self.user
        if self.password or self.user:
            about["password"] = self.password.reveal() if self.password else None
        if self.database:
            about["dbname"] = self.database
        return _connect(self.name, self.host, self.port, about)


@dataclass(frozen=True)
class AnyOf:
    """Several hosts, as applications name them to libpq: it connects to the first one that has the attribute.

    Readers take `reads`, `any` by default.
    """

    nodes: tuple[Node, ...]
    target_session_attrs: Literal["read-write", "primary", "any"] = "read-write"
    reads: Literal["any", "read-write", "primary", "standby", "prefer-standby"] = "any"

    @property
    def name(self) -> str:
        """The names of the hosts."""
        return _listed([node.name for node in self.nodes])

    def open(self, cluster: Cluster, *, writes: bool) -> Connection:
        """Open a connection to the first suitable host. Raises CannotTell."""
        about = _common(cluster) | {
            "host": ",".join(node.host for node in self.nodes),
            "port": ",".join(str(node.port) for node in self.nodes),
            "target_session_attrs": self.target_session_attrs if writes else self.reads,
        }
        first = self.nodes[0]
        return _connect(self.name, first.host, first.port, about)


def _common(cluster: Cluster) -> dict[str, Any]:
    database = cluster.settings
    return {
        "dbname": database.name,
        "user": database.user,
        "password": database.password.reveal() if database.password else None,
        "sslmode": database.sslmode,
        "sslrootcert": str(database.sslrootcert) if database.sslrootcert else None,
        # A reconnecting writer tries often; a host that drops packets must not hold it for long.
        "connect_timeout": 2,
        "tcp_user_timeout": 5000,
    }


def _connect(name: str, host: str, port: int, about: dict[str, Any]) -> Connection:
    try:
        with stopping.interrupting():
            return psycopg.connect(
                **about,
                application_name="deploygate",
                client_encoding="UTF8",
                autocommit=True,
                # A pooler hands each transaction to another server connection: no prepared statements.
                prepare_threshold=None,
            )
    except psycopg.Error as error:
        raise CannotTell(explain(Node.model_construct(name=name, host=host, port=port), error)) from error


def _listed(names: Sequence[str]) -> str:
    return " or ".join(names)
