"""The inventory's `integrations`: partners of the platform, what they answer, and how long our credentials are valid."""

from datetime import date, timedelta
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from pytest_deploygate.checks.hosts.section import Hosts, unknown_groups
from pytest_deploygate.fields.http import HttpRequest, Url
from pytest_deploygate.fields.oauth import TokenAccess
from pytest_deploygate.fields.types import (
    Duration,
    Each,
    ExistingPath,
    InventoryKeys,
    Section,
    Words,
)


class Agreed(HttpRequest):
    """A request of the contract, and what it answers to our credentials."""

    path: str = Field(
        default="/", pattern="^/", description="path after the integration's `url`, with its query"
    )
    content_type: str | None = Field(default=None, description="media type of the answer")
    says: dict[str, Any] = Field(
        default={}, description="values in the JSON of the answer, by JSON pointer: {/status: active}"
    )
    has: list[str] = Field(
        default=[], description="JSON pointers that must lead to a value: [/contract, /account]"
    )
    changes_nothing: Words | None = Field(
        default=None,
        description="with a method other than GET and HEAD: why it changes nothing at the partner",
    )

    @model_validator(mode="after")
    def _only_reads(self) -> Self:
        if self.method not in ("GET", "HEAD") and self.changes_nothing is None:
            raise ValueError(
                f"{self.method} may change something at the partner: use GET, or say with `changes_nothing` why it does not"
            )
        return self


class Expiry(Section):
    """Where it is said until when our credential is valid. That of a token in the form of a JWT is read in any case."""

    exactly_one = ("at", "header", "on")
    instead = "say one of `at` (a JSON pointer), `header` (its name), `on` (a date)"

    at: str | None = Field(
        default=None,
        pattern="^/",
        description="JSON pointer to it in the answer to the first request of the contract",
    )
    header: str | None = Field(default=None, description="header of that answer")
    on: date | None = Field(
        default=None, description="the date itself, where the partner told it to people only"
    )


class Stage(Section):
    """Where the partner itself says which of its stages answers."""

    at: str = Field(
        pattern="^/", description="JSON pointer to it in the answer to the first request of the contract"
    )
    is_: str = Field(alias="is", description="what it must say, for example production")


class Integration(TokenAccess):
    """A partner of the platform."""

    name: str = Field(description="name used in findings")
    url: Url = Field(description="the partner's base URL, as the platform uses it")
    contract: list[Agreed] = Field(min_length=1, description="requests and what they answer")
    sandbox: Words | None = Field(
        default=None,
        json_schema_extra={"weaker": "any"},
        description="why another stage of the partner than production answers here, for environments before production",
    )
    stage: Stage | None = Field(default=None, description="where the partner says which stage it is")
    expires: Expiry | None = Field(
        default=None, description="until when our credential is valid, where that is said"
    )
    least_validity: Duration = Field(
        default=timedelta(days=14),
        json_schema_extra={"weaker": "smaller"},
        description="how long our credential must still be valid",
    )
    anyone: Words | None = Field(
        default=None,
        json_schema_extra={"weaker": "any"},
        description="why the partner answers without a credential, too; otherwise it must refuse that",
    )
    plain: Words | None = Field(
        default=None, json_schema_extra={"weaker": "any"}, description="why it is asked without TLS"
    )
    hosts: list[str] = Field(
        default=[],
        description="hosts or roles of `hosts`, `all`, or `here`, from which the partner must answer, too: without our credential",
    )
    timeout: Duration = Field(default=timedelta(seconds=10), description="longest time for an answer")
    ca_file: ExistingPath | None = Field(
        default=None, description="file with certificates to trust instead of the system's (PEM)"
    )

    @model_validator(mode="after")
    def _logs_in_over_tls(self) -> Self:
        if self.url.startswith("http://") and self.plain is None:
            raise ValueError(
                "a credential must not be sent without TLS: use https://, or say with `plain` why not"
            )
        if self.login is None and self.oauth is None and self.anyone is None:
            raise ValueError(
                "add our credential (`token`, `auth` or `oauth`), or say with `anyone` why none is needed"
            )
        return self


class Keys(InventoryKeys):
    """The key `integrations`."""

    integrations: Annotated[
        list[Integration],
        Each(
            "integration",
            "integrations: [{name: partner, url: 'https://api.partner.example.com', token: 'env:PARTNER_TOKEN', "
            "contract: [{path: /v1/contract}]}]",
        ),
    ] = Field(default=[], description="partners of the platform")

    @model_validator(mode="after")
    def _integrations_name_themselves_and_known_hosts(self) -> Self:
        names = [integration.name for integration in self.integrations]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"integrations: two are named {twice!r}")
        # The names of places are those of the section `hosts`, which the whole inventory has beside this one.
        hosts: Hosts | None = getattr(self, "hosts", None)
        for integration in self.integrations:
            for said in unknown_groups(integration.hosts, hosts):
                raise ValueError(f"integrations: {integration.name}: {said}")
        return self
