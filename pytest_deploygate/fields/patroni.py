"""How an inventory names a cluster that Patroni manages."""

from datetime import timedelta
from typing import Literal, Self

from pydantic import Field, model_validator

from pytest_deploygate.fields.http import HttpAccess, Url
from pytest_deploygate.fields.types import Duration, Section, Size


class Member(Section):
    """One node of the cluster, as Patroni calls it."""

    name: str = Field(description="the member's name in Patroni; that of its node in `database`")
    url: Url = Field(description="base URL of its REST API, for example http://db1.example.com:8008")


class Patroni(HttpAccess):
    """The cluster's REST API, and what it must say. `auth` is needed for drills only; reading needs none."""

    members: list[Member] = Field(min_length=1, description="every member of the cluster")
    dcs: list[Url] = Field(
        default=[],
        description="client URLs of every member of etcd; without them quorum is known from Patroni only",
    )
    synchronous: Literal["off", "on", "strict"] | None = Field(
        default=None, description="what synchronous_mode must be; if omitted, reported but not judged"
    )
    failsafe: bool | None = Field(
        default=None, description="what failsafe_mode must be; if omitted, reported but not judged"
    )
    candidates: int = Field(
        default=1,
        ge=1,
        json_schema_extra={"weaker": "smaller"},
        description="replicas that must be able to take over",
    )
    max_lag: Size | None = Field(
        default=None,
        json_schema_extra={"weaker": "larger"},
        description="bytes that a replica may be behind; default: Patroni's maximum_lag_on_failover",
    )
    timeout: Duration = Field(default=timedelta(seconds=5), description="longest time for an answer")

    @model_validator(mode="after")
    def _members_differ(self) -> Self:
        names = [member.name for member in self.members]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two members are named {twice!r}")
        return self

    @property
    def timeout_s(self) -> float:
        """The longest time for an answer, in seconds."""
        return self.timeout.total_seconds()
