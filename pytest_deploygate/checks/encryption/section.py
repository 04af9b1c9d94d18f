"""The inventory's `encryption` section: which columns and volumes with personal data must be encrypted."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pytest_deploygate.checks.hosts.section import Hosts, unknown_groups
from pytest_deploygate.fields.names import RelationName
from pytest_deploygate.fields.types import Duration, Given, InventoryKeys, Section, Text, Words

Form = Literal["openpgp", "fernet", "vault", "jwe", "age", "bytes", "base64"]


class Column(Section):
    """A column whose values the application encrypts."""

    table: RelationName = Field(description="schema.name")
    column: str = Field(min_length=1, description="name of the column, text or bytea")
    form: Form | None = Field(
        default=None,
        description="form of the encrypted values: a known one, or `bytes` or `base64` for the application's own; "
        "left out: any known one",
    )
    sample: int = Field(
        default=10_000,
        ge=1,
        json_schema_extra={"weaker": "smaller"},
        description="how many values are looked at",
    )


class Volume(Section):
    """A folder that must be on an encrypted volume."""

    hosts: list[str] = Field(
        min_length=1, description="hosts or roles of `hosts`, `all`, or `here` for this machine"
    )
    path: Text = Field(min_length=1, description="a folder with personal data, e.g. /var/lib/postgresql")
    below: Words | None = Field(
        default=None,
        json_schema_extra={"weaker": "any"},
        description="what encrypts below the host, where no host can see it, e.g. `the provider, key KMS-1`",
    )


class Encryption(Section):
    """What holds personal data, and must be encrypted at rest."""

    columns: list[Column] = Field(default=[], description="columns of the platform's database")
    volumes: list[Volume] = Field(default=[], description="volumes of hosts")
    timeout: Duration = Field(default=timedelta(seconds=20), description="for each question to a host")

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not self.columns and not self.volumes:
            raise ValueError("name what must be encrypted: `columns`, `volumes`, or both")
        return self


class Keys(InventoryKeys):
    """The key `encryption`."""

    encryption: Annotated[
        Encryption | None,
        Given("encryption", "encryption: {columns: [{table: app.users, column: email}]}", optional=True),
    ] = Field(default=None, description="columns and volumes with personal data that must be encrypted")

    @model_validator(mode="after")
    def _encryption_names_known_hosts(self) -> Self:
        hosts: Hosts | None = getattr(self, "hosts", None)
        for volume in self.encryption.volumes if self.encryption else ():
            for problem in unknown_groups(volume.hosts, hosts):
                raise ValueError(f"encryption.volumes[{volume.path}]: {problem}")
        return self
