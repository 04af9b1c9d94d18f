"""How an inventory names PostgreSQL servers."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from pytest_deploygate.fields.types import Duration, Port, Section


class Node(Section):
    """One PostgreSQL server. Short form: `db1.example.com` or `db1.example.com:5432`."""

    name: str = Field(description="how findings call it; the host if left out")
    host: str = Field(description="host name or address", pattern=r"^[A-Za-z0-9._:%-]+$")
    port: Port = Field(default=5432, description="TCP port")
    delayed: Duration | None = Field(
        default=None, description="recovery_min_apply_delay that is there on purpose"
    )
    upstream: str | None = Field(
        default=None, description="name of the replica that it streams from, when cascaded on purpose"
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
