"""How an inventory names a database server of any kind whose rows are compared."""

from typing import Any

from pydantic import Field, model_validator

from pytest_deploygate.fields.postgres import ConnectionSettings, ServerLogin
from pytest_deploygate.model import CannotTell

_POSTGRES = "postgresql"
_PORTS = {"mariadb": 3306}


class AnyServer(ServerLogin):
    """How to connect to a server that is no part of the platform's cluster. Unless `kind` says otherwise, of PostgreSQL."""

    kind: str = Field(
        default=_POSTGRES,
        pattern=r"^[a-z][a-z0-9_-]*$",
        description="postgresql, mariadb (also for MySQL), or the name of an adapter that is installed",
    )
    options: dict[str, str] = Field(
        default_factory=dict, description="what an adapter that is installed needs beside these keys"
    )

    @model_validator(mode="before")
    @classmethod
    def _own_port(cls, value: Any) -> Any:
        """Give the node the usual port of its kind, where it has none."""
        if not isinstance(value, dict) or value.get("kind") not in _PORTS:
            return value
        node, port = value.get("primary"), _PORTS[value["kind"]]
        if isinstance(node, str) and not node.rpartition(":")[2].isdigit():
            node = {"name": node, "host": node, "port": port}
        elif isinstance(node, dict):
            node = {"port": port, **node}
        return {**value, "primary": node}

    def alone(self) -> ConnectionSettings:
        """Return it as the settings of a cluster of one node. Raises CannotTell for a server of another kind."""
        if self.kind != _POSTGRES:
            raise CannotTell(
                f"{self.primary.name} is of the kind {self.kind}: this is looked at on PostgreSQL only, on other servers "
                "rows are compared and nothing else; look at it by hand and attest the item"
            )
        return super().alone()
