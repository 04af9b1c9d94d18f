"""The inventory's `database.cluster` section: the configuration that every server must have."""

from datetime import timedelta

from pydantic import Field, field_validator

from pytest_deploygate.fields.references import looked_up
from pytest_deploygate.fields.types import Duration, Section, Size


class ClusterSettings(Section):
    """What is expected of each PostgreSQL server. What durability needs is always expected."""

    version: str = Field(description="`15` (any minor version) or `15.8`", pattern=r"^(\d+(\.\d+)?|lab:.+)$")
    memory: Size = Field(description="memory of the machine or instance that the server may use, e.g. 16GB")
    max_connections: int = Field(
        json_schema_extra={"weaker": "larger"},
        default=500,
        ge=1,
        description="largest max_connections allowed; more clients belong behind a pooler",
    )
    preload: list[str] = Field(
        default=["pg_stat_statements"], description="libraries that shared_preload_libraries must contain"
    )
    extensions: dict[str, str] = Field(
        default={},
        description="extensions of the database with their versions; `any`, or `newest`: what the server's packages provide",
    )
    settings: dict[str, str] = Field(
        default={},
        description="more settings and their values, as SHOW prints them, e.g. {wal_level: logical}",
    )
    checksums: bool = Field(
        json_schema_extra={"weaker": "false"}, default=True, description="data pages must have checksums"
    )
    full_page_writes: bool = Field(
        json_schema_extra={"weaker": "false"},
        default=True,
        description="full_page_writes must be on; `false` only on a file system that cannot tear pages",
    )
    max_xid_age: int = Field(
        json_schema_extra={"weaker": "larger"},
        default=1_000_000_000,
        description="largest age(datfrozenxid) allowed; at 2.1 billion the server stops accepting writes",
    )
    max_prepared_age: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(hours=1),
        description="maximum age of a prepared transaction; it holds locks and holds back vacuum",
    )
    max_idle_in_transaction: Duration = Field(
        json_schema_extra={"weaker": "larger"},
        default=timedelta(hours=1),
        description="maximum age of a transaction whose session is idle; it holds locks and holds back vacuum",
    )
    trust_from: list[str] = Field(
        json_schema_extra={"weaker": "any"},
        default=[],
        description="addresses from which pg_hba.conf may let clients in without a password, as it writes them",
    )

    login_rules: bool = Field(
        json_schema_extra={"weaker": "false"},
        default=True,
        description="pg_hba.conf must be shown to the gate's role; `false` only where nobody can grant that (a managed server)",
    )

    @field_validator("version", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        found = looked_up(value)
        return str(found) if isinstance(found, int | float) and not isinstance(found, bool) else found

    @field_validator("extensions", "settings", mode="before")
    @classmethod
    def _texts(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        words = {True: "on", False: "off"}
        return {k: words[v] if isinstance(v, bool) else str(v) for k, v in value.items()}
